"""Settings that plugins bring: what they declare is read, checked and given its default like our own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from flask import Flask

from flexmeasures.setting_sources import read_environment
from flexmeasures.setting_types import Setting, SettingsError
from flexmeasures.start_notes import warn_at_start

__all__ = ["provide_settings"]

log = logging.getLogger(__name__)

LEVELS = ("debug", "info", "warning", "error")


def provide_settings(app: Flask, module: ModuleType) -> None:
    """Give the app the settings that a plugin declares in ``__settings__``.

    Each is a name with a mapping: ``description``; ``parse_as``, a type (text if left out); ``default`` (None);
    ``level``, from "debug" to "error", with which a missing value is told (info); ``message_if_missing``. As for our
    own, the process environment comes before the configuration files.

    Raises:
        SettingsError: If a declaration or a value is wrong, or one of level "error" is missing.
    """
    declared: Mapping[str, Mapping[str, Any]] = getattr(module, "__settings__", {})
    if not isinstance(declared, Mapping):
        raise SettingsError(f"__settings__ of {module.__name__} is not a mapping of names to mappings.")
    environ = {} if app.testing else read_environment()
    for name, fields in declared.items():
        if not name.isupper() or not isinstance(fields, Mapping) or fields.get("level", "info") not in LEVELS:
            raise SettingsError(
                f"__settings__ of {module.__name__} declares {name} as {fields!r}. A name is in capitals, and is "
                "followed by a mapping with description, parse_as, default, message_if_missing and level "
                f"({', '.join(LEVELS)})."
            )
        _provide(app, name, fields, environ)


def _provide(app: Flask, name: str, fields: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    meaning, default = fields.get("description", "a setting of a plugin."), fields.get("default")
    value = environ.get(name) or app.config.get(name)
    if value is not None:
        app.config[name] = Setting(name, fields.get("parse_as", str), default, meaning).parse(value)
        return
    app.config[name] = default
    if default is not None:
        return
    level, note = fields.get("level", "info"), fields.get("message_if_missing", meaning)
    if level == "error":
        raise SettingsError(f"The setting {name} is missing. {note}", {"setting": name})
    if level == "warning":
        warn_at_start(log, "The setting %s is missing. %s", name, note)
    else:
        log.log(logging.getLevelNamesMapping()[level.upper()], "The setting %s is missing. %s", name, note)
