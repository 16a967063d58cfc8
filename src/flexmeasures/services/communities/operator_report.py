"""Taking the values of the grid operator over, from its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import CommunityService, Generator, Inscription, Sensor, SupplyPoint
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.communities.countries.austria import EnergyReport, ReportColumn, read_energy_report
from flexmeasures.domain.time import Instants, find_zone, to_datetime64
from flexmeasures.services.communities.readings import kwh_per_value

__all__ = ["Imported", "import_energy_report"]

_QUARTER = timedelta(minutes=15)
_COVER = "eigendeckung"
_USE = "gesamtverbrauch"
_GENERATION = "erzeugung"


@dataclass(frozen=True)
class Imported:
    """Part of a report that was taken over.

    Attributes:
        values: How many values were stored.
        unknown: Metering points and codes that no sensor of the service is for.
    """

    values: int
    unknown: tuple[str, ...]


def import_energy_report(
    session: Session, service: CommunityService, content: bytes, now: datetime
) -> Imported:
    """Store the values of an energy report as beliefs, held now, by a source for each level of quality.

    Own cover goes to the sensor of the operator's values of an inscription, use to that of the supply point, generation
    to that of a plant, which is found by its id for settlement or its name.

    Args:
        session: Within its transaction; the caller commits.
        service: Whose members and plants the report is about.
        content: The workbook.
        now: When it was received.

    Raises:
        InvalidInput: If the workbook is wrong.
    """
    report = read_energy_report(content)
    starts = _localise(report, service.community.timezone)
    sensors = _sensors(session, service)
    stored, unknown = 0, []
    for column in report.columns:
        sensor_id = sensors.get((column.metering_point, _kind(column)))
        if sensor_id is None:
            unknown.append(f"{column.metering_point}: {column.meter_code}")
            continue
        stored += _store(session, session.get_one(Sensor, sensor_id), column, starts, now)
    return Imported(stored, tuple(unknown))


def _kind(column: ReportColumn) -> str:
    """Tell which quantity a column holds; empty for those that we work out ourselves."""
    code = column.meter_code.lower()
    if column.direction == "GENERATION":
        is_total = _GENERATION in code and "überschuss" not in code and "rest" not in code
        return _GENERATION if is_total else ""
    if _COVER in code and "erneuerbar" not in code:
        return _COVER
    return _USE if _USE in code else ""


def _sensors(session: Session, service: CommunityService) -> dict[tuple[str, str], int]:
    """List the sensors of a service by metering point and quantity."""
    found: dict[tuple[str, str], int] = {}
    query = (
        select(SupplyPoint.cups, SupplyPoint.consumption_sensor_id, Inscription.operator_sensor_id)
        .join(Inscription, Inscription.supply_point_id == SupplyPoint.id)
        .where(Inscription.service_id == service.id)
    )
    for cups, use, cover in session.execute(query):
        found |= {(cups, kind): number for kind, number in ((_USE, use), (_COVER, cover)) if number}
    for plant in session.scalars(select(Generator).where(Generator.service_id == service.id)):
        if plant.sensor_id:
            found[(plant.cil or plant.name, _GENERATION)] = plant.sensor_id
    return found


def _localise(report: EnergyReport, zone: str) -> Instants:
    """Find the instants of local times: where clocks went back, a time that comes again is the later one."""
    tz = find_zone(zone)
    seen: set[datetime] = set()
    instants = []
    for local in report.starts:
        again = local in seen
        seen.add(local)
        instants.append(to_datetime64(local.replace(tzinfo=tz, fold=int(again))))
    return np.array(instants, dtype="datetime64[us]")


def _store(session: Session, sensor: Sensor, column: ReportColumn, starts: Instants, now: datetime) -> int:
    """Store a column's values in the unit of its sensor, by quality."""
    stored = 0
    for quality in sorted(set(column.quality)):
        rows = np.array([each == quality for each in column.quality]) & ~np.isnan(column.values)
        if not rows.any():
            continue
        source = get_or_create_source(session, "EDA", "script", quality or "unknown", None)
        values: Any = column.values[rows] / kwh_per_value(sensor)
        times = belief_times(starts[rows], _QUARTER, now)
        horizons = belief_horizons(sensor.knowledge_rule, starts[rows], _QUARTER, times)
        beliefs = Beliefs(starts[rows], values, horizons, np.full(int(rows.sum()), source.id, dtype=np.int32))
        insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)], InsertPolicy.REPLACE)
        stored += int(rows.sum())
    return stored
