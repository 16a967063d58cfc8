"""Proposals for a service: better coefficients, and what a shared battery would add."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.tables import CommunityService
from flexmeasures.domain.communities.allocation import GivenKeys, Round, allocate
from flexmeasures.domain.communities.coefficients import HOURS_OF_YEAR, Coefficients
from flexmeasures.domain.communities.methods import pooled_energy
from flexmeasures.domain.communities.optimise import (
    PROFILE_GROUPS,
    Gain,
    best_fixed,
    best_grouped,
    profile_groups,
)
from flexmeasures.domain.communities.settlement import settle_intervals
from flexmeasures.domain.communities.storage import SharedBattery, propose_with_battery
from flexmeasures.domain.errors import InvalidInput, NotEnoughData
from flexmeasures.domain.time import Instants, event_grid, find_zone, local_wall_clock
from flexmeasures.services.communities.blocks import first_day_with_data, make_blocks, rounds_of_block
from flexmeasures.services.communities.readings import read_readings

__all__ = ["Proposal", "propose_coefficients"]

_DAY = timedelta(days=1)
_MOST_VALUES = 25_000_000


@dataclass(frozen=True)
class Proposal:
    """Proposed coefficients, and what they would have gained.

    Attributes:
        first: First local day that they were worked out from.
        last: Last local day.
        coefficients: The proposal.
        gain: Self-consumption today, by the proposal, and at most; with the battery where there is one.
        without_battery: The same without the battery; None where there is none.
    """

    first: date
    last: date
    coefficients: Coefficients
    gain: Gain
    without_battery: Gain | None = None


@dataclass(frozen=True)
class _Profiles:
    """Profiles of a past time, of the members who took part in all of it."""

    starts: Instants
    step: timedelta
    cups: tuple[str, ...]
    generation: Any
    consumption: Any
    used: int


def propose_coefficients(
    session: Session,
    service: CommunityService,
    span: tuple[date | None, date | None],
    now: datetime,
    kind: str = "fixed",
    battery: SharedBattery | None = None,
) -> Proposal:
    """Propose coefficients from the profiles of a past time, by default the last year.

    Hourly ones are the same for alike hours (same month, hour and kind of day), so that they are worth something next
    year. Nothing is changed: `tables.create_table` makes a draft of them.

    Args:
        session: For reading.
        service: The service.
        span: First and last local day; None: a year up to yesterday.
        now: The present.
        kind: "fixed" or "hourly".
        battery: A battery that the community might share; needs hourly coefficients.

    Raises:
        InvalidInput: If the kind is unknown, or the time too long.
        NotEnoughData: If there are no readings.
    """
    if kind not in ("fixed", "hourly") or (battery is not None and kind != "hourly"):
        raise InvalidInput(
            f"Coefficients of the kind {kind!r} are not proposed: fixed or, with a battery, hourly."
        )
    zone = service.community.timezone
    today = now.astimezone(find_zone(zone)).date()
    last = min(span[1] or today, today - _DAY)
    first = span[0] or last - 364 * _DAY
    profiles = _read(session, service, first, last)
    generation, consumption = profiles.generation, profiles.consumption
    groups = _groups(profiles.starts, zone)
    table = (
        best_fixed(generation, consumption)[None, :]
        if kind == "fixed"
        else best_grouped(generation, consumption, groups, PROFILE_GROUPS)
    )
    keys = table[0] if kind == "fixed" else table[groups]
    plain = _gain(profiles, generation, keys)
    gain, without = plain, None
    if battery is not None:
        made = propose_with_battery(
            generation, consumption, groups, battery, profiles.step / timedelta(hours=1), PROFILE_GROUPS
        )
        table, without = made.table, plain
        gain = _gain(profiles, made.net, table[groups])
    parts = table[0] if kind == "fixed" else _year(table, last.year + 1, zone)
    return Proposal(first, last, Coefficients(profiles.cups, parts), gain, without)


def _gain(profiles: _Profiles, generation: Any, keys: Any) -> Gain:
    made = allocate(generation[:, None], profiles.consumption, (Round(GivenKeys(keys)),))
    pooled = pooled_energy(generation[:, None], profiles.consumption)
    return Gain(profiles.used, int(made.used.sum()), int(pooled.sum()))


def _read(session: Session, service: CommunityService, first: date, last: date) -> _Profiles:
    """Read profiles, with zeros where readings are missing."""
    start = first_day_with_data(session, service)
    if start is None or max(start, first) > last:
        raise NotEnoughData(f"Service {service.id} has no readings from {first} to {last}.")
    days = [max(start, first) + n * _DAY for n in range((last - max(start, first)).days + 1)]
    blocks = list(make_blocks(session, service, days))
    # Those of the last day: coefficients are for who will take part.
    members = blocks[-1].inscriptions
    count = sum(len(block.grid.starts) for block in blocks)
    if not members or count * len(members) > _MOST_VALUES:
        raise InvalidInput(
            f"{len(members)} members and {count} intervals cannot be worked on at once. Ask for less."
        )
    starts, generation, consumption, used = [], [], [], 0
    for block in blocks:
        settled = settle_intervals(
            read_readings(session, service, block.inscriptions, block.plants, block.grid),
            rounds_of_block(service, block),
        )
        column = {one.id: number for number, one in enumerate(block.inscriptions)}
        padded = np.pad(settled.consumption, ((0, 0), (0, 1)))
        starts.append(block.grid.starts)
        generation.append(settled.generation.sum(axis=1))
        consumption.append(padded[:, [column.get(one.id, -1) for one in members]])
        used += int(settled.shared.sum())
    return _Profiles(
        np.concatenate(starts),
        blocks[0].grid.step,
        tuple(one.supply_point.cups for one in members),
        np.concatenate(generation),
        np.concatenate(consumption),
        used,
    )


def _groups(starts: Instants, zone: str) -> Any:
    """Number alike hours by the clock on the wall."""
    local = local_wall_clock(starts, zone)
    days = local.astype("datetime64[D]")
    months = local.astype("datetime64[M]").astype(np.int64) % 12 + 1
    hours = ((local - days) // np.timedelta64(1, "h")).astype(np.int64)
    return profile_groups(months, hours, ~np.is_busday(days))


def _year(table: Any, year: int, zone: str) -> Any:
    """Lay coefficients of groups out over the hours of a year; in a leap year without its 29 February."""
    begin = datetime(year, 1, 1, tzinfo=find_zone(zone))
    groups = _groups(event_grid(begin, timedelta(hours=1), HOURS_OF_YEAR + 24), zone)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if leap:
        groups = np.delete(groups, slice(59 * 24, 60 * 24))
    return table[groups[:HOURS_OF_YEAR]]
