"""Where everything is put together; nothing else knows all of the parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, current_app, redirect, request
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from flexmeasures import plugins, telemetry
from flexmeasures.api import (
    access,
    bodies,
    communities,
    coordination,
    observing,
    openadr3,
    problem,
    rates,
    rest,
)
from flexmeasures.api.openapi import views as openapi
from flexmeasures.api.usef import routes
from flexmeasures.auth import browsers, hosts
from flexmeasures.auth import setup as auth
from flexmeasures.foundation import lay_foundation
from flexmeasures.ui import api_docs, handbook, views

__all__ = ["add_doors", "create"]


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
    app = lay_foundation(env, path_to_config, settings)
    add_doors(app)
    return app


def add_doors(app: Flask) -> None:
    """Give an app from `foundation` its doors: the APIs, pages and accounts, and what plugins bring."""
    # Of the app: its pages win over those of extensions with the same names.
    app.template_folder = "ui/templates"
    app.url_map.converters["int"] = _Number
    app.wsgi_app = browsers.SecureCookies(app.wsgi_app)  # type: ignore[method-assign]
    if app.config["FLEXMEASURES_TRUSTED_PROXIES"]:
        hops = app.config["FLEXMEASURES_TRUSTED_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    access.register(app)
    bodies.register(app)
    auth.init_app(app)
    CORS(
        app,
        resources=app.config["CORS_RESOURCES"],
        origins=app.config["CORS_ORIGINS"],
        supports_credentials=app.config["CORS_SUPPORTS_CREDENTIALS"]
        and not _is_everybody(app.config["CORS_ORIGINS"]),
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
    app.register_blueprint(handbook.blueprint)
    observing.register(app)
    problem.register(app)
    plugins.register(app)
    telemetry.trace_requests(app)


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
    # A balancer asks by address, and learns nothing that is nobody else's business.
    if hosts.host_name(request.host) in hosts.LOCAL_HOSTS or request.path.startswith("/health"):
        return None
    return redirect(request.url.replace("http://", "https://", 1), code=308)  # type: ignore[return-value]
