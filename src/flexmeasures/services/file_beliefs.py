"""Beliefs from files for operators: one or several columns to one or several sensors, all of them or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs, time_range
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, DataSource, Sensor
from flexmeasures.domain.beliefs import MEDIAN, Beliefs, InsertPolicy, belief_horizons
from flexmeasures.domain.errors import BadBeliefTiming, BadValues, Conflict, InvalidInput, NotFound
from flexmeasures.domain.meter_readings import energy_between_readings
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.reading_tables import Mapping, Readings, ValueColumn, guess_mapping, parse_columns
from flexmeasures.domain.time import from_datetime64, to_datetime64
from flexmeasures.domain.units import is_power_unit
from flexmeasures.services.find import find_sensor_row
from flexmeasures.services.reading_files import Table
from flexmeasures.services.reading_units import (
    check_step,
    factor_to_unit,
    is_energy_for_power,
    is_energy_unit,
)
from flexmeasures.services.record_beliefs import check_signs

__all__ = [
    "Claim",
    "FileOrder",
    "ReadColumn",
    "SensorColumn",
    "StoredColumn",
    "find_source",
    "read_columns",
    "store_columns",
]

SCRIPT = "script"
"""The type of sources of what operators load from files."""


@dataclass(frozen=True)
class SensorColumn:
    """A column whose values are those of a sensor.

    Attributes:
        column: Its name in the head, or its number from 0 on.
        unit: Of its values; that of the sensor if None. Energies of slots, such as kWh, become mean power.
        cumulative: Whether it holds the readings of a meter that counts up.
        production_positive: Whether production is positive in the file; power is stored with consumption positive.
    """

    column: str | int
    sensor_id: int
    unit: str | None = None
    cumulative: bool = False
    production_positive: bool = False


@dataclass(frozen=True)
class FileOrder:
    """Rules for reading a file.

    Attributes:
        columns: Those with values.
        time: Column with the start of each event; the first one that holds times if None.
        zone: IANA name of the time zone of times that name none; that of the first sensor if None.
        decimal_comma: Whether a comma stands before decimals; as it looks if None.
        month_first: Whether 03/04/2021 is 4 March.
        empty: Texts that stand for no value; lines without a value are left out then.
    """

    columns: Sequence[SensorColumn]
    time: str | int | None = None
    zone: str | None = None
    decimal_comma: bool | None = None
    month_first: bool = False
    empty: frozenset[str] | None = None


@dataclass(frozen=True)
class Claim:
    """Source and recording time of the beliefs in a file, and the policy for beliefs that exist already.

    Attributes:
        source: Id of a source, or the name of one of type script, which is made at first need.
        now: The present; when it came to be believed, unless something else is said.
        belief_time: When it came to be believed ...
        horizon: ... or how long before the end of each event; negative: after it.
        probability: Cumulative probability of the values.
        overwrite: Whether other values replace those that are there.
    """

    source: str
    now: datetime
    belief_time: datetime | None = None
    horizon: timedelta | None = None
    probability: float = MEDIAN
    overwrite: bool = False


@dataclass(frozen=True)
class StoredColumn:
    """Outcome of storing a column.

    Attributes:
        known: How many values its source had given before.
        resets: How often its meter began anew.
        spread: How many events share the energy of a gap between meter readings.
    """

    sensor: str
    stored: int
    known: int
    first: datetime
    last: datetime
    resets: int = 0
    spread: int = 0


@dataclass(frozen=True)
class ReadColumn:
    """A column that was read: values of a sensor, in its unit and with its sign."""

    sensor: Sensor
    starts: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    values: np.ndarray[tuple[int], np.dtype[np.float64]]
    resets: int = 0
    spread: int = 0


def read_columns(session: Session, table: Table, order: FileOrder) -> list[ReadColumn]:
    """Read the columns of a file for their sensors.

    Raises:
        NotFound: If there is no such sensor.
        InvalidInput: If there is no such column.
        BadValues: If lines are wrong, by number; or if signs or steps do not fit a sensor.
        UnknownUnit: If a unit is not one.
        IncompatibleUnits: If a unit is of another quantity than that of its sensor.
    """
    if not order.columns:
        raise InvalidInput("Say which column is of which sensor.")
    ids = [column.sensor_id for column in order.columns]
    if len(set(ids)) < len(ids):
        raise InvalidInput(f"Sensor {max(ids, key=ids.count)} has two columns. Give it one of them.")
    sensors = [find_sensor_row(session, one) for one in ids]
    zone = order.zone or sensors[0].timezone
    guessed = guess_mapping(table.header, table.rows, zone)
    mapping = Mapping(
        guessed.time if order.time is None else find_column(table, order.time),
        guessed.value,
        zone,
        guessed.decimal_comma if order.decimal_comma is None else order.decimal_comma,
        order.month_first,
    )
    several = len(order.columns) > 1
    wanted = [
        ValueColumn(
            find_column(table, column.column, guessed.value),
            sensor.event_resolution,
            may_be_empty=several or order.empty is not None,
            empty=order.empty or frozenset(),
        )
        for column, sensor in zip(order.columns, sensors, strict=True)
    ]
    read = parse_columns(table.rows, mapping, wanted, table.lines)
    _refuse_faults(read, order.columns)
    return [
        _convert(session, column, sensor, readings)
        for column, sensor, readings in zip(order.columns, sensors, read, strict=True)
    ]


def find_column(table: Table, named: str | int, default: int = 0) -> int:
    """Find a column by its name in the head, or by its number from 0 on; an empty name is the default.

    Raises:
        InvalidInput: If there is none, or several.
    """
    if named == "":
        return default
    width = max(len(table.header), max((len(row) for row in table.rows[:100]), default=0))
    places = [place for place, name in enumerate(table.header) if name == str(named)]
    if len(places) > 1:
        raise InvalidInput(
            f"There are {len(places)} columns {quote(str(named))}. Name the column by its number, from 0 on."
        )
    if places:
        return places[0]
    text = str(named)
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) < width:
        return int(text)
    names = ", ".join(quote(name) for name in table.header[:20]) or "none with names"
    raise InvalidInput(
        f"There is no column {quote(text)}. The columns are {names}; their numbers are 0 to {width - 1}."
    )


def _refuse_faults(read: Sequence[Readings], columns: Sequence[SensorColumn]) -> None:
    """Tell which lines are wrong, each fault once.

    Raises:
        BadValues: If there are any.
    """
    told: dict[str, None] = {}
    for readings, column in zip(read, columns, strict=True):
        of_column = f"column {quote(str(column.column))}: " if len(columns) > 1 else ""
        for fault in readings.faults:
            where = "" if "is not a time" in fault.text or fault.text.startswith("its time") else of_column
            told[f"line {fault.line}: {where}{fault.text}"] = None
    if told:
        raise BadValues("\n".join(["Nothing was stored, because lines are wrong:", *told]))
    for readings, column in zip(read, columns, strict=True):
        if not len(readings.starts):
            raise BadValues(f"Column {quote(str(column.column))} holds no values. Nothing was stored.")


def _convert(session: Session, column: SensorColumn, sensor: Sensor, readings: Readings) -> ReadColumn:
    """Convert readings to the unit and the sign of a sensor."""
    starts, values, resets, spread = readings.starts, readings.values, 0, 0
    unit = column.unit or sensor.unit
    if column.cumulative:
        metered = energy_between_readings(starts, values, sensor.event_resolution)
        starts, values, resets, spread = metered.starts, metered.energy, metered.resets, metered.spread
        if is_power_unit(sensor.unit) and not is_energy_unit(unit):
            raise BadValues(
                f"Meter readings are energies: give their unit, such as kWh, instead of {quote(unit)}."
            )
    elif is_energy_for_power(unit, sensor):
        check_step(starts, sensor)
    values = values * factor_to_unit(unit, sensor)
    if column.production_positive:
        values = -values + 0.0
    asset = session.scalar(select(Asset).where(Asset.power_sensor_id == sensor.id))
    if asset is not None:
        fault = check_signs(values, asset.asset_type.is_consumer, asset.asset_type.is_producer)
        if fault:
            raise BadValues(
                f"{asset.name} {fault}, but the file says otherwise: choose the other sign (--production-positive)."
            )
    return ReadColumn(sensor, starts, values, resets, spread)


def find_source(session: Session, named: str) -> int:
    """Find a source by id, or one of type script by name, which is made at first need.

    Raises:
        NotFound: If there is no source with such an id.
        InvalidInput: If the name is empty or too long.
    """
    if named.isascii() and named.isdigit():
        source = session.get(DataSource, int(named)) if len(named) < 10 else None
        if source is None:
            raise NotFound(f"Failed to find source {named}. See: show sources.")
        return source.id
    if not named.strip() or len(named) > 120 or not named.isprintable():
        raise InvalidInput(f"{quote(named)} is not a name of a source: use 1 to 120 printable characters.")
    return get_or_create_source(session, named, SCRIPT).id


def store_columns(
    session: Session, columns: Sequence[ReadColumn], claim: Claim, progress: Callable[[], None] = lambda: None
) -> list[StoredColumn]:
    """Store what was read; the caller commits.

    What the source has said last about an event is not stored again.

    Args:
        session: Within its transaction.
        columns: What was read.
        claim: Who believes it, and since when.
        progress: Called after each column.

    Raises:
        NotFound: If there is no such source.
        BadBeliefTiming: If it would have been believed in the future.
        Conflict: If the source has said something else with the same horizon.
    """
    source_id = find_source(session, claim.source)
    stored = []
    for column in columns:
        stored.append(_store(session, column, claim, source_id))
        progress()
    return stored


def _store(session: Session, column: ReadColumn, claim: Claim, source_id: int) -> StoredColumn:
    sensor, count = column.sensor, len(column.starts)
    horizons = belief_horizons(
        sensor.knowledge_rule, column.starts, sensor.event_resolution, _belief_times(column, claim)
    )
    beliefs = Beliefs(
        column.starts,
        column.values,
        horizons,
        np.full(count, source_id, dtype=np.int32),
        None if claim.probability == MEDIAN else np.full(count, claim.probability),
    )
    first, last = from_datetime64(column.starts[0]), from_datetime64(column.starts[-1])
    known_range = time_range(session, sensor.id)
    is_new_ground = known_range is None or last < known_range[0] or first > known_range[1]
    policy = InsertPolicy.REFUSE if is_new_ground else InsertPolicy.SKIP_EQUAL
    try:
        stored = insert_beliefs(
            session, [SensorBeliefs(sensor.id, beliefs)], InsertPolicy.REPLACE if claim.overwrite else policy
        )
    except Conflict as error:
        raise Conflict(f"{error} As a possible workaround, use the --allow-overwrite flag.") from error
    return StoredColumn(sensor.name, stored, count - stored, first, last, column.resets, column.spread)


def _belief_times(column: ReadColumn, claim: Claim) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Tell when each value came to be believed."""
    now = to_datetime64(claim.now)
    if claim.horizon is None:
        times = np.full(len(column.starts), to_datetime64(claim.belief_time or claim.now))
    else:
        times = column.starts + np.timedelta64(column.sensor.event_resolution - claim.horizon)
    if times.max() > now:
        raise BadBeliefTiming(
            f"It would have been believed at {from_datetime64(times.max()).isoformat()}, which is in the future. Give "
            "a longer horizon, or an earlier time."
        )
    return times
