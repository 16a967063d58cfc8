"""Statements of members: for each supply point and month, energy and what it was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Window, read_latest
from flexmeasures.data.tables import CommunityMember, CommunityService, Inscription, Sensor
from flexmeasures.domain.communities.compensation import LARGEST_PLANT_KW
from flexmeasures.domain.communities.countries.profile import Figure
from flexmeasures.domain.communities.metrics import ratio
from flexmeasures.domain.communities.settlement import settle_intervals
from flexmeasures.domain.communities.statement import Prices, Statement, make_statement
from flexmeasures.domain.errors import InvalidInput, NotEnoughData, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.time import find_zone, from_datetime64, to_microseconds
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.communities.blocks import (
    Block,
    first_day_with_data,
    make_blocks,
    profile_of,
    rounds_of_block,
    takes_part,
)
from flexmeasures.services.communities.metrics import final_until
from flexmeasures.services.communities.readings import Grid, read_readings

__all__ = [
    "PRICE_FIELDS",
    "MonthlyStatement",
    "check_prices",
    "make_statements",
    "member_of",
    "uncertain_figures",
]

_DAY = timedelta(days=1)
_LONGEST = 366 * 3
"""So many days a statement may cover."""

PRICE_FIELDS = {
    "currency": "ISO 4217 code; EUR if left out",
    "energy": "what a kWh from the grid costs",
    "energy_sensor": "or the id of a sensor of that price",
    "surplus": "what a kWh of surplus is worth under simplified compensation",
    "surplus_sensor": "or the id of a sensor of that price",
    "shared": "what a shared kWh costs, paid to the community",
    "grid_fee": "part of the energy price that is the grid's",
    "grid_fee_reduction": "share by which it is reduced for shared energy, from 0 to 1",
}
"""Prices of a service, and what each means."""


@dataclass(frozen=True)
class MonthlyStatement:
    """A statement of a month, or of the part of it that was asked for.

    Attributes:
        member: Name of the member.
        share: Part of the consumption that was shared energy, from 0 to 1.
        is_provisional: Whether the grid operator may still correct values.
    """

    member: str
    service: str
    statement: Statement
    share: float | None
    is_provisional: bool


def check_prices(session: Session, prices: Mapping[str, Any]) -> None:
    """Check the prices of a service.

    Raises:
        InvalidInput: If a field is unknown or not a number that makes sense.
        NotFound: If a sensor does not exist.
    """
    for name, value in prices.items():
        if name not in PRICE_FIELDS:
            raise InvalidInput(f"Price {name!r} is unknown. Choose from {', '.join(PRICE_FIELDS)}.")
        if name == "currency":
            if not (isinstance(value, str) and len(value) == 3 and value.isascii() and value.isupper()):
                raise InvalidInput(f"Currency {value!r} is not an ISO 4217 code such as EUR.")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
            raise InvalidInput(f"Price {name} is {value!r}, which is not a number.")
        elif name.endswith("_sensor") and session.get(Sensor, int(value)) is None:
            raise NotFound(f"There is no sensor {value}.")
    if not 0 <= prices.get("grid_fee_reduction", 0) <= 1:
        raise InvalidInput("The reduction of the grid fee is a share from 0 to 1.")


def member_of(session: Session, service: CommunityService, member_id: int) -> tuple[Inscription, ...]:
    """Get the inscriptions of a member of a service's community.

    Raises:
        NotFound: If the member is in another community, or takes no part in the service.
    """
    query = (
        select(Inscription)
        .join(CommunityMember)
        .where(
            Inscription.service_id == service.id,
            Inscription.member_id == member_id,
            Inscription.starts_on.is_not(None),
            CommunityMember.community_id == service.community_id,
        )
        .order_by(Inscription.id)
    )
    found = tuple(session.scalars(query)) if is_id(member_id) else ()
    if not found:
        raise NotFound(f"Member {member_id} takes no part in this service.")
    return found


def uncertain_figures(service: CommunityService, day: date) -> list[tuple[str, Figure]]:
    """List what a country's profile says about money without being certain."""
    profile = profile_of(service)
    names = ("incentive", "grid_fee_relief", "retention", "corrections")
    found = [(name, one) for name in names for one in profile.figures.get(name, ()) if one.holds_on(day)]
    return [(name, one) for name, one in found if not one.is_certain]


def make_statements(
    session: Session,
    service: CommunityService,
    inscriptions: Sequence[Inscription],
    span: tuple[date | None, date | None],
    now: datetime,
) -> list[MonthlyStatement]:
    """Make the statements of a member: one for each supply point and calendar month, in the order of time.

    Compensation is worked out by month, because credit is not carried over.

    Args:
        session: For reading.
        service: The service.
        inscriptions: Those of the member.
        span: First and last local day; None: the first with data, and yesterday.
        now: The present.

    Raises:
        InvalidInput: If the time is too long.
        NotEnoughData: If a price is not known for all of the time.
    """
    start = first_day_with_data(session, service)
    if start is None:
        return []
    today = now.astimezone(find_zone(service.community.timezone)).date()
    first, last = max(span[0] or start, start), min(span[1] or today, today - _DAY)
    if (last - first).days > _LONGEST:
        raise InvalidInput(f"A statement covers at most {_LONGEST} days. Ask for a shorter time.")
    days = [first + n * _DAY for n in range((last - first).days + 1)]
    statements = []
    for _, month in groupby(days, key=lambda day: (day.year, day.month)):
        blocks = list(make_blocks(session, service, list(month)))
        settled = [(block, *_settle(session, service, block)) for block in blocks]
        for one in inscriptions:
            made = _of_month(service, one, settled, now)
            if made is not None:
                statements.append(made)
    return statements


def _settle(session: Session, service: CommunityService, block: Block) -> tuple[Any, Any, _PriceSeries]:
    readings = read_readings(session, service, block.inscriptions, block.plants, block.grid)
    return (
        settle_intervals(readings, rounds_of_block(service, block)),
        ~np.isnan(readings.consumption),
        _read_prices(session, service.prices, block.grid),
    )


@dataclass(frozen=True)
class _PriceSeries:
    """Prices of the intervals of a block [currency/kWh], shape ``(n_intervals,)``; surplus None: not compensated."""

    energy: np.ndarray[Any, Any]
    surplus: np.ndarray[Any, Any] | None


def _of_month(
    service: CommunityService, one: Inscription, settled: Sequence[tuple[Any, ...]], now: datetime
) -> MonthlyStatement | None:
    """Put the blocks of a month together for one supply point; None if it took no part in it."""
    parts = []
    days: list[date] = []
    for block, energies, present, prices in settled:
        if one in block.inscriptions:
            column = block.inscriptions.index(one)
            days += [day for day in block.days if takes_part(one, day)]
            parts.append((energies, column, present[:, column], prices))
    if not days:
        return None
    consumed, offered, used = (
        np.concatenate([getattr(energies, name)[:, column] for energies, column, _, _ in parts])
        for name in ("consumption", "offered", "used")
    )
    present = np.concatenate([each for _, _, each, _ in parts])
    is_small = service.power_kw is None or service.power_kw <= LARGEST_PLANT_KW
    surplus = [prices.surplus for *_, prices in parts if prices.surplus is not None]
    terms: Mapping[str, Any] = service.prices
    statement = make_statement(
        one.supply_point.cups,
        (days[0], days[-1]),
        (consumed, offered, used),
        Prices(
            energy=np.concatenate([prices.energy for *_, prices in parts]),
            surplus=np.concatenate(surplus) if surplus and is_small else None,
            shared=float(terms.get("shared", 0.0)),
            grid_fee=float(terms.get("grid_fee", 0.0)),
            grid_fee_reduction=float(terms.get("grid_fee_reduction", 0.0)),
            currency=str(terms.get("currency", "EUR")),
        ),
        round(float(present.mean()), 4),
    )
    name = f"{one.member.name} {one.member.surnames}".strip()
    return MonthlyStatement(
        name,
        service.name,
        statement,
        ratio(statement.self_consumed, statement.consumed),
        now.astimezone(find_zone(service.community.timezone)).date() <= final_until(service, days[-1]),
    )


def _read_prices(session: Session, prices: Mapping[str, Any], grid: Grid) -> _PriceSeries:
    energy = _read_price(session, prices, "energy", grid)
    is_compensated = "surplus" in prices or "surplus_sensor" in prices
    return _PriceSeries(energy, _read_price(session, prices, "surplus", grid) if is_compensated else None)


def _read_price(session: Session, prices: Mapping[str, Any], name: str, grid: Grid) -> np.ndarray[Any, Any]:
    """Read a price for each interval [currency/kWh]: a number, or values of a sensor; zero if neither is given."""
    number = prices.get(f"{name}_sensor")
    if number is None:
        return np.full(len(grid.starts), float(prices.get(name, 0.0)))
    sensor = session.get(Sensor, int(number))
    if sensor is None:
        raise NotEnoughData(f"Sensor {number}, which should hold the {name} price, does not exist any more.")
    begin, end = from_datetime64(grid.starts[0]), from_datetime64(grid.starts[-1] + grid.step64)
    starts, values = read_latest(session, Window(sensor.id, sensor.event_resolution, start=begin, end=end))
    step = np.timedelta64(to_microseconds(sensor.event_resolution), "us")
    event = np.searchsorted(starts, grid.starts, side="right") - 1
    known = (event >= 0) & (grid.starts < starts[event] + step) if len(starts) else np.zeros(len(event), bool)
    if not known.all():
        missing = from_datetime64(grid.starts[int(np.argmin(known))])
        raise NotEnoughData(
            f"Sensor {number} holds no {name} price for {missing:%Y-%m-%d %H:%M} UTC. Add it."
        )
    unit = f"{prices.get('currency', 'EUR')}/kWh"
    return values[event] * conversion_factor(sensor.unit, unit)
