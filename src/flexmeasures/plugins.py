"""Find plugins and register their Blueprints; a faulty one is named and does not keep the others from working."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

from flask import Blueprint, Flask

from flexmeasures.installed_plugins import find_installed_plugins
from flexmeasures.plugin_settings import provide_settings
from flexmeasures.start_notes import warn_at_start

__all__ = ["register"]

log = logging.getLogger(__name__)

_PATHS, _INSTALLED = "FLEXMEASURES_PLUGIN_PATHS", "FLEXMEASURES_INSTALLED_PLUGINS"
_OWN_NAMES = ("flexmeasures", "shapeshifter_uftp")


@dataclass(frozen=True)
class _Candidate:
    """A plugin that is to be loaded.

    Attributes:
        name: That of its folder, or of its entry point.
        place: Its folder.
        load: Imports it; gives its module and its Blueprint, or what stands in its place.
        version: That of the package it was installed with.
    """

    name: str
    place: Path
    load: Callable[[], tuple[ModuleType, object]]
    version: str | None = None


def register(app: Flask) -> None:
    """Register the Blueprints of plugin folders (FLEXMEASURES_PLUGIN_PATHS), then those of installed plugins.

    What is not a plugin, or whose code fails, is named in a warning, with file and line; the next one is loaded all
    the same. The names and versions of those that were loaded are in ``app.config["LOADED_PLUGINS"]``, and their
    names by that of their Blueprint in ``app.extensions["plugins"]``.
    """
    app.config.setdefault("LOADED_PLUGINS", {})
    app.extensions.setdefault("plugins", {})
    places: dict[str, Path] = {}
    for text in app.config[_PATHS]:
        path = Path(text)
        reason = _why_not(path, places)
        if reason:
            warn_at_start(log, "%s is not loaded as a plugin: %s See %s.", path, reason, _PATHS)
            continue
        places[path.name] = path.resolve()
        _try(app, _Candidate(path.name, path, lambda path=path: _load_folder(path)))  # type: ignore[misc]
    _register_installed(app, places)


def _register_installed(app: Flask, places: dict[str, Path]) -> None:
    points = find_installed_plugins(app.config[_INSTALLED])
    for name in set(app.config[_INSTALLED] or ()) - {point.name for point in points}:
        warn_at_start(log, "No installed package has a plugin %s. See %s.", name, _INSTALLED)
    for point in points:
        candidate = _Candidate(
            point.name,
            _find_folder(point),
            lambda point=point: _load_entry_point(point),  # type: ignore[misc]
            point.dist.version if point.dist else None,
        )
        taken = places.get(point.name)
        if taken is None:
            _try(app, candidate)
        elif taken != candidate.place:
            told = (point.name, candidate.place, taken, _PATHS)
            warn_at_start(log, "The installed plugin %s (%s) gives way to the folder %s of %s.", *told)


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


def _try(app: Flask, candidate: _Candidate) -> None:
    """Load a plugin and register its Blueprint, or say why not."""
    before = set(sys.modules)
    try:
        module, blueprint = candidate.load()
        if not isinstance(blueprint, Blueprint):
            # Not a TypeError: a plugin without a Blueprint cannot be imported as one.
            raise ImportError(  # noqa: TRY004
                f"it defines no Blueprint called {candidate.name}_bp",
                path=str(candidate.place / "__init__.py"),
            )
        provide_settings(app, module)
        app.register_blueprint(blueprint)
    except (Exception, SystemExit) as error:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == candidate.name:
                del sys.modules[name]
        log.debug("The plugin %s failed", candidate.name, exc_info=error)
        described = _describe(error, candidate.place)
        warn_at_start(log, "The plugin %s is not loaded: %s", candidate.name, described)
        return
    app.extensions["plugins"][blueprint.name] = candidate.name
    version = getattr(module, "__version__", None) or candidate.version or "0.1"
    app.config["LOADED_PLUGINS"][candidate.name] = str(version)


def _load_folder(path: Path) -> tuple[ModuleType, object]:
    module = _import(path)
    return module, getattr(module, f"{path.name}_bp", None)


def _load_entry_point(point: EntryPoint) -> tuple[ModuleType, object]:
    """Load what an entry point names: a Blueprint, or the module of one that is called after the entry point."""
    module, named = importlib.import_module(point.module), point.load()
    return module, getattr(named, f"{point.name}_bp", None) if isinstance(named, ModuleType) else named


def _find_folder(point: EntryPoint) -> Path:
    """Find the folder of an entry point's package without running its code."""
    top = point.module.partition(".")[0]
    # First past what is imported already, which may be a folder of the same name.
    spec = importlib.machinery.PathFinder.find_spec(top) or importlib.util.find_spec(top)
    return Path(spec.origin).parent.resolve() if spec and spec.origin else Path(point.module)


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
    # Not Path.resolve: the file is named as the plugin's author wrote its path.
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(os.path.abspath(frame.filename)).is_relative_to(os.path.abspath(path))
    ]
    return (Path(own[-1].filename), own[-1].lineno) if own else (path / "__init__.py", None)
