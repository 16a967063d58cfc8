"""What every process of the platform stands on: its settings, its log, its database and its job store.

Workers and many commands need no more than that, and begin in half the time without the doors.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from flexmeasures import telemetry
from flexmeasures.data import counting, database
from flexmeasures.instance import find_instance_path
from flexmeasures.logs import set_up_logging
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
    log.setLevel(app.config["LOGGING_LEVEL"])
    if not app.testing:
        set_up_logging(log, app.config["FLEXMEASURES_LOG_FORMAT"], instance_path)
    for warning in warnings:
        warn_at_start(log, "%s", warning)
    database.init_app(app, instance_path, fast=env == "testing")
    counting.init_app(app)
    telemetry.init_app(app)
    return app
