"""What every process of the platform stands on: its settings, its log, its database and its job store.

Workers and many commands need no more than that, and begin in half the time without the doors.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from flask import Flask

from flexmeasures.api import access
from flexmeasures.data import database
from flexmeasures.instance import find_instance_path, make_private_folder, open_private_file
from flexmeasures.secret_key import provide_secret_key
from flexmeasures.setting_sources import load_settings, read_environment
from flexmeasures.start_notes import warn_at_start

__all__ = ["lay_foundation"]

log = logging.getLogger("flexmeasures")


def lay_foundation(
    env: str | None = None,
    path_to_config: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Flask:
    """Build an app without doors. Connects to nothing yet.

    Args:
        env: As for `app.create`.
        path_to_config: As for `app.create`.
        settings: As for `app.create`.

    Raises:
        SettingsError: If a setting is missing or wrong.
    """
    environ = read_environment()
    env = env or environ.get("FLASK_ENV") or "production"
    told = (settings or {}).get("FLEXMEASURES_INSTANCE_PATH")
    instance_path = Path(told).resolve() if told else find_instance_path(environ)
    config_file = Path(path_to_config) if path_to_config else None
    values, warnings = load_settings(env, instance_path, config_file, environ)
    values.update(settings or {})
    values["FLEXMEASURES_INSTANCE_PATH"] = str(instance_path)
    values["SECRET_KEY"] = provide_secret_key(values, env, instance_path)

    app = Flask(
        "flexmeasures",
        instance_path=str(instance_path),
        static_folder=None,
    )
    app.config.update(values, ENV=env, TESTING=env == "testing")
    _set_up_logging(app, instance_path)
    for warning in warnings:
        warn_at_start(log, "%s", warning)
    database.init_app(app, instance_path, fast=env == "testing")
    return app


class _PrivateFile(RotatingFileHandler):
    """Log files that nobody but their owner may read: messages may name what is nobody else's business."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=open_private_file)


def _set_up_logging(app: Flask, instance_path: Path) -> None:
    """Log to the console and, where the instance folder exists, to a file in it."""
    # Flask logs to the logger of our name as well, and adds a handler of its own only if there is none.
    log.setLevel(app.config["LOGGING_LEVEL"])
    if log.handlers or app.testing:
        return
    console = logging.StreamHandler()
    console.setFormatter(
        logging.Formatter("[FLEXMEASURES][%(asctime)s] %(levelname)s [%(request_id)s]: %(message)s")
    )
    console.addFilter(access.RequestIdFilter())
    log.addHandler(console)
    folder = instance_path / "logs"
    if instance_path.is_dir():
        make_private_folder(folder)
        file = _PrivateFile(folder / "flexmeasures.log", maxBytes=10_000_000, backupCount=6, delay=True)
        file.setFormatter(
            logging.Formatter(
                "%(asctime)s %(levelname)s [%(request_id)s] [%(pathname)s:%(lineno)d]: %(message)s"
            )
        )
        file.addFilter(access.RequestIdFilter())
        log.addHandler(file)
