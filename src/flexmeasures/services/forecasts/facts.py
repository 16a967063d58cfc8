"""What is known of a sensor beside its values: what it belongs to, special days, and the weather as it was known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Window, read_latest
from flexmeasures.data.tables import Annotation, Asset, Market, MarketType, Sensor, WeatherSensor
from flexmeasures.domain.beliefs import bin_edges, mean_per_bin
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.forecasting import Facts, History, Regressor, Traits
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import find_zone, from_datetime64, to_datetime64
from flexmeasures.services.weather import nearest_weather_sensors

__all__ = ["Situation", "read_facts", "read_special_days", "read_traits"]

Values = np.ndarray[Any, np.dtype[np.float64]]

_WEATHER_OF_TYPE = {
    "solar": ("radiation",),
    "wind": ("wind_speed",),
    "one-way_evse": ("temperature",),
    "two-way_evse": ("temperature",),
    "battery": ("temperature",),
    "building": ("temperature",),
}
_SHIFT_OF_WEATHER = {"wind_speed": 0.1, "radiation": 0.1, "temperature": 273.16}
_SHIFT_OF_POWER = 0.1
_NEAREST = 3


@dataclass(frozen=True)
class Situation:
    """For what time facts are wanted, and what the platform says of holidays.

    Attributes:
        first_belief: The time of the first forecast: what was noted later is not known.
        country: Whose holidays are special days, such as NL or DE-BW; None: nobody's. An asset's attribute ``country``
            comes before it.
    """

    first_belief: datetime
    country: str | None = None


def read_traits(session: Session, sensor: Sensor) -> Traits:
    """Describe a sensor by what it belongs to."""
    weather = session.get(WeatherSensor, sensor.id)
    if weather is not None:
        name = weather.weather_sensor_type_name
        return Traits(
            lowest=0.0 if name in {"wind_speed", "radiation"} else None,
            is_solar=name == "radiation",
            place=(weather.latitude, weather.longitude),
            box_cox_shift=_SHIFT_OF_WEATHER.get(name),
        )
    market = session.get(Market, sensor.id)
    if market is not None:
        kind = session.get(MarketType, market.market_type_name)
        return Traits(daily=kind is None or kind.daily_seasonality)
    asset = session.get(Asset, sensor.asset_id)
    if asset is None or asset.power_sensor_id != sensor.id:
        return Traits()
    one_way = asset.asset_type.is_consumer != asset.asset_type.is_producer
    has_place = asset.latitude is not None and asset.longitude is not None
    return Traits(
        lowest=0.0 if one_way and asset.asset_type.is_consumer else None,
        highest=0.0 if one_way and asset.asset_type.is_producer else None,
        is_solar=asset.asset_type_name == "solar",
        place=(asset.latitude, asset.longitude) if has_place else None,
        box_cox_shift=_SHIFT_OF_POWER if one_way else None,
        daily=asset.asset_type.daily_seasonality,
    )


def read_facts(
    session: Session, sensor: Sensor, history: History, horizon: timedelta, situation: Situation
) -> Facts:
    """Gather what is known of a sensor when events at the end of a history are forecast.

    Raises:
        InvalidInput: If there is no list of the holidays of a country.
    """
    asset = session.get(Asset, sensor.asset_id)
    return Facts(
        read_traits(session, sensor),
        read_special_days(session, sensor, history, situation),
        () if asset is None else _read_regressors(session, asset, sensor, history, horizon),
    )


def read_special_days(
    session: Session, sensor: Sensor, history: History, situation: Situation
) -> frozenset[np.datetime64]:
    """List the local dates that are public holidays, or that an annotation of type holiday marks.

    Annotations count that were noted before the first forecast, on the sensor, its asset or its account.
    """
    asset = session.get(Asset, sensor.asset_id)
    starts = history.starts
    first, last = from_datetime64(starts[0]), from_datetime64(starts[-1])
    subjects = [Annotation.sensor_id == sensor.id, Annotation.asset_id == sensor.asset_id]
    if asset is not None and asset.account_id is not None:
        subjects.append(Annotation.account_id == asset.account_id)
    noted = session.execute(
        select(Annotation.start, Annotation.end).where(
            Annotation.type == "holiday",
            or_(*subjects),
            Annotation.belief_time <= situation.first_belief,
            Annotation.end > first,
            Annotation.start <= last,
        )
    )
    zone = find_zone(history.zone)
    days: set[np.datetime64] = set()
    for start, end in noted:
        local = (start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date())
        days.update(np.datetime64(local[0], "D") + np.arange((local[1] - local[0]).days + 1))
    country = (asset.attributes.get("country") if asset is not None else None) or situation.country
    if country:
        days |= _public_holidays(str(country), first.year, last.year)
    return frozenset(days)


@lru_cache(maxsize=256)
def _public_holidays(country: str, first: int, last: int) -> frozenset[np.datetime64]:
    """List public holidays of a country, such as NL, or of a part of one, such as DE-BW."""
    import holidays  # noqa: PLC0415 - its many calendars are needed by workers alone

    name, _, part = country.partition("-")
    try:
        found = holidays.country_holidays(name, subdiv=part or None, years=range(first - 1, last + 2))
    except NotImplementedError as error:
        raise InvalidInput(
            f"No holidays are known of {quote(country)}. Use an ISO 3166 code, such as NL or DE-BW."
        ) from error
    return frozenset(np.datetime64(day, "D") for day in found)


def _read_regressors(
    session: Session, asset: Asset, sensor: Sensor, history: History, horizon: timedelta
) -> tuple[Regressor, ...]:
    """Read the weather that explains an asset, as it was forecast at least the horizon before.

    Of each kind of weather, the nearest sensor counts of which there are such forecasts.
    """
    if None in (asset.latitude, asset.longitude) or asset.power_sensor_id != sensor.id:
        return ()
    found = []
    for name in _WEATHER_OF_TYPE.get(asset.asset_type_name, ()):
        for near in nearest_weather_sensors(session, name, asset.latitude, asset.longitude, _NEAREST):
            values = _weather_on_grid(session, near.sensor, history, horizon)
            if values is not None:
                found.append(Regressor(name, values, horizon))
                break
    return tuple(found)


def _weather_on_grid(session: Session, sensor: Sensor, history: History, horizon: timedelta) -> Values | None:
    """Read what was forecast of the weather at each event of a history: shape ``(n,)``; None: nothing was."""
    starts = history.starts
    first, last = from_datetime64(starts[0]), from_datetime64(starts[-1] + history.step)
    window = Window(sensor.id, sensor.event_resolution, first, last, min_horizon=horizon)
    times, values = read_latest(session, window)
    if not len(times):
        return None
    if sensor.event_resolution >= history.resolution:
        # Coarser weather holds for each event that it covers.
        position = np.searchsorted(times, starts, side="right") - 1
        age = starts - times[np.maximum(position, 0)]
        covers = (position >= 0) & (age < np.timedelta64(sensor.event_resolution))
        return np.where(covers, values[np.maximum(position, 0)], np.nan)
    edges = bin_edges(first, last, history.resolution, "UTC")
    means, covered = mean_per_bin(times, values, sensor.event_resolution, edges)
    on_grid = np.full(len(starts), np.nan)
    shown = np.where(covered > 0, means, np.nan)[: len(starts)]
    on_grid[: len(shown)] = shown
    return on_grid if edges[0] == to_datetime64(first) else None
