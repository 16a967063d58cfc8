"""Find plugins and register their Blueprints."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

from flask import Blueprint, Flask

__all__ = ["register"]

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Register the Blueprint ``<folder>_bp`` of each plugin folder in FLEXMEASURES_PLUGIN_PATHS.

    A folder that is no plugin is named in a warning and does not keep the others from being loaded.
    """
    loaded = app.config.setdefault("LOADED_PLUGINS", {})
    for text in app.config["FLEXMEASURES_PLUGIN_PATHS"]:
        path = Path(text)
        if not (path / "__init__.py").is_file():
            log.warning("%s is no plugin: it has no __init__.py. See FLEXMEASURES_PLUGIN_PATHS.", path)
            continue
        spec = importlib.util.spec_from_file_location(path.name, path / "__init__.py")
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it is a Python file
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.name] = module
        spec.loader.exec_module(module)
        blueprint = getattr(module, f"{path.name}_bp", None)
        if not isinstance(blueprint, Blueprint):
            log.warning("%s is no plugin: it defines no Blueprint called %s_bp.", path, path.name)
            continue
        app.register_blueprint(blueprint)
        loaded[path.name] = getattr(module, "__version__", "0.1")
