"""Settling the days of a service: from readings to rows, and anew only where something has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores import communities as store
from flexmeasures.data.tables import CommunityService, Inscription
from flexmeasures.domain.communities.allocation import Energies, Round
from flexmeasures.domain.communities.settlement import DailyEnergy, Readings, settle
from flexmeasures.domain.time import find_zone, to_datetime64
from flexmeasures.services.communities.blocks import (
    Block,
    first_day_with_data,
    make_blocks,
    rounds_of_block,
    takes_part,
)
from flexmeasures.services.communities.readings import Grid, read_readings

__all__ = ["PointDay", "SettledDay", "settle_days", "settle_points"]

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class SettledDay:
    """Settlement of a local day, in micro-kWh; see `domain.communities.settlement.DailyEnergy`.

    Attributes:
        expected: Readings that all meters should have given.
    """

    day: date
    produced: int
    shared: int
    consumed: int
    counted: int
    intervals: int
    readings: int
    expected: int
    avoided: float | None
    avoided_shared: float | None
    differences: int


@dataclass(frozen=True)
class PointDay:
    """Settlement of a supply point and local day, in micro-kWh.

    Attributes:
        computed: What we would have said was used, where the grid operator's value counts.
        present: Readings that were there ...
        intervals: ... of so many.
    """

    day: date
    consumed: int
    offered: int
    used: int
    computed: int
    present: int
    intervals: int


def settle_days(
    session: Session, service: CommunityService, first: date, last: date, now: datetime
) -> list[SettledDay]:
    """Get the settled days of a service, after settling those that are missing or whose readings have changed.

    A day that is not over is settled as far as it has gone, and not kept.

    Args:
        session: Within its transaction; the caller commits, so that what was settled is kept.
        service: The service.
        first: First local day; earlier ones than the first with data are left out.
        last: Last local day; later ones than today are left out.
        now: The present.
    """
    span = _bring_up_to_date(session, service, first, last, now)
    if span is None:
        return []
    days = [SettledDay(**row._mapping) for row in store.settled_days(session, service.id, span[0], span[1])]
    return days + [
        SettledDay(**{name: row[name] for name in SettledDay.__dataclass_fields__})
        for row in _settle_today(session, service, span[0], last, now)
    ]


def settle_points(
    session: Session,
    service: CommunityService,
    inscriptions: Sequence[Inscription],
    span: tuple[date, date],
    now: datetime,
) -> list[PointDay]:
    """Get what was settled of some inscriptions of a service, added up by day; see `settle_days`.

    A supply point counts on the days of its inscription only: before and after that it may be somebody else's.
    """
    settled = _bring_up_to_date(session, service, *span, now)
    if settled is None:
        return []
    rows = [row._mapping for row in store.settled_points(session, service.id, *settled)]
    rows += _settle_today(session, service, settled[0], span[1], now)
    days = []
    for row in rows:
        own = [one.supply_point_id for one in inscriptions if takes_part(one, row["day"])]
        ids = np.frombuffer(row["points"], dtype="<i4")
        mine = np.isin(ids, own)
        if mine.any():
            energies = np.frombuffer(row["by_point"], dtype="<i8").reshape(5, len(ids))
            consumed, offered, used, computed, present = energies[:, mine].sum(axis=1).tolist()
            intervals = row["intervals"] * int(mine.sum())
            days.append(PointDay(row["day"], consumed, offered, used, computed, present, intervals))
    return days


def _bring_up_to_date(
    session: Session, service: CommunityService, first: date, last: date, now: datetime
) -> tuple[date, date] | None:
    """Settle what is missing or has changed.

    Returns:
        The first and last day that are settled and over; None if there are no data at all.
    """
    start = first_day_with_data(session, service)
    if start is None:
        return None
    today = now.astimezone(find_zone(service.community.timezone)).date()
    begin, final = max(first, start), min(last, today - _DAY)
    if store.is_stale(session, service.id) or _missing(session, service, begin, final):
        store.lock_service(session, service.id)
        _forget_stale(session, service)
        _settle_and_keep(session, service, _missing(session, service, begin, final))
    return begin, final


def _settle_and_keep(session: Session, service: CommunityService, days: Sequence[date]) -> None:
    """Settle days block by block, reading the next one while a block is worked out.

    The session is used by one thread at a time: by the reader until its result is there, else by this one.
    """
    blocks = list(make_blocks(session, service, days))
    rules = [rounds_of_block(service, block) for block in blocks]
    with ThreadPoolExecutor(max_workers=1) as reader:
        reading = _start_reading(reader, session, service, blocks[:1])
        for number, block in enumerate(blocks):
            readings = reading.result() if reading else None
            reading = _start_reading(reader, session, service, blocks[number + 1 : number + 2])
            assert readings is not None  # noqa: S101 - there is a reading for each block
            rows = list(_rows(service, block, readings, rules[number]))
            if reading is not None:
                wait([reading])
            store.replace_days(session, service.id, rows)


def _start_reading(
    reader: ThreadPoolExecutor, session: Session, service: CommunityService, blocks: Sequence[Block]
) -> Future[Readings] | None:
    """Begin to read a block, if there is one."""
    for block in blocks:
        # The reader works in the same context, so that it has the same session.
        return reader.submit(
            copy_context().run,
            read_readings,
            session,
            service,
            block.inscriptions,
            block.plants,
            block.grid,
        )
    return None


def _missing(session: Session, service: CommunityService, first: date, last: date) -> list[date]:
    known = store.known_days(session, service.id, first, last)
    count = (last - first).days + 1
    return [day for n in range(count) if (day := first + n * _DAY) not in known]


def _forget_stale(session: Session, service: CommunityService) -> None:
    """Forget the days whose readings have changed."""
    zone = find_zone(service.community.timezone)
    for since, until in store.stale_periods(session, service.id):
        store.forget_days(session, service.id, since.astimezone(zone).date(), until.astimezone(zone).date())


def _settle_today(
    session: Session, service: CommunityService, first: date, last: date, now: datetime
) -> list[dict[str, Any]]:
    """Settle the part of today that is over, if it was asked for."""
    today = now.astimezone(find_zone(service.community.timezone)).date()
    if not first <= today <= last:
        return []
    rows: list[dict[str, Any]] = []
    for block in make_blocks(session, service, [today]):
        over = int(np.searchsorted(block.grid.starts + block.grid.step64, to_datetime64(now), side="right"))
        if over:
            cut = Block(
                block.days,
                Grid(block.grid.starts[:over], block.grid.step),
                block.day_starts,
                block.inscriptions,
                block.plants,
                block.table,
            )
            rows += _settle_block(session, service, cut)
    return rows


def _settle_block(session: Session, service: CommunityService, block: Block) -> Iterator[dict[str, Any]]:
    """Settle a block, and write a row for each of its days."""
    readings = read_readings(session, service, block.inscriptions, block.plants, block.grid)
    return _rows(service, block, readings, rounds_of_block(service, block))


def _rows(
    service: CommunityService, block: Block, readings: Readings, rounds: Sequence[Round] | None
) -> Iterator[dict[str, Any]]:
    """Settle the readings of a block, and write a row for each of its days."""
    daily = settle(readings, rounds, block.day_starts, service.tolerance_kwh)
    points = np.array([one.supply_point_id for one in block.inscriptions], dtype="<i4").tobytes()
    meters = len(block.inscriptions) + len(block.plants)
    for number, day in enumerate(block.days):
        yield {
            **asdict(_day(daily, number, day, meters)),
            "points": points,
            "by_point": _by_point(daily, number),
        }


def _day(daily: DailyEnergy, number: int, day: date, meters: int) -> SettledDay:
    avoided, avoided_shared = float(daily.avoided[number]), float(daily.avoided_shared[number])
    return SettledDay(
        day,
        produced=int(daily.produced[number]),
        shared=int(daily.shared[number]),
        consumed=int(daily.consumed[number].sum()),
        counted=int(daily.counted[number]),
        intervals=int(daily.intervals[number]),
        readings=int(daily.readings[number]),
        expected=int(daily.intervals[number]) * meters,
        avoided=None if np.isnan(avoided) else avoided,
        avoided_shared=None if np.isnan(avoided_shared) else avoided_shared,
        differences=int(daily.differences[number]),
    )


def _by_point(daily: DailyEnergy, number: int) -> bytes:
    rows: list[Energies] = [
        daily.consumed[number],
        daily.offered[number],
        daily.used[number],
        daily.computed[number],
        daily.present[number],
    ]
    return np.array(rows, dtype="<i8").tobytes()
