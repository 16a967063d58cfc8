"""A site around the present, so that pages are full at once: the real days of the demonstration, repeated.

Load, sun and prices of the two days of September 2020 stand for the days before and after now; forecasts are the same
with an error that grows and a band around them. Everything is of the demonstration's own database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.cli.demonstration.site import HOUR, QUARTER, Site, Values, load_site
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Market, Sensor
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.markets import NewMarket, create_market
from flexmeasures.services.weather import NewWeatherSensor, create_weather_sensor

__all__ = ["Scene", "make_scene", "store_series"]

ZONE = "Europe/Berlin"

DAYS_BEFORE, DAYS_AFTER = 8, 4

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Scene:
    """What was made: ids by name, and the market."""

    assets: dict[str, int]
    market: int


@dataclass(frozen=True)
class _Days:
    """The days of the scene.

    Attributes:
        start: Start of the first one.
        now: Where measurements end.
    """

    start: datetime
    now: datetime
    count: int = DAYS_BEFORE + DAYS_AFTER


def make_scene(session: Session, owner_id: int, now: datetime, prefix: str = "") -> Scene:
    """Make a site around an instant: assets, prices, weather, measurements and forecasts; the caller commits.

    Args:
        session: Within its transaction, with the structure added.
        owner_id: Whose site it is.
        now: The present.
        prefix: Before all names.
    """
    site = load_site()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = _Days(midnight - DAYS_BEFORE * _DAY, now)
    market = _add_market(session, site, days, prefix)
    weather = _add_weather(session)
    assets = _add_assets(session, owner_id, market, now, prefix)
    rng = np.random.default_rng(7)
    building, solar = (np.tile(one, days.count // 2) for one in (site.building, site.solar))
    sun = np.clip(-solar / 0.05 * 800, 0, None)
    warmth = 14 + 6 * np.sin((np.arange(len(sun)) / 96 - 0.35) * 2 * np.pi)
    for sensor, values in (
        (assets["Building"].sensor, _with_breach(building * _daily(rng, days), days)),
        (assets["Solar roof"].sensor, solar * np.clip(_daily(rng, days), 0.5, 1.15)),
        (weather["radiation"], sun),
        (weather["temperature"], warmth),
    ):
        _store_measured(session, sensor, days, values)
        _store_forecasts(session, sensor, days, values, rng)
    return Scene({name: asset.id for name, asset in assets.items()}, market.id)


def _with_breach(power: Values, days: _Days) -> Values:
    """Let the building take more than its capacity of 0.1 MW for half an hour, three hours ago."""
    slot = int((days.now - days.start) / QUARTER) - 12
    breached = power.copy()
    breached[slot : slot + 2] = 0.112
    return breached


def _daily(rng: Any, days: _Days) -> Values:
    """Let no day be quite like the other."""
    factors: Values = np.repeat(rng.normal(1.0, 0.08, days.count), 96) + rng.normal(0, 0.02, days.count * 96)
    return factors


def _add_market(session: Session, site: Site, days: _Days, prefix: str) -> Market:
    market = create_market(
        session,
        NewMarket(
            f"{prefix}day_ahead".lower().replace(" ", "_"),
            f"{prefix}Day-ahead".capitalize(),
            "day_ahead",
            "EUR/MWh",
            HOUR,
            ZONE,
            ("x_days_ago_at_y_oclock", {"x": 1, "y": 12, "z": "Europe/Paris"}),
        ),
    )
    prices = np.tile(site.prices, days.count // 2)
    store_series(session, market.sensor, days.start, prices, timedelta(0), "script")
    return market


def _add_weather(session: Session) -> dict[str, Sensor]:
    sensors = {}
    for name, unit in (("radiation", "kW/m²"), ("temperature", "°C")):
        new = NewWeatherSensor(f"{name} in Luxembourg", name, unit, QUARTER, 49.61, 6.13, ZONE)
        sensors[name] = create_weather_sensor(session, new).sensor
    return sensors


def _add_assets(
    session: Session, owner_id: int, market: Market, now: datetime, prefix: str
) -> dict[str, Asset]:
    known: dict[str, dict[str, Any]] = {
        "Building": {
            "asset_type_name": "building",
            "capacity_in_mw": 0.1,
            "latitude": 49.61,
            "longitude": 6.13,
        },
        "Solar roof": {
            "asset_type_name": "solar",
            "capacity_in_mw": 0.05,
            "latitude": 49.61,
            "longitude": 6.13,
        },
        "Battery": {
            "asset_type_name": "battery",
            "capacity_in_mw": 0.05,
            "min_soc_in_mwh": 0.01,
            "max_soc_in_mwh": 0.1,
            "soc_in_mwh": 0.05,
            "soc_datetime": now,
            "soc_udi_event_id": 1,
            "latitude": 49.612,
            "longitude": 6.128,
            "flex_model": {"roundtrip_efficiency": 0.9},
        },
        "Charging station": {
            "asset_type_name": "one-way_evse",
            "capacity_in_mw": 0.022,
            "max_soc_in_mwh": 0.06,
            "latitude": 49.62,
            "longitude": 6.12,
            "flex_model": {
                "stays": [
                    {
                        "arrival": "18:00",
                        "departure": "07:00",
                        "soc_at_arrival_mwh": 0.01,
                        "soc_wanted_mwh": 0.05,
                    }
                ]
            },
        },
    }
    return {
        name: create_asset(
            session,
            NewAsset(
                name=f"{prefix}{name}",
                event_resolution=QUARTER,
                owner_id=owner_id,
                market_id=market.id,
                timezone=ZONE,
                **fields,
            ),
        )
        for name, fields in known.items()
    }


def _store_measured(session: Session, sensor: Sensor, days: _Days, values: Values) -> None:
    count = int((days.now - days.start) / QUARTER)
    store_series(session, sensor, days.start, values[:count], timedelta(0), "script")


def _store_forecasts(session: Session, sensor: Sensor, days: _Days, values: Values, rng: Any) -> None:
    """Store forecasts of one and of six hours, and of a day ahead, with a band from 10 to 90 %."""
    drift = np.convolve(rng.normal(0, 1, len(values)), np.ones(12) / 12, "same")
    for hours, error in ((1, 0.05), (6, 0.1), (24, 0.16)):
        middle = values * (1 + error * drift * 2)
        room = np.abs(values) * error * 1.6
        store_series(
            session,
            sensor,
            days.start,
            np.stack([middle - room, middle, middle + room]),
            timedelta(hours=hours),
            "forecaster",
        )


_BAND = (0.1, 0.5, 0.9)


def store_series(
    session: Session, sensor: Sensor, start: datetime, values: Values, horizon: timedelta, kind: str
) -> None:
    """Store values, or rows of the values of three probabilities."""
    source = get_or_create_source(session, "FlexMeasures", kind)
    rows = np.atleast_2d(np.asarray(values, dtype=float))
    starts = np.tile(event_grid(start, sensor.event_resolution, rows.shape[1]), len(rows))
    likely = None if len(rows) == 1 else np.repeat(_BAND, rows.shape[1])
    beliefs = Beliefs(
        starts,
        rows.ravel(),
        np.full(len(starts), np.timedelta64(horizon, "us")),
        np.full(len(starts), source.id, dtype=np.int32),
        likely,
    )
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
