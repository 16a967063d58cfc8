"""What is known of a sensor beside its values: what it belongs to, special days, and the weather as it was known."""

from __future__ import annotations

from collections.abc import Sequence
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
from flexmeasures.domain.places import Coordinates
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import find_zone, from_datetime64, to_datetime64
from flexmeasures.services.weather import nearest_of, weather_sensors_of

__all__ = ["FactsReader"]

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


class FactsReader:
    """Facts about sensors that are forecast together; what several of them share is read once.

    Args:
        session: For reading.
        sensors: All that facts will be asked for.
        country: Whose holidays are special days, such as NL or DE-BW; None: nobody's. An asset's attribute ``country``
            comes before it.
    """

    def __init__(self, session: Session, sensors: Sequence[Sensor], country: str | None = None) -> None:
        self._session = session
        self._country = country
        ids = self._ids = [sensor.id for sensor in sensors]
        of_assets = select(Asset).where(Asset.id.in_({sensor.asset_id for sensor in sensors}))
        self._assets = {asset.id: asset for asset in session.scalars(of_assets)}
        self._weather = {
            one.id: one for one in session.scalars(select(WeatherSensor).where(WeatherSensor.id.in_(ids)))
        }
        of_markets = (
            select(Market.id, MarketType.daily_seasonality)
            .outerjoin(MarketType, MarketType.name == Market.market_type_name)
            .where(Market.id.in_(ids))
        )
        self._is_daily = {number: daily is not False for number, daily in session.execute(of_markets)}
        self._weather_of_type: dict[str, list[WeatherSensor]] = {}
        self._holidays: list[Any] | None = None

    def add(self, sensors: Sequence[Sensor]) -> None:
        """Read what further sensors belong to."""
        of_assets = select(Asset).where(Asset.id.in_({sensor.asset_id for sensor in sensors}))
        self._assets |= {asset.id: asset for asset in self._session.scalars(of_assets)}

    def asset_of(self, sensor: Sensor) -> Asset | None:
        """Find what a sensor belongs to."""
        return self._assets.get(sensor.asset_id)

    def facts(
        self,
        sensor: Sensor,
        history: History,
        horizon: timedelta,
        first_belief: datetime,
        *,
        weather: bool = True,
    ) -> Facts:
        """Gather what is known of a sensor when events at the end of a history are forecast.

        Args:
            sensor: The sensor.
            history: What was measured.
            horizon: Of the forecasts.
            first_belief: The time of the first forecast: what was noted later is not known.
            weather: Whether the weather counts.

        Raises:
            InvalidInput: If there is no list of the holidays of a country.
        """
        return Facts(
            self.traits(sensor),
            self.special_days(sensor, history, first_belief),
            self._regressors(sensor, history, horizon) if weather else (),
        )

    def traits(self, sensor: Sensor) -> Traits:
        """Describe a sensor by what it belongs to."""
        weather = self._weather.get(sensor.id)
        if weather is not None:
            name = weather.weather_sensor_type_name
            return Traits(
                lowest=0.0 if name in {"wind_speed", "radiation"} else None,
                is_solar=name == "radiation",
                place=(weather.latitude, weather.longitude),
                box_cox_shift=_SHIFT_OF_WEATHER.get(name),
            )
        if sensor.id in self._is_daily:
            return Traits(daily=self._is_daily[sensor.id])
        asset = self.asset_of(sensor)
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

    def special_days(
        self, sensor: Sensor, history: History, first_belief: datetime
    ) -> frozenset[np.datetime64]:
        """List the local dates that are public holidays, or that an annotation of type holiday marks.

        Annotations count that were noted before the first forecast, on the sensor, its asset or its account.
        """
        asset = self.asset_of(sensor)
        starts = history.starts
        first, last = from_datetime64(starts[0]), from_datetime64(starts[-1])
        zone = find_zone(history.zone)
        days: set[np.datetime64] = set()
        for one in self._noted_holidays():
            concerns = one.sensor_id == sensor.id or one.asset_id == sensor.asset_id
            if asset is not None and asset.account_id is not None:
                concerns |= one.account_id == asset.account_id
            if not concerns or one.belief_time > first_belief or one.end <= first or one.start > last:
                continue
            begin = one.start.astimezone(zone).date()
            end = (one.end - timedelta(microseconds=1)).astimezone(zone).date()
            days.update(np.datetime64(begin, "D") + np.arange((end - begin).days + 1))
        country = (asset.attributes.get("country") if asset is not None else None) or self._country
        if country:
            days |= _public_holidays(str(country), first.year, last.year)
        return frozenset(days)

    def _noted_holidays(self) -> list[Any]:
        """Read the annotations of type holiday, once for all sensors; they are few."""
        if self._holidays is None:
            columns = (Annotation.sensor_id, Annotation.asset_id, Annotation.account_id)
            accounts = {asset.account_id for asset in self._assets.values()} - {None}
            query = select(*columns, Annotation.start, Annotation.end, Annotation.belief_time).where(
                Annotation.type == "holiday",
                or_(
                    Annotation.sensor_id.in_(self._ids),
                    Annotation.asset_id.in_(self._assets),
                    Annotation.account_id.in_(accounts),
                ),
            )
            self._holidays = list(self._session.execute(query))
        return self._holidays

    def _regressors(self, sensor: Sensor, history: History, horizon: timedelta) -> tuple[Regressor, ...]:
        """Read the weather that explains an asset, as it was forecast at least the horizon before.

        Of each kind of weather, the nearest sensor counts of which there are such forecasts.
        """
        asset = self.asset_of(sensor)
        if asset is None or asset.power_sensor_id != sensor.id or None in (asset.latitude, asset.longitude):
            return ()
        found = []
        for name in _WEATHER_OF_TYPE.get(asset.asset_type_name, ()):
            for near in self._nearest(name, Coordinates(asset.latitude, asset.longitude)):
                values = _weather_on_grid(self._session, near.sensor, history, horizon)
                if values is not None:
                    found.append(Regressor(name, values, horizon))
                    break
        return tuple(found)

    def _nearest(self, name: str, place: Coordinates) -> list[WeatherSensor]:
        if name not in self._weather_of_type:
            self._weather_of_type[name] = weather_sensors_of(self._session, name)
        return nearest_of(self._weather_of_type[name], place, _NEAREST)


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
