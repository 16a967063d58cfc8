"""Participation in a service: supply points of members, and plants, with the sensors that measure them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import communities as store
from flexmeasures.data.tables import (
    Asset,
    CommunityMember,
    CommunityService,
    Generator,
    Inscription,
    Sensor,
    SupplyPoint,
)
from flexmeasures.domain.communities.countries.austria import check_factors
from flexmeasures.domain.communities.countries.profile import find_profile
from flexmeasures.domain.communities.identifiers import read_generator, read_supply_point
from flexmeasures.domain.communities.life_cycle import InscriptionState
from flexmeasures.domain.errors import Conflict, InvalidInput, NotFound
from flexmeasures.domain.time import find_zone
from flexmeasures.services.communities.fields import check_days, check_power, clean_name
from flexmeasures.services.communities.readings import check_meter
from flexmeasures.services.find import get_row

__all__ = [
    "NewPlant",
    "NewSupplyPoint",
    "create_plant",
    "create_supply_point",
    "end_inscription",
    "settle_anew",
]

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class NewSupplyPoint:
    """A new participation of a member in a service with a supply point.

    Attributes:
        sensor_id: Of its consumption.
        is_inverted: Whether the sensor counts consumption negative.
        starts_on: First day of taking part; None: not yet.
        operator_sensor_id: Of what the grid operator says that it used of the service's energy.
    """

    service_id: int
    member_id: int
    cups: str
    sensor_id: int | None = None
    is_inverted: bool = False
    starts_on: date | None = None
    ends_on: date | None = None
    participation_percent: int = 100
    operator_sensor_id: int | None = None
    address: Mapping[str, str] = field(default_factory=dict)
    owner_name: str = ""
    owner_surnames: str = ""
    owner_vat: str | None = None
    tariff: str | None = None
    contracted_kw: float | None = None
    agreed_kw: float | None = None


@dataclass(frozen=True)
class NewPlant:
    """A new plant of a service.

    Attributes:
        is_inverted: Whether the sensor counts generation negative; None: found out, the power sensor of an asset does.
    """

    service_id: int
    name: str
    sensor_id: int | None = None
    cil: str | None = None
    installed_kw: float | None = None
    technology: str = "photovoltaic"
    is_inverted: bool | None = None
    participation_percent: int = 100


def create_supply_point(session: Session, new: NewSupplyPoint, today: date) -> Inscription:
    """Let a member take part in a service with a supply point, which is made if the community does not know it.

    Raises:
        NotFound: If there is no such service, member or sensor, or the member is in another community.
        Conflict: If the supply point takes part already, or belongs to too many communities.
        InvalidInput: If the CUPS or a number is wrong.
    """
    service = get_row(session, CommunityService, new.service_id, "service")
    member = get_row(session, CommunityMember, new.member_id, "member")
    if member.community_id != service.community_id:
        raise NotFound(f"The community of service {service.id} has no member {new.member_id}.")
    if new.starts_on is not None:
        check_days(new.starts_on, new.ends_on)
    check_power(new.contracted_kw)
    point = _supply_point(session, service, new)
    _check_meter(session, service, new.sensor_id, today)
    _check_meter(session, service, new.operator_sensor_id, today)
    _check_overlap(session, service, point, new, today)
    inscription = Inscription(
        service_id=service.id,
        member_id=member.id,
        supply_point_id=point.id,
        state=InscriptionState.INACTIVE if new.starts_on is None else InscriptionState.ACTIVE,
        starts_on=new.starts_on,
        ends_on=new.ends_on,
        participation_percent=new.participation_percent,
        operator_sensor_id=new.operator_sensor_id,
        agreed_kw=new.agreed_kw,
    )
    session.add(inscription)
    session.flush()
    settle_anew(session, service)
    return inscription


def _supply_point(session: Session, service: CommunityService, new: NewSupplyPoint) -> SupplyPoint:
    """Find a supply point of the community, or make it."""
    cups = read_supply_point(new.cups) if _is_spanish(service) else clean_name(new.cups, "supply point")
    query = select(SupplyPoint).where(
        SupplyPoint.community_id == service.community_id, SupplyPoint.cups == cups
    )
    point = session.scalar(query)
    if point is None:
        point = SupplyPoint(community_id=service.community_id, cups=cups, is_inverted=new.is_inverted)
        session.add(point)
    for name in ("owner_name", "owner_surnames", "owner_vat", "tariff", "contracted_kw"):
        if getattr(new, name):
            setattr(point, name, getattr(new, name))
    if new.address:
        point.address = dict(new.address)
    if new.sensor_id is not None:
        sensor = get_row(session, Sensor, new.sensor_id, "sensor")
        point.consumption_sensor_id, point.is_inverted = sensor.id, new.is_inverted
        point.asset_id = sensor.asset_id
    session.flush()
    return point


def _check_overlap(
    session: Session, service: CommunityService, point: SupplyPoint, new: NewSupplyPoint, today: date
) -> None:
    """Check that a supply point does not take part twice at once, and not in too many communities."""
    query = (
        select(Inscription)
        .join(SupplyPoint)
        .where(SupplyPoint.cups == point.cups, Inscription.state != InscriptionState.CANCELLED)
    )
    others = [one for one in session.scalars(query) if _overlap(one, new)]
    if any(one.service_id == service.id for one in others):
        raise Conflict(f"Supply point {point.cups} takes part in this service already.")
    profile = find_profile(service.community.profile)
    most = profile.value("memberships", new.starts_on or today)
    if profile.country == "AT":
        check_factors([one.participation_percent for one in others] + [new.participation_percent], most or 5)
    elif not 1 <= new.participation_percent <= 100:
        raise InvalidInput(f"Participation of {new.participation_percent} % is not from 1 to 100 %.")
    elif most is not None and len(others) + 1 > most:
        raise Conflict(
            f"Supply point {point.cups} takes part in {len(others)} services; {profile.name} allows {most}."
        )


def _overlap(one: Inscription, new: NewSupplyPoint) -> bool:
    """Tell whether two inscriptions hold at the same time; one that has not begun may begin any day."""
    starts = (one.starts_on or date.min, new.starts_on or date.min)
    ends = (one.ends_on or date.max, new.ends_on or date.max)
    return max(starts) <= min(ends)


def end_inscription(session: Session, inscription_id: int, last_day: date) -> Inscription:
    """Let a member leave a service after a day.

    Raises:
        NotFound: If there is no such inscription.
        InvalidInput: If that is before it began.
    """
    inscription = get_row(session, Inscription, inscription_id, "inscription")
    check_days(inscription.starts_on or last_day, last_day)
    inscription.ends_on, inscription.state = last_day, InscriptionState.CANCELLED
    session.flush()
    service = get_row(session, CommunityService, inscription.service_id, "service")
    settle_anew(session, service, last_day + timedelta(days=1))
    return inscription


def create_plant(session: Session, new: NewPlant, today: date) -> Generator:
    """Add a plant to a service.

    Raises:
        NotFound: If there is no such service or sensor.
        InvalidInput: If the CIL, the power or the sensor is wrong.
    """
    service = get_row(session, CommunityService, new.service_id, "service")
    check_power(new.installed_kw)
    if not 1 <= new.participation_percent <= 100:
        raise InvalidInput(f"Participation of {new.participation_percent} % is not from 1 to 100 %.")
    sensor = _check_meter(session, service, new.sensor_id, today)
    asset = None if sensor is None else session.get(Asset, sensor.asset_id)
    # Power of an asset counts consumption positive on this platform, so that production is negative.
    counts_negative = asset is not None and sensor is not None and asset.power_sensor_id == sensor.id
    plant = Generator(
        service_id=service.id,
        name=clean_name(new.name, "name"),
        cil=_plant_id(service, new.cil) if new.cil else None,
        technology=new.technology,
        installed_kw=new.installed_kw,
        asset_id=None if asset is None else asset.id,
        sensor_id=new.sensor_id,
        is_inverted=counts_negative if new.is_inverted is None else new.is_inverted,
        participation_percent=new.participation_percent,
    )
    session.add(plant)
    session.flush()
    settle_anew(session, service)
    return plant


def _plant_id(service: CommunityService, text: str) -> str:
    """Check the id of a plant for settlement: a CIL in Spain, elsewhere at most 40 characters."""
    if _is_spanish(service):
        return read_generator(text)
    name = clean_name(text, "id of the plant")
    if len(name) > 40:
        raise InvalidInput(f"The id of a plant has at most 40 characters, not {len(name)}.")
    return name


def _is_spanish(service: CommunityService) -> bool:
    return find_profile(service.community.profile).country == "ES"


def settle_anew(session: Session, service: CommunityService, since: date | None = None) -> None:
    """Have a service settled anew, because who takes part in it or its rules have changed.

    Args:
        session: Within its transaction.
        service: The service.
        since: First local day that changes; None: all.
    """
    store.set_meters(session, service.id)
    begin = _LONG_AGO
    if since is not None:
        begin = datetime.combine(since, time(), find_zone(service.community.timezone))
    store.mark_stale_days(session, service.id, begin, _FAR_AHEAD)


def _check_meter(
    session: Session, service: CommunityService, sensor_id: int | None, today: date
) -> Sensor | None:
    if sensor_id is None:
        return None
    sensor = get_row(session, Sensor, sensor_id, "sensor")
    profile = find_profile(service.community.profile)
    check_meter(sensor, profile.settlement_interval(today))
    return sensor
