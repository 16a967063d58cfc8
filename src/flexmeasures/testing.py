"""Builders for tests, shipped for authors of plugins as well: a fixed cast of people with a site and a market."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Market, Sensor, User
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.markets import NewMarket, create_market
from flexmeasures.services.numbered import add_public_asset, add_sensor_to
from flexmeasures.services.structure import add_structure
from flexmeasures.services.users import create_user

__all__ = ["CAST_DAY", "Cast", "make_cast", "make_sensor", "store_values"]

CAST_DAY = datetime(2015, 1, 1, tzinfo=UTC)
"""The first day of the cast's prices."""

_SITE: dict[str, Any] = {"latitude": 52.37, "longitude": 4.9}


@dataclass(frozen=True)
class Cast:
    """The people of all stories and what they own.

    Attributes:
        assets: Ids of the owner's assets: battery, station (one-way), two_way (station), solar, building.
        foreign_asset: Id of the stranger's battery.
        market: Id of the day-ahead market ``epex_da``.
    """

    password: str
    owner_email: str
    owner_id: int
    stranger_email: str
    admin_email: str
    admin_id: int
    supplier_email: str
    roleless_email: str
    assets: dict[str, int]
    foreign_asset: int
    market: int

    def address(self, asset: str, event: str = "") -> str:
        """Write the entity address of one of the owner's assets, or of an event such as "204:soc"."""
        return f"ea1.2021-01.io.flexmeasures:{self.owner_id}:{self.assets[asset]}" + (
            f":{event}" if event else ""
        )


def make_cast(session: Session, password: str = "correct horse") -> Cast:  # noqa: S107 - for tests
    """Make the cast; the caller commits.

    The owner has a battery (2 MW, 0 to 5 MWh, with 2.5 MWh in it), a one-way and a two-way charging station (2 MW
    each), a solar roof and a building (1 MW each), all in quarter hours. The market's hourly prices are a wave on the
    first day, and on the second 8 hours at 100, 8 hours at 90 and 8 hours at 100 EUR/MWh.
    """
    add_structure(session)
    password_hash = hash_new_password(password)

    def person(name: str, *roles: str) -> User:
        return create_user(
            session, email=f"{name}@seita.nl", password_hash=password_hash, username=name, roles=roles
        )

    owner, stranger = person("owner", "Prosumer"), person("stranger", "Prosumer")
    admin, supplier, roleless = person("admin", "admin"), person("supplier", "Supplier"), person("roleless")
    market = create_market(
        session,
        NewMarket(
            "epex_da",
            "EPEX SPOT day-ahead market",
            "day_ahead",
            "EUR/MWh",
            timedelta(hours=1),
            "Europe/Paris",
            ("x_days_ago_at_y_oclock", {"x": 1, "y": 12, "z": "Europe/Paris"}),
        ),
    )
    hours = np.arange(24)
    prices = np.concatenate([60 + 30 * np.sin(hours / 24 * 2 * np.pi), np.repeat([100.0, 90.0, 100.0], 8)])
    store_values(session, market, CAST_DAY, prices)

    def asset(name: str, type_name: str, owner: User, capacity: float, **limits: Any) -> Asset:
        new = NewAsset(
            name,
            type_name,
            capacity,
            timedelta(minutes=15),
            owner_id=owner.id,
            market_id=market.id,
            **_SITE,
            **limits,
        )
        return create_asset(session, new)

    battery_size = {"min_soc_in_mwh": 0.0, "max_soc_in_mwh": 5.0}
    assets = {
        "battery": asset("Test battery", "battery", owner, 2, soc_in_mwh=2.5, **battery_size),
        "station": asset("Test charging station", "one-way_evse", owner, 2),
        "two_way": asset("Test charging station (bidirectional)", "two-way_evse", owner, 2),
        "solar": asset("Test roof", "solar", owner, 1),
        "building": asset("Test building", "building", owner, 1),
    }
    foreign = asset("Foreign battery", "battery", stranger, 2, **battery_size)
    return Cast(
        password=password,
        owner_email=owner.email,
        owner_id=owner.id,
        stranger_email=stranger.email,
        admin_email=admin.email,
        admin_id=admin.id,
        supplier_email=supplier.email,
        roleless_email=roleless.email,
        assets={name: one.id for name, one in assets.items()},
        foreign_asset=foreign.id,
        market=market.id,
    )


def make_sensor(
    session: Session, name: str, unit: str = "MW", event_resolution: timedelta = timedelta(minutes=15)
) -> Sensor:
    """Make a sensor of a public asset of its own; the caller commits."""
    asset = add_public_asset(session, name, "series")
    return add_sensor_to(session, asset, name, unit, event_resolution, "UTC")


def store_values(session: Session, thing: Asset | Market, start: datetime, values: np.ndarray) -> None:
    """Store values about consecutive events of an asset or market, known when the events are known.

    Args:
        session: Within its transaction; the caller commits.
        thing: What the values are about.
        start: Start of the first event.
        values: Shape ``(n,)``, in the unit of the sensor.
    """
    sensor = thing.sensor
    source = get_or_create_source(session, "FlexMeasures", "script")
    starts = event_grid(start, sensor.event_resolution, len(values))
    known = sensor.knowledge_rule.knowledge_times(starts, sensor.event_resolution)
    beliefs = Beliefs(
        starts,
        np.asarray(values, dtype=float),
        known - known,
        np.full(len(starts), source.id, dtype=np.int32),
    )
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
