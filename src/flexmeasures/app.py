"""Where everything is put together; nothing else knows all of the parts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, redirect, request
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from flexmeasures import plugins
from flexmeasures.api import access, bodies, communities, coordination, openadr3, problem, rates, rest
from flexmeasures.api.openapi import views as openapi
from flexmeasures.api.usef import routes
from flexmeasures.auth import browsers, hosts
from flexmeasures.auth import setup as auth
from flexmeasures.data import database
from flexmeasures.instance import find_instance_path, make_private_folder, open_private_file
from flexmeasures.settings import load_settings, provide_secret_key, read_environment
from flexmeasures.start_notes import warn_at_start
from flexmeasures.ui import api_docs, views

__all__ = ["create"]

log = logging.getLogger("flexmeasures")


def create(
    env: str | None = None,
    path_to_config: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Flask:
    """Build the web application. Connects to nothing yet.

    Args:
        env: One of documentation, development, testing, staging, production; ``FLASK_ENV`` if left out.
        path_to_config: A configuration file to read instead of the usual ones.
        settings: Values that win over all other sources; for tests and for programs that embed the platform.

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
        template_folder="ui/templates",  # of the app: its pages win over those of extensions with the same names
    )
    app.url_map.converters["int"] = _Number
    app.config.update(values, ENV=env, TESTING=env == "testing")
    _set_up_logging(app, instance_path)
    for warning in warnings:
        warn_at_start(log, "%s", warning)
    app.wsgi_app = browsers.SecureCookies(app.wsgi_app)  # type: ignore[method-assign]
    if values["FLEXMEASURES_TRUSTED_PROXIES"]:
        hops = values["FLEXMEASURES_TRUSTED_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    access.register(app)
    bodies.register(app)
    database.init_app(app, instance_path, fast=env == "testing")
    auth.init_app(app)
    CORS(
        app,
        resources=values["CORS_RESOURCES"],
        origins=values["CORS_ORIGINS"],
        supports_credentials=values["CORS_SUPPORTS_CREDENTIALS"]
        and not _is_everybody(values["CORS_ORIGINS"]),
        expose_headers=[access.HEADER, "Retry-After"],
    )
    app.before_request(_insist_on_https)
    browsers.register(app)
    hosts.register(app)
    rates.register(app)
    rest.register(app)
    openadr3.register(app)
    coordination.register(app)
    routes.register(app)
    communities.register(app)
    app.register_blueprint(openapi.blueprint)
    views.register(app)
    app.register_blueprint(api_docs.blueprint)
    problem.register(app)
    plugins.register(app)
    return app


class _Number(IntegerConverter):
    """Numbers in paths: in ASCII digits, while Python's own also take those of other scripts."""

    regex = "[0-9]{1,18}"


def _is_everybody(origins: str | list[str]) -> bool:
    """Tell whether all origins are let in; none of them may then act with the cookies of its visitors."""
    return not {"*", ".*"}.isdisjoint([origins] if isinstance(origins, str) else origins)


def _insist_on_https() -> Response | None:
    """Send plain HTTP on to HTTPS, but for localhost, where there is no certificate and nobody listens in."""
    if request.is_secure or not current_app.config["FLEXMEASURES_FORCE_HTTPS"] or current_app.debug:
        return None
    if hosts.host_name(request.host) in hosts.LOCAL_HOSTS:
        return None
    return redirect(request.url.replace("http://", "https://", 1), code=308)  # type: ignore[return-value]


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
