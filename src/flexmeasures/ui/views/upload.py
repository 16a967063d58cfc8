"""Upload data: choose a file, look at what was understood, and store it, all or nothing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import current_app, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError, InvalidInput
from flexmeasures.domain.reading_tables import Mapping, Readings, guess_mapping
from flexmeasures.domain.time import is_timezone
from flexmeasures.services.upload_readings import (
    Table,
    UploadTarget,
    find_target,
    list_targets,
    open_table,
    read_table,
    store_readings,
)
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import FormState, keeps_typed
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

LARGEST_FILE = 16 * 1024 * 1024
_KEPT = 3600
"""So long a file waits to be stored after it was looked at [s]."""


@dataclass(frozen=True)
class _Upload:
    """A file that waits to be stored."""

    key: str
    name: str
    table: Table
    target: UploadTarget


@blueprint.get("/upload")
@needs_login
def show_upload() -> str:
    """Show the form for a file."""
    return _show(FormState({"sensor": request.args.get("sensor", "")}))


def _show(form: FormState) -> str:
    targets = [
        (one.sensor.id, f"{one.caption} [{one.sensor.unit}]")
        for one in list_targets(db.session, current_user)
    ]
    return render_flexmeasures_template("pages/upload.html", form=form, targets=targets)


@blueprint.post("/upload")
@keeps_typed
@needs_login
def look_at_file() -> str | tuple[str, int]:
    """Show what was understood of a file; nothing is stored yet."""
    form = FormState(dict(request.form))
    fault = csrf_fault()
    try:
        if fault:
            raise InvalidInput(fault)
        target = find_target(db.session, current_user, _number(request.form.get("sensor")))
        file = request.files.get("file")
        if file is None or not file.filename:
            raise InvalidInput("Choose a file: CSV or an Excel workbook (.xlsx).")
        content = file.stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise InvalidInput("The file is larger than 16 MB. Send it in parts.")
        table = open_table(content, file.filename)
        key = secrets.token_urlsafe(16)
        packed = orjson.dumps({"name": file.filename[:200], "sensor": target.sensor.id}) + b"\n" + content
        current_app.extensions["redis"].set(_place(key), packed, ex=_KEPT)
    except FlexError as error:
        form.add("file", str(error))
        return _show(form), 400
    zone = current_user.timezone if is_timezone(current_user.timezone) else "UTC"
    mapping = guess_mapping(table.header, table.rows, zone)
    return _preview(_Upload(key, file.filename, table, target), mapping, target.sensor.unit, FormState())


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _place(key: str) -> str:
    return f"flexmeasures:upload:{current_user.id}:{key}"


def _preview(upload: _Upload, mapping: Mapping, unit: str, form: FormState) -> str:
    readings = read_table(upload.target, upload.table, mapping)
    return render_flexmeasures_template(
        "pages/upload_preview.html",
        upload=upload,
        mapping=mapping,
        unit=unit,
        readings=readings,
        form=form,
        first=_instant(readings, 0),
        last=_instant(readings, -1),
        sign=request.form.get("sign", "consumption"),
    )


def _instant(readings: Readings, place: int) -> datetime | None:
    if not len(readings.starts):
        return None
    found: Any = readings.starts[place].item()
    return found.replace(tzinfo=UTC)  # type: ignore[no-any-return]


@blueprint.post("/upload/<key>")
@keeps_typed
@needs_login
def store_file(key: str) -> str | BaseResponse | tuple[str, int]:
    """Read a file anew as its user says; store it if all is good and that is wanted."""
    upload = _find(key)
    if upload is None:
        flash("The file is not kept any more: choose it again.", "error")
        return redirect(url_for("flexmeasures_ui.show_upload"))
    form, typed = FormState(dict(request.form)), request.form
    zone = typed.get("zone", "UTC")
    if not is_timezone(zone):
        form.add("zone", "Write a time zone such as Europe/Amsterdam.")
        zone = "UTC"
    width = len(upload.table.header)
    columns = [min(_number(typed.get(name)), width - 1) for name in ("time", "value")]
    mapping = Mapping(columns[0], columns[1], zone, typed.get("decimal") == "comma")
    unit = typed.get("unit", "").strip() or upload.target.sensor.unit
    fault = csrf_fault()
    if fault:
        form.add("", fault)
    if typed.get("do") != "store" or form.errors:
        return _preview(upload, mapping, unit, form)
    readings = read_table(upload.target, upload.table, mapping)
    try:
        added = as_transaction(store_readings)(
            db.session,
            current_user._get_current_object(),
            upload.target,
            readings,
            unit,
            typed.get("sign") == "production",
            datetime.now(UTC),
        )
    except FlexError as error:
        db.session.rollback()
        form.add("unit", str(error))
        return _preview(upload, mapping, unit, form), 400
    current_app.extensions["redis"].delete(_place(key))
    words = f"{added.new:,} values of {upload.target.caption} were stored."
    if added.known or added.contradicting:
        words += f" {added.known + added.contradicting:,} were there before and stay as they are."
    flash(words)
    return redirect(url_for("flexmeasures_ui.show_upload"))


def _find(key: str) -> _Upload | None:
    packed = current_app.extensions["redis"].get(_place(key)) if len(key) < 60 else None
    if packed is None:
        return None
    head, _, content = packed.partition(b"\n")
    about = orjson.loads(head)
    target = find_target(db.session, current_user, about["sensor"])
    return _Upload(key, about["name"], open_table(content, about["name"]), target)
