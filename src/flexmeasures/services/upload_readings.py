"""Readings from a file of a user: opened, looked at, and stored all together or not at all."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Added, SensorBeliefs, add_beliefs
from flexmeasures.data.stores.users import source_of_user
from flexmeasures.data.tables import Asset, Market, Sensor, User, WeatherSensor
from flexmeasures.domain.beliefs import Beliefs, belief_horizons
from flexmeasures.domain.errors import BadValues, InvalidInput, NotAllowed, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.reading_tables import Mapping, Readings, parse_readings
from flexmeasures.domain.rights import UPLOAD_RULES, Action, Actor, Kind, Thing, may
from flexmeasures.domain.time import to_datetime64
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.assets import visible_assets
from flexmeasures.services.record_beliefs import check_signs
from flexmeasures.services.rights import actor_of
from flexmeasures.services.users import has_role

__all__ = [
    "MAX_ROWS",
    "Table",
    "UploadTarget",
    "find_target",
    "list_targets",
    "open_table",
    "read_table",
    "store_readings",
]

MAX_ROWS = 200_000
"""So many lines at most: more than five years of quarter-hours. Larger files go through the command line."""

_LARGEST_UNPACKED = 64 * 1024 * 1024
"""A workbook may not unfold to more than this [bytes]."""


@dataclass(frozen=True)
class Table:
    """A file as lines of cells.

    Attributes:
        header: Names of the columns.
        rows: The other lines.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class UploadTarget:
    """A sensor to which a user may upload.

    Attributes:
        asset: Whose power it measures; None: it is of a market or of the weather.
    """

    sensor: Sensor
    caption: str
    asset: Asset | None = None


_PRICES = Thing(Kind.SENSOR, posters=frozenset({"MDC", "Supplier", "Aggregator"}))
_WEATHER = Thing(Kind.SENSOR, posters=frozenset({"MDC"}))


def _may_upload(actor: Actor, sensor: Thing) -> bool:
    return may(actor, Action.CREATE_CHILDREN, sensor, UPLOAD_RULES)


def list_targets(session: Session, user: User) -> list[UploadTarget]:
    """List the sensors to which a user may upload: of their own assets, and by role of markets and weather."""
    actor = actor_of(user)
    targets = [
        UploadTarget(asset.sensor, f"{asset.display_name}: power", asset)
        for asset in visible_assets(session, user)
        if _may_upload(actor, Thing(Kind.SENSOR, asset.account_id, asset.owner_id))
    ]
    if _may_upload(actor, _PRICES):
        targets += [
            UploadTarget(one.sensor, f"{one.display_name}: prices") for one in session.scalars(select(Market))
        ]
    if _may_upload(actor, _WEATHER):
        targets += [
            UploadTarget(one.sensor, one.display_name or one.name)
            for one in session.scalars(select(WeatherSensor))
        ]
    return targets


def find_target(session: Session, user: User, sensor_id: int) -> UploadTarget:
    """Find a sensor to which a user may upload.

    Raises:
        NotFound: If there is none, or it is somebody else's: the user learns no difference.
        NotAllowed: If the user may not upload at all.
    """
    if has_role(user, "anonymous"):
        raise NotAllowed("An anonymous user may not upload data. Log in with an account of your own.")
    for target in list_targets(session, user):
        if target.sensor.id == sensor_id:
            return target
    raise NotFound(f"You have no sensor with id {sensor_id}. Choose one of the list.")


def open_table(content: bytes, name: str) -> Table:
    """Open a CSV file or an Excel workbook, of which the first sheet is read.

    Raises:
        InvalidInput: If it is neither, empty, or too long.
    """
    if not content.strip():
        raise InvalidInput("The file is empty. Choose one with a head and a line for each value.")
    lines = _read_workbook(content) if content[:4] == b"PK\x03\x04" else _read_csv(content, name)
    lines = [line for line in lines if any(str(cell).strip() for cell in line if cell is not None)]
    if len(lines) < 2:
        raise InvalidInput("The file has no lines below its head. It needs a head and a line for each value.")
    if len(lines) > MAX_ROWS + 1:
        raise InvalidInput(f"The file has more than {MAX_ROWS:,} lines. Send it in parts.")
    return Table(tuple(str(cell or "") for cell in lines[0]), tuple(tuple(line) for line in lines[1:]))


def _read_workbook(content: bytes) -> list[Sequence[Any]]:
    from openpyxl import load_workbook  # noqa: PLC0415 - half a second, which only those wait who send one

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(part.file_size for part in archive.infolist()) > _LARGEST_UNPACKED:
                raise InvalidInput("The workbook is too large. Send it as CSV, in parts.")
        sheet = load_workbook(io.BytesIO(content), read_only=True, data_only=True).worksheets[0]
        lines = []
        for line in sheet.iter_rows(values_only=True):
            lines.append(line)
            if len(lines) > MAX_ROWS + 1:
                break
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, OSError, TypeError) as error:
        raise InvalidInput(
            "The file looks like a workbook, but cannot be opened. Save it anew, or as CSV."
        ) from error
    return lines


def _read_csv(content: bytes, name: str) -> list[Sequence[Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise InvalidInput(
            f"{quote(name)} is neither CSV nor an Excel workbook (.xlsx). Save it as one of them."
        )
    head = text[:5000]
    separator = max(
        (";", "\t", ","), key=lambda one: head.count(one) if one != "," else head.count(one) * 0.5
    )
    try:
        return list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise InvalidInput(f"{quote(name)} cannot be read as CSV: {error}.") from None


def read_table(target: UploadTarget, table: Table, mapping: Mapping) -> Readings:
    """Read a table for a sensor."""
    return parse_readings(table.rows, mapping, target.sensor.event_resolution)


def store_readings(
    session: Session,
    user: User,
    target: UploadTarget,
    readings: Readings,
    unit: str,
    production_positive: bool,
    now: datetime,
) -> Added:
    """Store what was read, all of it or nothing.

    Args:
        session: Within its transaction; the caller commits.
        user: Who says so.
        target: The sensor.
        readings: Without faults.
        unit: Of the values; energies of slots, such as kWh, are taken as the mean power of their slots.
        production_positive: Whether production is positive in the file.
        now: When it is known.

    Raises:
        BadValues: If there is nothing, or its signs do not fit the asset.
        IncompatibleUnits: If the unit is of another quantity.
    """
    sensor = target.sensor
    if readings.faults or not len(readings.starts):
        raise BadValues("There is nothing to store: mend the file first.")
    values = readings.values * _factor(unit, sensor)
    if target.asset is not None:
        values = -values if production_positive else values
        kind = target.asset.asset_type
        fault = check_signs(values, kind.is_consumer, kind.is_producer)
        if fault:
            raise BadValues(
                f"{target.asset.display_name} {fault}, but the file says otherwise: choose the other sign."
            )
    starts = readings.starts
    times = np.full(len(starts), to_datetime64(now))
    horizons = belief_horizons(sensor.knowledge_rule, starts, sensor.event_resolution, times)
    source = np.full(len(starts), source_of_user(session, user), dtype=np.int32)
    return add_beliefs(session, [SensorBeliefs(sensor.id, Beliefs(starts, values, horizons, source))])


def _factor(unit: str, sensor: Sensor) -> float:
    """Convert to the unit of the sensor; energy of a slot becomes power."""
    if sensor.unit.endswith("W") and unit.endswith("Wh") and sensor.event_resolution > timedelta(0):
        hours = sensor.event_resolution / timedelta(hours=1)
        return conversion_factor(unit.removesuffix("h"), sensor.unit) / hours
    return conversion_factor(unit, sensor.unit)
