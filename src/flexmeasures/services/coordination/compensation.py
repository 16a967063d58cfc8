"""What users of partners are paid for following price curves, and what waits for a meter point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrEvent, DrProgram, DrUser
from flexmeasures.domain.coordination.compensation import (
    CompensatedSlot,
    Compensation,
    compensate,
    is_in_time,
    reward,
)
from flexmeasures.domain.coordination.partner import write_payload
from flexmeasures.domain.time import find_zone, parse_instant
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.report_contents import find_baselines

__all__ = ["REWARD_SAVINGS", "Settlement", "UserCompensation", "month_of", "settle", "settle_user"]

REWARD_SAVINGS = "REWARD_SAVINGS"
"""Attribute of programmes that reward using less than the baseline in slots with a price difference above zero."""


@dataclass(frozen=True, slots=True)
class UserCompensation:
    """Money of a user in a period [currency]; blocked is what waits for a meter point."""

    user_id: str
    start: datetime
    end: datetime
    currency: str
    amounts: Compensation


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is paid for one slot: a line of the export.

    Attributes:
        price_delta: [currency/kWh].
        baseline: What would have been used, where using less is rewarded and was reported about [kWh].
    """

    client_id: str
    user_id: str
    event_id: str
    location_id: str | None
    resource_id: str | None
    meter_point_id: str | None
    slot_start: datetime
    kilowatt_hours: Decimal
    price_delta: Decimal
    currency: str
    is_in_time: bool
    has_meter_point: bool
    baseline: Decimal | None = None

    @property
    def slot(self) -> CompensatedSlot:
        """As it is compensated."""
        return CompensatedSlot(self.price_delta, self.kilowatt_hours, self.baseline, self.has_meter_point)

    @property
    def amount(self) -> Decimal:
        """Payment for the slot, before rounding [currency]; zero if it was reported too late."""
        return reward(self.slot, reward_savings=True) if self.is_in_time else Decimal(0)


# Of several values of a slot the newest holds. Usage of a location as a whole does not count beside that of its
# resources.
_USAGE = text("""
select distinct on (usage.client_id, usage.event_id, usage.location_id, usage.resource_id, usage.slot_start)
    client.client_id, usage.user_id, usage.event_id, usage.location_id, usage.resource_id,
    coalesce(usage.meter_point_id, location.meter_point_ids[1]) as meter_point_id,
    usage.slot_start, usage.kilowatt_hours, usage.reported_at
from dr_usage usage
    join dr_client client on client.id = usage.client_id
    join dr_user usr on usr.client_id = usage.client_id and usr.user_id = usage.user_id
    left join dr_location location on location.user_id = usr.id and location.location_id = usage.location_id
where client.environment = :environment and usage.slot_start >= :start and usage.slot_start < :end
    and usage.resource_id is not null
    and (cast(:client_id as integer) is null or usage.client_id = :client_id)
    and (cast(:user_id as text) is null or usage.user_id = :user_id)
order by usage.client_id, usage.event_id, usage.location_id, usage.resource_id, usage.slot_start, usage.id desc
""")


def month_of(instant: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return the local month in which an instant lies: its start, and the start of the next one."""
    start = instant.astimezone(find_zone(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    later = start.replace(year=start.year + (start.month == 12), month=start.month % 12 + 1)
    return start, later


def settle_user(session: Session, caller: Caller, user: DrUser, now: datetime, zone: str) -> UserCompensation:
    """Add up the money of a user in the current month."""
    start, end = month_of(now, zone)
    lines = list(
        settle(session, caller.environment, start, end, zone, client_id=caller.id, user_id=user.user_id)
    )
    amounts = compensate((line.slot for line in lines if line.is_in_time), reward_savings=True)
    currency = lines[0].currency if lines else "NOK"
    return UserCompensation(user.user_id, start, end, currency, amounts)


def settle(
    session: Session,
    environment: str,
    start: datetime,
    end: datetime,
    zone: str,
    *,
    client_id: int | None = None,
    user_id: str | None = None,
) -> Iterator[Settlement]:
    """List what is paid for each reported slot of a period.

    Args:
        session: To read with.
        environment: Of the clients.
        start: Inclusive.
        end: Exclusive.
        zone: Whose months count.
        client_id: Number of one partner; None: of all.
        user_id: Of one user; None: of all.
    """
    parameters = {
        "environment": environment,
        "start": start,
        "end": end,
        "client_id": client_id,
        "user_id": user_id,
    }
    terms: dict[str, _Terms] = {}
    for row in session.execute(_USAGE, parameters):
        if row.event_id not in terms:
            terms[row.event_id] = _terms_of(session, row.event_id)
        of_event = terms[row.event_id]
        price = of_event.prices.get(row.slot_start)
        if price is not None:
            yield _settlement(row, price, of_event, zone)


@dataclass(frozen=True, slots=True)
class _Terms:
    """Basis of the payments of an event.

    Attributes:
        prices: Price differences by slot [currency/kWh].
        baselines: Where its programme rewards using less; see `find_baselines`.
    """

    currency: str
    prices: Mapping[datetime, Decimal]
    baselines: Mapping[tuple[str, str, datetime], Decimal]


def _settlement(row: Row[Any], price: Decimal, terms: _Terms, zone: str) -> Settlement:
    return Settlement(
        client_id=row.client_id,
        user_id=row.user_id,
        event_id=row.event_id,
        location_id=row.location_id,
        resource_id=row.resource_id,
        meter_point_id=row.meter_point_id,
        slot_start=row.slot_start,
        kilowatt_hours=row.kilowatt_hours,
        price_delta=price,
        currency=terms.currency,
        is_in_time=is_in_time(row.slot_start, row.reported_at, zone),
        has_meter_point=row.meter_point_id is not None,
        baseline=terms.baselines.get((row.client_id, row.resource_id, row.slot_start)),
    )


def _terms_of(session: Session, event_id: str) -> _Terms:
    """Read what an event pays for; nothing, if it is not a price curve."""
    event = session.get_one(DrEvent, event_id)
    if event.payload_type != "PriceCurve":
        return _Terms("", {}, {})
    payload = write_payload(event.content, "PriceCurve", (), descriptors=None, received_at=event.modified_at)
    curve = payload["priceCurveDelta"]
    points = {parse_instant(p["timestamp"]): Decimal(str(p["price"])) for p in curve["points"]}
    program = session.get_one(DrProgram, event.program_id)
    baselines = find_baselines(session, event) if _rewards_savings(program) else {}
    return _Terms(curve["currency"], points, baselines)


def _rewards_savings(program: DrProgram) -> bool:
    """Tell whether a programme has the attribute that rewards using less than the baseline."""
    attributes = program.content.get("attributes") or ()
    return any(one["type"] == REWARD_SAVINGS and one["values"][:1] == [True] for one in attributes)
