"""The job queues, their workers and their jobs, within our frame."""

from __future__ import annotations

from flask import abort, current_app, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.jobs.overview import QueueLine, list_jobs, list_queues, list_workers, retry_job
from flexmeasures.services.users import has_role
from flexmeasures.ui.blueprint import blueprint, may_see_queues, needs_login
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import keeps_typed
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

_ALIASES = {"schedules": "scheduling", "forecasts": "forecasting"}
"""Other names of queues in addresses."""


@blueprint.get("/rq/", strict_slashes=False)
@blueprint.get("/rq/<path:_rest>")
@needs_login
def show_rq(_rest: str = "") -> BaseResponse:
    """Lead to the queues from the address that the documentation names, too."""
    return redirect(url_for("flexmeasures_ui.show_tasks"))


@blueprint.get("/tasks/", strict_slashes=False)
@blueprint.get("/tasks/<queue>", strict_slashes=False)
@needs_login
def show_tasks(queue: str | None = None) -> str:
    """Show all queues, or the jobs of one."""
    if not may_see_queues():
        abort(403)
    connection = current_app.extensions["redis"]
    queues = list_queues(connection)
    name = _ALIASES.get(queue or "", queue)
    state = request.args.get("state") or _usual_state(queues, name)
    shown = [name] if name else [one.name for one in queues]
    jobs = [job for one in shown for job in list_jobs(connection, one, state)]
    return render_flexmeasures_template(
        "pages/tasks.html",
        page="tasks",
        queues=queues,
        workers=list_workers(connection),
        jobs=jobs,
        queue=name,
        state=state,
        interval=current_app.config["RQ_DASHBOARD_POLL_INTERVAL"],
        may_retry=has_role(current_user, "admin"),
    )


def _usual_state(queues: list[QueueLine], name: str | None) -> str:
    """Choose what is looked at first: what failed, else what is done."""
    failed = sum(one.failed for one in queues if name in (None, one.name))
    return "failed" if failed else "finished"


@blueprint.post("/tasks/retry")
@keeps_typed
@needs_login
def retry_task() -> BaseResponse:
    """Try a failed job again; for admins."""
    if not has_role(current_user, "admin"):
        abort(403)
    fault = csrf_fault()
    if fault:
        flash(fault, "error")
    else:
        retry_job(current_app.extensions["redis"], request.form.get("job", ""))
        flash("The job was placed again.")
    return redirect(url_for("flexmeasures_ui.show_tasks"))
