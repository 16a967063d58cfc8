"""Find plugins and register their Blueprints; a faulty one is named and does not keep the others from working."""

from __future__ import annotations

import importlib.util
import logging
import sys
import traceback
from pathlib import Path
from types import ModuleType

from flask import Blueprint, Flask

from flexmeasures.start_notes import warn_at_start

__all__ = ["register"]

log = logging.getLogger(__name__)

_SETTING = "FLEXMEASURES_PLUGIN_PATHS"
_OWN_NAMES = ("flexmeasures", "shapeshifter_uftp")


def register(app: Flask) -> None:
    """Register the Blueprint ``<folder>_bp`` of each plugin folder in FLEXMEASURES_PLUGIN_PATHS.

    A folder that is not a plugin, or whose code fails, is named in a warning, with file and line; the next one is
    loaded all the same.
    """
    loaded = app.config.setdefault("LOADED_PLUGINS", {})
    places: dict[str, Path] = {}
    for text in app.config[_SETTING]:
        path = Path(text)
        reason = _why_not(path, places)
        if reason:
            warn_at_start(log, "%s is not loaded as a plugin: %s See %s.", path, reason, _SETTING)
            continue
        places[path.name] = path.resolve()
        try:
            loaded[path.name] = _load(app, path)
        except (Exception, SystemExit) as error:
            sys.modules.pop(path.name, None)
            log.debug("The plugin %s failed", path.name, exc_info=error)
            warn_at_start(log, "The plugin %s is not loaded: %s", path.name, _describe(error, path))


def _why_not(path: Path, places: dict[str, Path]) -> str | None:
    """Say why a folder cannot be loaded as a plugin; None if it can be tried."""
    if places.get(path.name) == path.resolve():
        return "it is listed twice, and was loaded at its first place."
    if path.name in places:
        return f"another plugin of its name comes before it, {places[path.name]}. Rename one of the folders."
    if path.name in sys.stdlib_module_names or path.name in _OWN_NAMES:
        return f"{path.name} is the name of a module that is in use. Rename the folder."
    if not (path / "__init__.py").is_file():
        return "it has no __init__.py."
    return None


def _load(app: Flask, path: Path) -> str:
    """Load a plugin and register its Blueprint; give its version.

    Raises:
        ImportError: If it has no Blueprint.
        Exception: Whatever its code raises.
    """
    module = _import(path)
    blueprint = getattr(module, f"{path.name}_bp", None)
    if not isinstance(blueprint, Blueprint):
        # Not a TypeError: a plugin without a Blueprint cannot be imported as one.
        raise ImportError(f"it defines no Blueprint called {path.name}_bp", path=str(path / "__init__.py"))  # noqa: TRY004
    app.register_blueprint(blueprint)
    return str(getattr(module, "__version__", "0.1"))


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.name, path / "__init__.py")
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it is a Python file
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.name] = module
    spec.loader.exec_module(module)
    return module


def _describe(error: BaseException, path: Path) -> str:
    """Say what went wrong in a plugin, and in which file and line of it."""
    file, line = _locate(error, path)
    where = f"{file}, line {line}" if line else str(file)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text.partition(chr(10))[0]} (in {where})"


def _locate(error: BaseException, path: Path) -> tuple[Path, int | None]:
    if isinstance(error, SyntaxError) and error.filename:
        return Path(error.filename), error.lineno
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(path)
    ]
    return (Path(own[-1].filename), own[-1].lineno) if own else (path / "__init__.py", None)
