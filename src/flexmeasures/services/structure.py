"""Structure that the first asset needs: types of assets, weather sensors and markets, and a dummy market."""

from __future__ import annotations

from calendar import isleap
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.assets import find_market
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import AssetType, Market, MarketType, WeatherSensorType
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import to_datetime64
from flexmeasures.services.built_in_types import BUILT_IN_TYPES, ensure_asset_type
from flexmeasures.services.numbered import add_public_asset, add_sensor_to

__all__ = ["DUMMY_MARKET", "add_structure"]

DUMMY_MARKET = "dummy-tou"

_DUMMY_PRICE = 50.0
_DUMMY_YEARS = range(2015, 2051)

_DAILY_WEEKLY_YEARLY = {"daily_seasonality": True, "weekly_seasonality": True, "yearly_seasonality": True}
_DAILY_YEARLY = {"daily_seasonality": True, "yearly_seasonality": True}

_TYPES = (
    WeatherSensorType(name="temperature", display_name="ambient temperature"),
    WeatherSensorType(name="wind_speed", display_name="wind speed"),
    WeatherSensorType(name="radiation", display_name="solar irradiation"),
    MarketType(name="day_ahead", display_name="day-ahead market", **_DAILY_WEEKLY_YEARLY),
    MarketType(name="tou_tariff", display_name="time-of use tariff", **_DAILY_YEARLY),
)


def add_structure(session: Session) -> dict[str, int]:
    """Make what is missing of the basic types and the dummy market; doing it again changes nothing.

    Returns:
        How many rows there are now, by kind.
    """
    for name in BUILT_IN_TYPES:
        ensure_asset_type(session, name)
    for row in _TYPES:
        kind = type(row)
        if session.get(kind, row.name) is None:
            session.add(
                kind(**{c.key: getattr(row, c.key) for c in kind.__table__.columns if c.key in row.__dict__})
            )
    session.flush()
    if find_market(session, DUMMY_MARKET) is None:
        _add_dummy_market(session)
    return {
        kind.__name__: session.scalar(select(func.count()).select_from(kind)) or 0
        for kind in (AssetType, WeatherSensorType, MarketType, Market)
    }


def _add_dummy_market(session: Session) -> None:
    """Add a market with one price for all time: for those who have no tariff, or do not care about it."""
    asset = add_public_asset(session, DUMMY_MARKET, "market")
    ahead = ("ex_ante", {"ex_ante_horizon": "PT0H"})
    sensor = add_sensor_to(session, asset, DUMMY_MARKET, "EUR/MWh", timedelta(days=365), "UTC", ahead)
    session.add(
        Market(
            id=sensor.id,
            name=DUMMY_MARKET,
            display_name="dummy time-of-use tariff",
            market_type_name="tou_tariff",
        )
    )
    # 365 days from the first of January leave a leap year's last day without a price, so that day has its own.
    starts = [datetime(y, 1, 1, tzinfo=UTC) for y in _DUMMY_YEARS]
    starts += [datetime(y, 12, 31, tzinfo=UTC) for y in _DUMMY_YEARS if isleap(y)]
    source = get_or_create_source(session, "FlexMeasures", "demo")
    beliefs = Beliefs(
        np.array([to_datetime64(s) for s in sorted(starts)]),
        np.full(len(starts), _DUMMY_PRICE),
        np.zeros(len(starts), dtype="timedelta64[us]"),
        np.full(len(starts), source.id, dtype=np.int32),
    )
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
