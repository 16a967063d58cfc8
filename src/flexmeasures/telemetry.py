"""Tell services of operators what happens: errors to Sentry, traces to an OpenTelemetry collector. By setting only.

Neither is told what was sent: no bodies, query strings, tokens, cookies or local variables.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from flexmeasures._version import __version__
from flexmeasures.setting_types import SettingsError

__all__ = ["init_app", "trace_job", "trace_requests"]

_PATIENCE = 2000
"""Longest wait for a collector when a job has ended [ms]."""


def init_app(app: Flask) -> None:
    """Begin to tell what the settings name.

    Raises:
        SettingsError: If a package for it is not installed.
    """
    if app.config["SENTRY_DSN"]:
        _begin_sentry(app)
    if app.config["FLEXMEASURES_OPENTELEMETRY_URL"]:
        _begin_traces(app)


def _load(module: str, setting: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SettingsError(
            f"{setting} is set, but a package for it is missing. Install it with: pip install 'flexmeasures[{extra}]'",
            {"setting": setting},
        ) from error


def _begin_sentry(app: Flask) -> None:
    sentry = _load("sentry_sdk", "SENTRY_DSN", "sentry")
    options = {
        "release": f"flexmeasures@{__version__}",
        "environment": app.config["ENV"],
        "include_local_variables": False,
        "max_request_body_size": "never",
        "before_send": _without_query,
        **app.config["FLEXMEASURES_SENTRY_CONFIG"],
    }
    sentry.init(dsn=app.config["SENTRY_DSN"], **options)


def _without_query(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """Take out what clients may have sent as a secret."""
    request = event.get("request", {})
    for name in ("query_string", "cookies", "headers", "data"):
        request.pop(name, None)
    return event


def _begin_traces(app: Flask) -> None:
    setting, extra = "FLEXMEASURES_OPENTELEMETRY_URL", "opentelemetry"
    trace = _load("opentelemetry.sdk.trace", setting, extra)
    export = _load("opentelemetry.sdk.trace.export", setting, extra)
    resources = _load("opentelemetry.sdk.resources", setting, extra)
    otlp = _load("opentelemetry.exporter.otlp.proto.http.trace_exporter", setting, extra)
    about = {"service.name": "flexmeasures", "service.version": __version__}
    provider = trace.TracerProvider(resource=resources.Resource.create(about))
    address = f"{app.config[setting].rstrip('/')}/v1/traces"
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=address)))
    app.extensions["traces"] = provider


def trace_requests(app: Flask) -> None:
    """Make a span of each request, where traces are wanted."""
    if "traces" in app.extensions:
        flask = _load(
            "opentelemetry.instrumentation.flask", "FLEXMEASURES_OPENTELEMETRY_URL", "opentelemetry"
        )
        flask.FlaskInstrumentor().instrument_app(app, tracer_provider=app.extensions["traces"])


@contextmanager
def trace_job(app: Flask, queue: str, job_id: str) -> Iterator[None]:
    """Make a span of a job, where traces are wanted; it is handed over before the job's process ends."""
    provider = app.extensions.get("traces")
    if provider is None:
        yield
        return
    try:
        with provider.get_tracer("flexmeasures").start_as_current_span(
            f"job {queue}", attributes={"job.id": job_id, "job.queue": queue}
        ):
            yield
    finally:
        provider.force_flush(_PATIENCE)
