"""Days that are settled at once: with the same members, plants and coefficients, and few enough for the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from flexmeasures.data.stores import communities as store
from flexmeasures.data.stores.beliefs import time_range
from flexmeasures.data.tables import CommunityService, DistributionTable, Generator, Inscription, SupplyPoint
from flexmeasures.domain.communities.allocation import WHOLE, Energies, Round
from flexmeasures.domain.communities.coefficients import Coefficients, HourNumbering, hours_of_year
from flexmeasures.domain.communities.countries.profile import CountryProfile, find_profile
from flexmeasures.domain.communities.life_cycle import InscriptionState
from flexmeasures.domain.communities.methods import NEEDS_COEFFICIENTS, Method, SharingRule, rounds_of
from flexmeasures.domain.time import find_zone, local_midnights, to_datetime64
from flexmeasures.services.communities.readings import Grid

__all__ = [
    "Block",
    "first_day_with_data",
    "make_blocks",
    "profile_of",
    "read_coefficients_of",
    "rounds_of_block",
    "takes_part",
]

_BLOCK_VALUES = 1_000_000
"""Readings that are settled at once: what fits into the memory of a web server many times over."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Block:
    """Consecutive days with the same members, plants and coefficients.

    Attributes:
        days: The local days.
        grid: Their settlement intervals.
        day_starts: Number of the interval with which each day starts.
        inscriptions: Members, in the order of columns.
        plants: Likewise.
        table: The distribution table in force; None: there is none.
    """

    days: tuple[date, ...]
    grid: Grid
    day_starts: Energies
    inscriptions: tuple[Inscription, ...]
    plants: tuple[Generator, ...]
    table: DistributionTable | None


def profile_of(service: CommunityService) -> CountryProfile:
    """Get the rules of the country that hold for a service."""
    return find_profile(service.community.profile)


def first_day_with_data(session: Session, service: CommunityService) -> date | None:
    """Find the local day of the first reading of a plant; None if there is none, or no member has a meter."""
    plants = _plants(session, service)
    meter = (
        select(Inscription.id)
        .join(SupplyPoint, Inscription.supply_point_id == SupplyPoint.id)
        .where(Inscription.service_id == service.id, SupplyPoint.consumption_sensor_id.is_not(None))
    )
    has_meter = session.scalar(meter.limit(1)) is not None
    ranges = [time_range(session, plant.sensor_id) for plant in plants if plant.sensor_id]
    starts = [found[0] for found in ranges if found is not None]
    if not starts or not has_meter:
        return None
    return min(starts).astimezone(find_zone(service.community.timezone)).date()


def takes_part(inscription: Inscription, day: date) -> bool:
    """Tell whether a member takes part in a service on a day; history stays as it was when somebody leaves."""
    return (
        inscription.state != InscriptionState.INACTIVE
        and inscription.starts_on is not None
        and inscription.starts_on <= day
        and (inscription.ends_on is None or day <= inscription.ends_on)
    )


def make_blocks(session: Session, service: CommunityService, days: Sequence[date]) -> Iterator[Block]:
    """Group days into blocks.

    Args:
        session: For reading.
        service: The service.
        days: Ascending; they need not be consecutive.
    """
    if not days:
        return
    inscriptions, plants = _inscriptions(session, service), _plants(session, service)
    tables = store.tables_in_force(session, service.id)
    step = profile_of(service).settlement_interval(days[0])
    largest = max(1, int(_BLOCK_VALUES * step / _DAY) // max(1, len(inscriptions)))
    changes = {one.starts_on for one in inscriptions if one.starts_on is not None}
    changes |= {one.ends_on + _DAY for one in inscriptions if one.ends_on is not None}
    group: list[date] = []
    current: tuple[tuple[Inscription, ...], DistributionTable | None] = ((), None)
    for day in days:
        follows = bool(group) and day - group[-1] == _DAY
        # Who takes part is looked up only where it may have changed: a year of many members is a long list.
        is_same = follows and day not in changes
        members = current[0] if is_same else tuple(one for one in inscriptions if takes_part(one, day))
        table = next((t for t in reversed(tables) if t.starts_on is not None and t.starts_on <= day), None)
        if group and not (follows and len(group) < largest and current == (members, table)):
            yield _block(service, group, step, plants, current)
            group = []
        group.append(day)
        current = (members, table)
    yield _block(service, group, step, plants, current)


def _block(
    service: CommunityService,
    days: Sequence[date],
    step: timedelta,
    plants: tuple[Generator, ...],
    members_and_table: tuple[tuple[Inscription, ...], DistributionTable | None],
) -> Block:
    zone = service.community.timezone
    noon = [datetime(d.year, d.month, d.day, 12, tzinfo=find_zone(zone)) for d in (days[0], days[-1] + _DAY)]
    _, midnights = local_midnights(to_datetime64(noon[0]), to_datetime64(noon[1]), zone)
    grid = Grid(np.arange(midnights[0], midnights[-1], np.timedelta64(step)), step)
    day_starts = np.searchsorted(grid.starts, midnights[:-1]).astype(np.int64)
    members, table = members_and_table
    return Block(tuple(days), grid, day_starts, members, plants, table)


def _inscriptions(session: Session, service: CommunityService) -> list[Inscription]:
    query = (
        select(Inscription)
        .where(Inscription.service_id == service.id)
        .options(joinedload(Inscription.supply_point))
        .order_by(Inscription.id)
    )
    return list(session.scalars(query))


def _plants(session: Session, service: CommunityService) -> tuple[Generator, ...]:
    query = select(Generator).where(Generator.service_id == service.id).order_by(Generator.id)
    return tuple(session.scalars(query))


def read_coefficients_of(table: DistributionTable) -> Coefficients:
    """Unpack the coefficients of a table."""
    parts = np.frombuffer(table.parts, dtype="<i4").astype(np.int64)
    count = len(table.supply_points)
    return Coefficients(
        tuple(table.supply_points), parts if table.kind == "fixed" else parts.reshape(-1, count)
    )


def rounds_of_block(service: CommunityService, block: Block) -> tuple[Round, ...] | None:
    """Write how a service shares as rounds for the members of a block; None: pooled, members are not told apart.

    Where the method needs coefficients and no table is in force, nobody has a share yet and all is exported.
    """
    method = Method(service.method)
    if method is Method.POOLED:
        return None
    cups = [one.supply_point.cups for one in block.inscriptions]
    parameters: Mapping[str, Any] = service.sharing
    position = {point: number for number, point in enumerate(cups)}
    rule = SharingRule(
        method,
        rounds=parameters.get("rounds"),
        levels=tuple(
            tuple(position[point] for point in level if point in position)
            for level in parameters.get("levels", ())
        ),
        key_parts=profile_of(service).value("key_parts", block.days[0]),
    )
    keys = None
    if method is Method.MATRIX:
        keys = _matrix(parameters.get("keys", {}), block.plants, position)
    elif method in NEEDS_COEFFICIENTS:
        keys = _keys(service, block, cups)
        if keys is None:
            return ()
    return rounds_of(rule, len(cups), keys)


def _keys(service: CommunityService, block: Block, cups: Sequence[str]) -> Energies | None:
    if block.table is None:
        return None
    coefficients = read_coefficients_of(block.table)
    if not coefficients.is_hourly:
        return coefficients.keys(cups)
    form = profile_of(service).value("operator_file", block.days[0], {})
    numbering = HourNumbering(form.get("hour_numbering", HourNumbering.ELAPSED))
    hours = hours_of_year(block.grid.starts, service.community.timezone, numbering)
    return coefficients.keys(cups, hours)


def _matrix(
    keys: Mapping[str, Mapping[str, float]], plants: Sequence[Generator], position: Mapping[str, int]
) -> Energies:
    """Lay the keys of each plant (by name) and member out."""
    matrix = np.zeros((len(plants), len(position)), dtype=np.int64)
    for row, plant in enumerate(plants):
        for point, share in keys.get(plant.name, {}).items():
            if point in position:
                matrix[row, position[point]] = round(share * WHOLE)
    return matrix
