"""For those who watch the platform: whether it lives and is ready, its figures, and how long each request took."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Iterator, Mapping

from flask import Blueprint, Flask, Response, abort, current_app, g, request

from flexmeasures._version import __version__
from flexmeasures.api.access import loggable_path
from flexmeasures.api.door import json_response
from flexmeasures.data.database import redis_connection, store_states
from flexmeasures.jobs.overview import list_queues, list_workers
from flexmeasures.metrics import REQUEST_SECONDS, REQUESTS, Metric, Metrics, render, render_metric

__all__ = ["register"]

log = logging.getLogger(__name__)

blueprint = Blueprint("flexmeasures_health", __name__)

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_NOT_PROFILED = ("/ui/static", "/fs-static", "/favicon")


def register(app: Flask) -> None:
    """Add the endpoints of monitors; figures are counted only where FLEXMEASURES_METRICS is on."""
    app.register_blueprint(blueprint)
    if app.config["FLEXMEASURES_PROFILE_REQUESTS"]:
        app.after_request(_profile)
    if app.config["FLEXMEASURES_METRICS"]:
        app.after_request(_count)
        app.add_url_rule("/metrics", "flexmeasures_metrics", show_metrics)


@blueprint.get("/health/live")
def live() -> Response:
    """Say that the process answers: whether to restart it."""
    return json_response({"status": "ok"})


@blueprint.get("/health")
@blueprint.get("/health/ready")
def ready() -> Response:
    """Say whether the server can work: whether to send requests to it."""
    states = store_states(current_app)
    shown = {name: "ok" if answers else "away" for name, answers in states.items()}
    response = json_response(
        {"status": "ok" if all(states.values()) else "away", **shown}, 200 if all(states.values()) else 503
    )
    response.headers["Cache-Control"] = "no-store"
    if not all(states.values()):
        response.headers["Retry-After"] = "5"
    return response


def _profile(response: Response) -> Response:
    """Log how long a request took, whatever LOGGING_LEVEL says; that is what the setting is for."""
    if not request.path.startswith(_NOT_PROFILED):
        seconds = time.perf_counter() - g.request_began
        text = "[PROFILE] %.2f seconds to serve %s."
        arguments = (seconds, loggable_path())
        log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, text, arguments, None))
    return response


def _count(response: Response) -> Response:
    metrics: Metrics = current_app.extensions["metrics"]
    # The pattern, not the path: there are as many paths as clients think of.
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.method in _METHODS else "other"
    metrics.count(REQUESTS, method, route, str(response.status_code))
    metrics.observe(REQUEST_SECONDS, time.perf_counter() - g.request_began, route)
    return response


def show_metrics() -> Response:
    """Write the figures of all processes in the text format of Prometheus."""
    token = current_app.config["FLEXMEASURES_METRICS_TOKEN"]
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and not hmac.compare_digest(given.encode(), token.encode()):
        abort(401)
    metrics: Metrics = current_app.extensions["metrics"]
    states = store_states(current_app)
    figures = metrics.read() if states["job_store"] else {}
    body = render(figures) + "".join(_gauges(current_app, states))
    return Response(body, content_type="text/plain; version=0.0.4; charset=utf-8")


def _gauges(app: Flask, states: Mapping[str, bool]) -> Iterator[str]:
    """Write what is so at the moment."""
    yield render_metric(_INFO, {(__version__,): 1}, "gauge")
    yield render_metric(_UP, {(name,): float(up) for name, up in states.items()}, "gauge")
    if states["job_store"]:
        lines = list_queues(redis_connection(app))
        jobs: dict[tuple[str, ...], float] = {(line.name, "waiting"): line.waiting for line in lines}
        jobs |= {(line.name, "running"): line.running for line in lines}
        yield render_metric(_QUEUES, jobs, "gauge")
        yield render_metric(_WORKERS, {(): len(list_workers(redis_connection(app)))}, "gauge")


_INFO = Metric("flexmeasures_info", "The version that answers.", ("version",))
_UP = Metric("flexmeasures_store_up", "Whether a store answers (1) or not (0).", ("store",))
_QUEUES = Metric("flexmeasures_queue_jobs", "Jobs by queue and state.", ("queue", "state"))
_WORKERS = Metric("flexmeasures_workers", "Workers that are there.", ())
