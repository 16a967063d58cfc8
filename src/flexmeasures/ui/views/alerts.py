"""Alerts: what needs attention in measurements, taking note of it, and what is unusual for an asset."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from flask import Response, abort, current_app, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.monitoring import AlertKind
from flexmeasures.domain.rights import Action
from flexmeasures.domain.time import format_instant
from flexmeasures.services.assets import find_visible_asset
from flexmeasures.services.monitoring.alerts import (
    STATES,
    AlertLine,
    acknowledge_alert,
    acknowledge_all,
    list_alerts,
)
from flexmeasures.services.monitoring.rules import OwnRule, kw_per_value, set_own_rule
from flexmeasures.services.tasks import find_task_run
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import FormState, keeps_typed, read_number
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

TASK = "check_alerts"

KIND_WORDS = {
    AlertKind.THRESHOLD: "Threshold",
    AlertKind.GAP: "Data gap",
    AlertKind.OUTLIER: "Outlier",
    AlertKind.IDLE: "Idle",
    AlertKind.LEAK: "Leak",
}


@blueprint.get("/alerts", strict_slashes=False)
@needs_login
def show_alerts() -> str | Response:
    """List alerts; with ``format`` as a CSV or JSON file."""
    state, kind = request.args.get("state", "waiting"), request.args.get("kind") or None
    alerts = list_alerts(db.session, current_user, state, kind)
    if request.args.get("format"):
        return _download(alerts, request.args["format"])
    now = datetime.now(UTC)
    run = find_task_run(db.session, TASK)
    interval = current_app.config["FLEXMEASURES_MONITORING_INTERVAL"]
    return render_flexmeasures_template(
        "pages/alerts.html",
        alerts=alerts,
        state=state,
        kind=kind,
        states=STATES,
        kind_words=KIND_WORDS,
        checked_at=None if run is None else run.at,
        interval=interval,
        is_stale=bool(interval) and (run is None or run.at < now - max(3 * interval, timedelta(hours=1))),
    )


def _download(alerts: list[AlertLine], kind: str) -> Response:
    """Answer with alerts as a file."""
    if kind not in ("csv", "json"):
        abort(404)
    rows = [{**asdict(one), "words": one.words} for one in alerts]
    if kind == "json":
        answer = Response(orjson.dumps(rows), mimetype="application/json")
    else:
        text = io.StringIO()
        names = [*AlertLine.__dataclass_fields__, "words"]
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        answer = Response(text.getvalue(), mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=f"alerts.{kind}")
    return answer


def _cell(value: Any) -> Any:
    """Write a cell of a CSV file; a text never as a formula, which some programs would compute."""
    if isinstance(value, datetime):
        return format_instant(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value[:1] else value


@blueprint.post("/alerts/acknowledge")
@keeps_typed
@needs_login
def take_note() -> BaseResponse:
    """Take note of an alert, or of all."""
    text = request.form.get("alert", "")
    fault = csrf_fault()
    user, now = current_user._get_current_object(), datetime.now(UTC)
    if not fault and text == "all":
        count = as_transaction(acknowledge_all)(db.session(), user, now)
        flash(f"{count} alert{' was' if count == 1 else 's were'} acknowledged.")
    elif fault or not (text.isascii() and text.isdigit() and len(text) < 19):
        flash(fault or "Choose an alert.", "error")
    else:
        try:
            as_transaction(acknowledge_alert)(
                db.session(), user, int(text), now, request.form.get("note", "")
            )
            flash("The alert was acknowledged.")
        except FlexError as error:
            db.session.rollback()
            flash(str(error), "error")
    return redirect(url_for("flexmeasures_ui.show_alerts", state=request.form.get("state") or None))


@blueprint.post("/assets/<int:asset_id>/watch")
@keeps_typed
@needs_login
def change_watch(asset_id: int) -> BaseResponse:
    """Say what is unusual for the power of an asset [kW, consumption positive]."""
    asset = find_visible_asset(db.session, current_user, asset_id, Action.UPDATE)
    form = FormState(dict(request.form))
    fault = csrf_fault()
    if fault:
        form.add("", fault)
    lowest, highest, hours = (
        read_number(form, request.form, name, required=False) for name in ("lowest", "highest", "gap_after")
    )
    if hours is not None and not 0 < hours <= 366 * 24:
        form.add("gap_after", "Give a number of hours above 0, and at most a year.")
    if not form.errors:
        kw = kw_per_value(asset.sensor)
        rule = OwnRule(
            None if lowest is None else lowest / kw,
            None if highest is None else highest / kw,
            None if hours is None else timedelta(hours=hours),
            "is_off" in request.form,
        )
        try:
            as_transaction(set_own_rule)(db.session(), asset.sensor, rule)
        except FlexError as error:
            db.session.rollback()
            form.add("", str(error))
    if form.errors:
        texts = "; ".join(text for texts in form.errors.values() for text in texts)
        flash(f"Nothing was changed. {texts}", "error")
    else:
        flash("From the next check on this is what alerts go by.")
    return redirect(url_for("flexmeasures_ui.show_asset", asset_id=asset_id, _anchor="watch"))
