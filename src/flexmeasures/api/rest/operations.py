"""For those who run the platform: whether it answers, and when recurring tasks last ran."""

from __future__ import annotations

import hmac
from typing import Any

from flask import Blueprint, Response, current_app, request
from sqlalchemy.orm import Session

from flexmeasures.api.door import json_response, read_clock
from flexmeasures.api.openapi.operation import Answer, documented
from flexmeasures.api.openapi.shapes import INSTANT, INTEGER, STRING, an_object, one_of
from flexmeasures.api.rest.answers import FORBIDDEN, LAST_RUN, with_status
from flexmeasures.api.rest.door import in_transaction, sender
from flexmeasures.data.database import store_states
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import parse_instant
from flexmeasures.services.tasks import TaskRun, find_task_run, record_task_run

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_api_ops", __name__, url_prefix="/api/ops")

USUAL_FREQUENCY = 10
"""Interval in which a task is expected to run, if no setting says so [minutes]."""

_NEVER = "1970-01-01T00:00:00"


@blueprint.get("/ping")
@documented({200: Answer("It does.", with_status(200, message=one_of("ok")))}, public=True)
def ping() -> Response:
    """Say that the server answers."""
    return json_response({"message": "ok", "status": 200})


_READY = an_object(
    message=STRING, status=INTEGER, database=one_of("ok", "away"), job_store=one_of("ok", "away")
)


@blueprint.get("/ready")
@documented({200: Answer("They answer.", _READY), 503: Answer("One does not.", _READY)}, public=True)
def ready() -> Response:
    """Say whether the server can work: whether the database, with the newest schema, and the job store answer."""
    states = store_states(current_app)
    status = 200 if all(states.values()) else 503
    shown = {name: "ok" if answers else "away" for name, answers in states.items()}
    message = "ready" if status == 200 else "not ready"
    response = json_response({"message": message, "status": status, **shown}, status)
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


@blueprint.get("/getLatestTaskRun")
@documented(
    LAST_RUN,
    security=("monitor",),
    query={"properties": {"name": {**STRING, "description": "Name of the task."}}, "required": ["name"]},
)
@in_transaction
def get_latest_task_run(session: Session) -> Response:
    """Tell a monitor when a task ran last; it authenticates with the token of a setting."""
    name = request.args.get("name", "")
    code, reason, run = _look_up(session, name)
    body = {
        "status": "OK" if run is not None and run.succeeded else "ERROR",
        "reason": reason,
        "lastrun": _NEVER if run is None else run.at.isoformat(),
        "frequency": current_app.config.get(f"MONITOR_FREQUENCY_{name.upper()}", USUAL_FREQUENCY),
        "process": "FlexMeasures",
        "server": current_app.config["FLEXMEASURES_MODE"],
    }
    return json_response(body, code)


def _look_up(session: Session, name: str) -> tuple[int, str, TaskRun | None]:
    """Find the last run of a task, an HTTP code, and a reason if it is not well."""
    header = current_app.config["SECURITY_TOKEN_AUTHENTICATION_HEADER"]
    given = request.headers.get(header)
    if given is None:
        return 401, f"Not authorized to check task status: no token in the header {header}.", None
    expected = current_app.config["FLEXMEASURES_TASK_CHECK_AUTH_TOKEN"]
    # Compared in constant time, so that nobody can find the token out letter by letter.
    if not expected or not hmac.compare_digest(given.encode(), str(expected).encode()):
        return 403, "Not authorized to check task status: the token is not the right one.", None
    if not name:
        return 400, "No task name given.", None
    if "\0" in name:
        return 404, "There is no task of such a name.", None
    run = find_task_run(session, name)
    if run is None:
        return 404, f"Task {name} has no last run time.", None
    return 200, "" if run.succeeded else f"Task {name} failed.", run


@blueprint.post("/postLatestTaskRun")
@documented(
    FORBIDDEN
    | {
        200: Answer("It is noted.", an_object(status=one_of("OK"))),
        400: Answer(
            "No task is named, or the time is none.", an_object(status=one_of("ERROR"), reason=STRING)
        ),
    },
    body=an_object(
        ("datetime", "status"),
        name={**STRING, "minLength": 1, "description": "Name of the task."},
        datetime={**INSTANT, "description": "When it ran; now if left out."},
        status={**one_of("True", "False"), "description": "Whether it succeeded; True if left out."},
    ),
    media_type="application/x-www-form-urlencoded",
)
@in_transaction
def post_latest_task_run(session: Session) -> Response:
    """Note when a task ran last; for users with the role task-runner."""
    sender("task-runner")
    fields: dict[str, Any] = request.form.to_dict()
    name = fields.get("name", "")
    if not name:
        return json_response({"status": "ERROR", "reason": "No task name given."}, 400)
    succeeded = fields.get("status", "True").lower() == "true"
    try:
        at = parse_instant(fields["datetime"], "datetime") if "datetime" in fields else read_clock()
        record_task_run(session, TaskRun(name, at, succeeded))
    except InvalidInput as error:
        return json_response({"status": "ERROR", "reason": str(error)}, 400)
    return json_response({"status": "OK"})
