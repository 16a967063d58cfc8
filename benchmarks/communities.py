"""Metrics of a community: 500 members and a year of hours from the database, 2,000 and quarter-hours in memory.

Targets: metrics of a service 5 s cold and 1 s warm, a corrected day that day only, a daily series 150 ms, 2,000 members
and quarter-hours 30 s within 1.5 GB, and 400 MB for the process that answers.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from benchmarks import Report, benchmark, median
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import CommunityDay, CommunityService
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.communities.allocation import GivenKeys, ProRata, Round, split
from flexmeasures.domain.communities.coefficients import Coefficients
from flexmeasures.domain.communities.identifiers import check_letters
from flexmeasures.domain.communities.settlement import Readings, settle
from flexmeasures.services.communities.metrics import Series, service_metrics, service_series
from flexmeasures.services.communities.set_up import (
    NewCommunity,
    NewMember,
    NewService,
    create_community,
    create_member,
    create_service,
)
from flexmeasures.services.communities.tables import create_table, set_table_state
from flexmeasures.services.communities.taking_part import (
    NewPlant,
    NewSupplyPoint,
    create_plant,
    create_supply_point,
)
from flexmeasures.services.numbered import add_public_asset, add_sensor_to

MEMBERS, HOURS = 500, 8784
FIRST, LAST = date(2024, 1, 1), date(2024, 12, 31)
START = datetime(2023, 12, 31, 23, tzinfo=UTC)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@benchmark("communities: 500 members and a year of hours, from the database")
def from_database(report: Report) -> None:
    """Settle a year cold, read it warm, correct a day, and read a daily series."""
    folder = Path(tempfile.mkdtemp(prefix="fm-bench-"))
    app = create(
        "production", settings={"FLEXMEASURES_INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": None}
    )
    prepare(app)
    try:
        with app.app_context():
            service_id, sensors = _make_community(db.session)  # type: ignore[arg-type]
            _measure(report, db.session, service_id, sensors)  # type: ignore[arg-type]
            db.session.remove()
            db.engine.dispose()
    finally:
        app.extensions["embedded"].services.leave()
        shutil.rmtree(folder, ignore_errors=True)


def _make_community(session: Session) -> tuple[int, list[int]]:
    community = create_community(session, NewCommunity("Benchmark"))
    member = create_member(session, NewMember(community.id, "Everybody", FIRST))
    service = create_service(session, NewService(community.id, "Roofs", power_kw=400), FIRST)
    asset = add_public_asset(session, "meters", "building")
    sensors = [
        add_sensor_to(session, asset, f"meter {n}", "kWh", HOUR, "Europe/Madrid").id
        for n in range(MEMBERS + 1)
    ]
    create_plant(session, NewPlant(service.id, "roofs", sensors[0], is_inverted=False), FIRST)
    points = []
    for number, sensor in enumerate(sensors[1:]):
        digits = f"{31 * 10**14 + number:016d}"
        points.append(f"ES{digits}{check_letters(digits)}0F")
        create_supply_point(
            session, NewSupplyPoint(service.id, member.id, points[-1], sensor, starts_on=FIRST), FIRST
        )
    parts = split(np.array([10**6]), np.ones((1, MEMBERS), dtype=np.int64))[0]
    table = create_table(session, service, "first", Coefficients(tuple(points), parts))
    for state in ("validated", "process", "active"):
        set_table_state(session, table.id, state, FIRST)
    service.status = "active"
    session.commit()
    source = get_or_create_source(session, "meters", "script").id
    rng = np.random.default_rng(3)
    sun = np.maximum(np.sin((np.arange(HOURS) % 24 - 6) / 12 * np.pi), 0) * 300
    for number, sensor in enumerate(sensors):
        _store(session, sensor, source, np.round(sun if number == 0 else rng.random(HOURS), 3))
    session.commit()
    session.connection().connection.driver_connection.execute("analyze belief")  # type: ignore[union-attr]
    session.commit()
    return service.id, sensors


def _store(
    session: Session, sensor: int, source: int, values: Any, first: int = 0, held_after: int = 0
) -> None:
    starts = np.datetime64(START.replace(tzinfo=None), "us") + (
        first + np.arange(len(values))
    ) * np.timedelta64(1, "h")
    horizons = np.full(len(values), -np.timedelta64(held_after, "h")).astype("timedelta64[us]")
    sources = np.full(len(values), source, dtype=np.int32)
    insert_beliefs(session, [SensorBeliefs(sensor, Beliefs(starts, values, horizons, sources))])


def _measure(report: Report, session: Session, service_id: int, sensors: list[int]) -> None:
    def metrics() -> Any:
        service = session.get_one(CommunityService, service_id)
        found = service_metrics(session, service, FIRST, LAST, NOW)
        session.commit()
        return found

    def series() -> Any:
        service = session.get_one(CommunityService, service_id)
        found = service_series(session, service, Series.PRODUCTION, (FIRST, LAST), NOW)
        session.commit()
        return found

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = time.process_time()
    report("metrics of a year, cold", _timed(metrics), target=5.0)
    report("  of which in the process that answers, CPU", time.process_time() - cpu)
    report("metrics of a year, warm", median(metrics, 7), target=1.0)
    report("daily series of a year, warm", median(series, 15), target=0.15)
    source = get_or_create_source(session, "meters", "script").id
    corrections = iter(range(1, 100))

    def correct() -> None:
        _store(session, sensors[7], source, np.full(24, 0.5), first=24 * 100, held_after=next(corrections))
        session.commit()
        metrics()

    report("a corrected day, stored and settled anew", median(correct, 7), target=0.5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"  peak memory of the process: {peak / 1024:.0f} MB ({before / 1024:.0f} MB before); at most 400 MB"
    )
    assert session.query(CommunityDay).filter_by(service_id=service_id).count() == 366


def _timed(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


@benchmark("communities: 2,000 members and a year of quarter-hours, in memory")
def in_memory(report: Report) -> None:
    """Settle five days at a time, as from the database, by fixed coefficients and pro rata."""
    members, days = 2000, 5
    rng = np.random.default_rng(5)
    consumption = np.round(rng.random((96 * days, members)), 3)
    generation = np.round(np.maximum(np.sin((np.arange(96 * days) % 96 - 24) / 48 * np.pi), 0) * 900, 3)[
        :, None
    ]
    parts = split(np.array([10**6]), rng.integers(1, 9, (1, members)))[0]
    starts = np.arange(days) * 96
    for name, rounds in (("fixed", (Round(GivenKeys(parts)),)), ("pro rata", (Round(ProRata()),))):

        def settle_year(rounds: tuple[Round, ...] = rounds) -> None:
            for _ in range(73):
                settle(Readings(generation, consumption), rounds, starts)

        report(f"settle a year, {name}", _timed(settle_year), target=30.0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"  peak memory of the process: {peak / 1024:.0f} MB; at most 1,500 MB")
