"""Data of a served demonstration: a site around the present, with plans, an order, an alert and a community."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.cli.demonstration.community import read_homes
from flexmeasures.cli.demonstration.scene import ZONE, Scene, make_scene
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import User
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.communities.coefficients import Coefficients
from flexmeasures.domain.communities.identifiers import check_letters
from flexmeasures.domain.flexibility import Regulation
from flexmeasures.domain.time import event_grid, find_zone
from flexmeasures.jobs.schedules import planning_of
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
from flexmeasures.services.flexibility.broker import Enquiry, MarketTerms, make_order_books, open_portfolio
from flexmeasures.services.flexibility.order import OrderTerms, Trade, place_orders
from flexmeasures.services.monitoring.check import check_alerts
from flexmeasures.services.numbered import add_public_asset, add_sensor_to
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.services.users import create_user

__all__ = ["People", "add_community", "add_people", "fill_pages"]

_HOUR = timedelta(hours=1)
_HORIZON = timedelta(hours=40)
_PRICE = 400.0
"""Price of the market for which flexibility is ordered [EUR/MWh]: high enough that something is worth it."""

HOMES, DAYS = 4, 21


@dataclass(frozen=True)
class People:
    """Users of the pages by role: the owner of the site, a trader and an administrator."""

    owner: User
    trader: User
    admin: User


def add_people(
    session: Session, password_hash: str, names: tuple[str, str, str] = ("owner", "trader", "admin")
) -> People:
    """Add who looks at the pages, all with the same password; the caller commits."""
    roles = (["Prosumer"], ["Aggregator"], ["admin"])
    made = [
        create_user(
            session,
            email=f"{name}@example.com",
            password_hash=password_hash,
            username=name,
            roles=own,
            timezone=ZONE,
        )
        for name, own in zip(names, roles, strict=True)
    ]
    return People(*made)


def fill_pages(
    session: Session, people: People, config: Mapping[str, Any], now: datetime, prefix: str = ""
) -> Scene:
    """Make a site that all pages have something to say about; commits.

    Args:
        session: With the structure added.
        people: Who looks at it.
        config: The settings, which say how plans are made.
        now: The present.
        prefix: Before all names.
    """
    now = now.replace(second=0, microsecond=0)
    scene = make_scene(session, people.owner.id, now, prefix)
    add_community(session, people, now)
    session.commit()
    flexible = (scene.assets["Battery"], scene.assets["Charging station"])
    reschedule(session, PortfolioOrder(flexible, now - _HOUR, _HORIZON, now), planning_of(config))
    _order(session, scene, config, now)
    check_alerts(session, now)
    session.commit()
    return scene


def _order(session: Session, scene: Scene, config: Mapping[str, Any], now: datetime) -> None:
    """Order what the battery offers in the first of the next hours in which that is worth something."""
    first = now.replace(minute=0) + _HOUR
    for number in range(12):
        start = first + number * _HOUR
        enquiry = Enquiry(
            start,
            start + _HOUR,
            _HORIZON,
            MarketTerms(up_price=_PRICE),
            asset_ids=(scene.assets["Battery"],),
            regulation=Regulation.UP,
            slot=_HOUR,
        )
        portfolio = open_portfolio(session, enquiry, planning_of(config), now)
        listings = make_order_books(portfolio)[0].listings
        if listings and listings[0].expected_value > 0:
            terms = OrderTerms(config["FLEXMEASURES_DEVIATION_PRICE"])
            place_orders(session, Trade(portfolio, terms, listings[:1], portfolio.profile_mw), now)
            return


def add_community(session: Session, people: People, now: datetime) -> int:
    """Add four homes that share a roof, with the readings of three weeks; the owner is a member; gives its id."""
    midnight = now.astimezone(find_zone(ZONE)).replace(hour=0, minute=0)
    first_day = (midnight - timedelta(days=DAYS)).date()
    community = create_community(session, NewCommunity("Sunny street", "es", timezone=ZONE))
    new = NewService(community.id, "The roof of the school", power_kw=15.0)
    service = create_service(session, new, first_day)
    asset = add_public_asset(session, "Sunny street", "building")
    sensors = [
        add_sensor_to(session, asset, name, "kWh", _HOUR, ZONE).id
        for name in ("roof", *(f"home {n + 1}" for n in range(HOMES)))
    ]
    create_plant(session, NewPlant(service.id, "roof", sensors[0], is_inverted=False), first_day)
    points = _add_homes(session, service.id, community.id, people, first_day, sensors[1:])
    equal = np.full(HOMES, 10**6 // HOMES)
    table = create_table(session, service, "equal parts", Coefficients(tuple(points), equal))
    for state in ("validated", "process", "active"):
        set_table_state(session, table.id, state, first_day)
    service.status = "active"
    service.prices = {"energy": 0.28, "surplus": 0.06, "currency": "EUR"}
    _store_readings(session, sensors, midnight)
    return community.id


def _add_homes(
    session: Session, service_id: int, community_id: int, people: People, first: date, sensors: list[int]
) -> list[str]:
    points = []
    for number, sensor in enumerate(sensors):
        digits = f"{number + 1:016d}"
        points.append(f"ES{digits}{check_letters(digits)}")
        email = people.owner.email if number == 0 else None
        member = create_member(
            session, NewMember(community_id, f"Home {number + 1}", first, user_email=email)
        )
        point = NewSupplyPoint(service_id, member.id, points[-1], sensor, starts_on=first)
        create_supply_point(session, point, first)
    return points


def _store_readings(session: Session, sensors: list[int], midnight: datetime) -> None:
    """Store three weeks of June 2017 as those before today; of one home the last two days have not come yet."""
    _, homes, roof = read_homes()
    count = DAYS * 24
    starts = event_grid(midnight - DAYS * 24 * _HOUR, _HOUR, count)
    source = get_or_create_source(session, "CityLearn challenge 2022", "demo").id
    columns = (roof[-count:] * 0.5, *homes[-count:, :HOMES].T)
    for number, (sensor, values) in enumerate(zip(sensors, columns, strict=True)):
        known = count - 48 if number == len(sensors) - 1 else count
        held = Beliefs(
            starts[:known],
            values[:known],
            np.zeros(known, "timedelta64[us]"),
            np.full(known, source, dtype=np.int32),
        )
        insert_beliefs(session, [SensorBeliefs(sensor, held)])
