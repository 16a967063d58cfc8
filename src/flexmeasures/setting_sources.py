"""Collect the values of all settings from wherever they are given.

Later sources win: the defaults, the defaults of the environment (``FLASK_ENV``), ``~/.flexmeasures.cfg``, the file
``flexmeasures.cfg`` in the instance folder, ``.flaskenv`` and ``.env`` in the working folder, the process environment.
The two configuration files are written in Python; elsewhere a list, tuple or mapping is written as JSON or as a Python
literal, a duration in ISO 8601 or as a number of seconds.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from dotenv import dotenv_values

from flexmeasures.setting_types import CONFIG_FILE, SettingsError
from flexmeasures.settings import SETTINGS

__all__ = ["ENVIRONMENTS", "load_settings", "read_environment"]

ENVIRONMENTS = ("documentation", "development", "testing", "staging", "production")

_BY_NAME = {setting.name: setting for setting in SETTINGS}

_OURS = "FLEXMEASURES_"
_ENVIRONMENT = "the environment"

_FAMILIES = (_OURS, "SQLALCHEMY_", "SECRET_", "SECRETKEY", "SECURITY_", "MAIL_", "CORS_", "LOGGING_")
"""Prefixes of names in the environment that may be meant for us; many programs share it."""

# Set in the environment for other purposes than being a setting.
_NOT_SETTINGS = {"FLEXMEASURES_SUPERVISED"}


def load_settings(
    env: str,
    instance_path: Path,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Collect the values of all settings.

    In the environment "testing" only the defaults count, so that a test means the same on every machine.

    Args:
        env: One of `ENVIRONMENTS`.
        instance_path: The instance folder.
        config_file: A configuration file to read instead of the two usual ones.
        environ: The environment; that of `read_environment` if left out.

    Returns:
        The values by name (those of plugins and extensions included), and warnings to show.

    Raises:
        SettingsError: If a value has a wrong type, or the environment or file does not exist.
    """
    if env not in ENVIRONMENTS:
        raise SettingsError(
            f"FLASK_ENV is {env!r}, but it must be one of {', '.join(ENVIRONMENTS)}. Unset it for production."
        )
    values = {s.name: s.by_environment.get(env, s.default) for s in SETTINGS}
    warnings: list[str] = []
    if env == "testing":
        return values, warnings
    for path in _config_files(instance_path, config_file):
        _apply(values, warnings, _read_python(path), str(path))
    environ = read_environment() if environ is None else environ
    _apply(values, warnings, _from_environment(environ), _ENVIRONMENT)
    return values, warnings


def read_environment() -> dict[str, str]:
    """Read the process's environment, completed by ``.flaskenv`` and ``.env`` in the working folder."""
    files = {**dotenv_values(".flaskenv"), **dotenv_values(".env")}
    return {**{name: value for name, value in files.items() if value is not None}, **os.environ}


def _config_files(instance_path: Path, config_file: Path | None) -> list[Path]:
    if config_file is not None:
        if not config_file.is_file():
            raise SettingsError(f"There is no configuration file {config_file}.")
        return [config_file]
    usual = [Path("~/.flexmeasures.cfg").expanduser(), instance_path / CONFIG_FILE]
    return [path for path in usual if path.is_file()]


def _read_python(path: Path) -> dict[str, Any]:
    """Run a configuration file and keep its upper-case names, as Flask does."""
    module = ModuleType("config")
    module.__file__ = str(path)
    try:
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102 - it is the owner's own file
    except Exception as error:
        raise SettingsError(
            f"The configuration file {path} cannot be read: {type(error).__name__}: {error}"
        ) from error
    return {name: value for name, value in vars(module).items() if name.isupper()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if (name in _BY_NAME or name.startswith(_FAMILIES)) and name not in _NOT_SETTINGS and value != ""
    }


def _apply(values: dict[str, Any], warnings: list[str], found: Mapping[str, Any], where: str) -> None:
    for name, value in found.items():
        if name in _BY_NAME:
            values[name] = _BY_NAME[name].parse(value)
            continue
        nearest = _nearest(name)
        if where != _ENVIRONMENT or name.startswith(_OURS):
            values[name] = value  # of a plugin or an extension
        if name.startswith(_OURS) or nearest:
            hint = f" Did you mean {nearest}?" if nearest else ""
            warnings.append(f"{name}, set in {where}, is not a setting of FlexMeasures.{hint}")


def _nearest(name: str) -> str | None:
    """Find the setting that was probably meant; of our own the beginning, which all have, says nothing."""
    if name.startswith(_OURS):
        rests = {known.removeprefix(_OURS): known for known in _BY_NAME if known.startswith(_OURS)}
        close = difflib.get_close_matches(name.removeprefix(_OURS), rests, n=1, cutoff=0.6)
        return rests[close[0]] if close else None
    return next(iter(difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.88)), None)
