"""Services about data: power, prices and weather in, power out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
from flask import current_app

from flexmeasures.api.usef import messages, statuses
from flexmeasures.api.usef.call import (
    EX_POST,
    Body,
    Call,
    connections_of,
    ex_post_recording,
    period_end,
    recording,
    require_after_the_fact,
    word_groups,
)
from flexmeasures.api.usef.fields import Group
from flexmeasures.api.usef.statuses import PartlyRefused, Status
from flexmeasures.data.stores.assets import find_markets
from flexmeasures.data.stores.beliefs import Added
from flexmeasures.data.stores.meters import Meter
from flexmeasures.data.tables import Market, WeatherSensor
from flexmeasures.domain.addresses import parse_market, parse_weather_sensor
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.rights import Action
from flexmeasures.domain.time import EPOCH, format_duration, format_instant
from flexmeasures.domain.units import conversion_factor, is_price_unit, power_factor
from flexmeasures.jobs.placing import place_soon
from flexmeasures.services.forecasts.orders import order_forecasts
from flexmeasures.services.read_beliefs import Question, check_resolution, choose_sources, read_values
from flexmeasures.services.record_beliefs import Recording, Series, check_signs, record_beliefs
from flexmeasures.services.weather import find_or_make_weather_sensor

__all__ = [
    "get_meter_data",
    "get_prognosis",
    "post_meter_data",
    "post_price_data",
    "post_prognosis",
    "post_weather_data",
]

WEATHER_UNITS = {
    "temperature": ("°C", "0C"),
    "radiation": ("kW/m²", "kW/m2"),
    "wind_speed": ("m/s",),
}
"""Accepted spellings of the unit of each quantity, the proper one first."""

PRICE_HORIZONS = (timedelta(hours=24), timedelta(hours=48))
"""Horizons at which prices are forecast ..."""

LONGEST_PRICE_WINDOW = timedelta(hours=24)
"""... and how much of what was posted, its end, that is done for."""

PTU = timedelta(minutes=15)
"""The program time unit of version 1."""

DEFAULT_METER_SOURCES = ("MDC",)
"""Roles whose meter data count if nobody is named: meter data companies."""


def get_meter_data(call: Call, raw: Mapping[str, Any]) -> Body:
    """Read measured power."""
    message = messages.GetMeterData.read(raw)
    require_after_the_fact(period_end(message), message.horizon, message.prior)
    return _read_power(
        call, message, max_horizon=EX_POST, types=("user", "script"), default=DEFAULT_METER_SOURCES
    )


def get_prognosis(call: Call, raw: Mapping[str, Any]) -> Body:
    """Read what power was forecast or scheduled to be."""
    message = messages.GetPrognosis.read(raw)
    types = ("user", "scheduler", "forecaster", "script")
    return _read_power(call, message, max_horizon=None, types=types, default=None)


def _read_power(
    call: Call,
    message: Any,
    *,
    max_horizon: timedelta | None,
    types: tuple[str, ...],
    default: tuple[str, ...] | None,
) -> Body:
    end = period_end(message)
    assets = connections_of(call, message.groups, Action.READ)
    for asset in assets.values():
        check_resolution(asset.sensor, message.resolution)
    _check_size(call, [asset.sensor.event_resolution for asset in assets.values()], end - message.start)
    try:
        sources = choose_sources(call.session, call.user, message.sources, default, types)
    except NotFound as error:
        raise statuses.INVALID_SOURCE(str(error)) from None
    question = Question(
        message.start,
        end,
        resolution=message.resolution,
        min_horizon=message.horizon and message.horizon.length,
        max_horizon=max_horizon,
        held_by=message.prior,
        sources=sources,
    )
    values = {}
    for name, asset in assets.items():
        interval = message.resolution or asset.sensor.event_resolution
        factor = power_factor(message.unit, interval, asset.sensor.unit)
        values[name] = read_values(call.session, asset.sensor, question) / factor
    return {
        **word_groups("connection", values),
        "start": format_instant(message.start),
        "duration": format_duration(message.duration),
        "unit": message.unit,
    }


def _check_size(call: Call, resolutions: Sequence[timedelta], period: timedelta) -> None:
    """Refuse a question about more events than one request may be about, before any of them is read."""
    limit = call.config["FLEXMEASURES_MAX_VALUES_PER_REQUEST"]
    asked = sum(period // resolution for resolution in resolutions)
    if asked > limit:
        raise statuses.TOO_LARGE(
            f"It is about {asked} values, but {limit} is the limit. Ask for a shorter period."
        )


def post_meter_data(call: Call, raw: Mapping[str, Any]) -> Body:
    """Store measured power."""
    message = messages.PostMeterData.read(raw)
    how = ex_post_recording(call, message)
    assets, added = _record_power(call, message, how)
    _order_forecasts(call, assets, how)
    return _say_what_was_new(added)


def post_prognosis(call: Call, raw: Mapping[str, Any]) -> Body:
    """Store forecasts of power."""
    message = messages.PostPrognosis.read(raw)
    how = recording(call, message, infer_horizon=False)
    assets, added = _record_power(call, message, how)
    if how.is_after_the_fact and not call.version.takes_prior:
        _order_forecasts(call, assets, how)
    return _say_what_was_new(added)


def _record_power(call: Call, message: Any, how: Recording) -> tuple[dict[str, Meter], Added]:
    assets = connections_of(call, message.groups, Action.CREATE_CHILDREN)
    for group in message.groups:
        for name in group.addresses:
            _check_signs(name, assets[name], group.values)
    groups = []
    for group in message.groups:
        interval = (how.end - how.start) / len(group.values)
        for unit in sorted({assets[name].sensor.unit for name in group.addresses}):
            names = tuple(name for name in group.addresses if assets[name].sensor.unit == unit)
            factor = power_factor(message.unit, interval, unit)
            groups.append(_converted(replace(group, addresses=names), factor))
    return assets, _record(call, groups, assets, how)


def _converted(group: Group, factor: float) -> Group:
    return group if factor == 1 else replace(group, values=group.values * factor)


def _order_forecasts(
    call: Call,
    things: Mapping[str, Meter | Market | WeatherSensor],
    how: Recording,
    horizons: tuple[timedelta, ...] | None = None,
) -> None:
    """Have forecasts made of what was measured, once it is stored."""
    sensors = [thing.sensor for thing in things.values()]
    past = call.config["FLEXMEASURES_FORECAST_PAST"]
    since = None if past is None else call.now - past
    order_forecasts(call.session, sensors, how.start, how.end, horizons, since)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    call.follow_ups.append(partial(place_soon, app))


def post_price_data(call: Call, raw: Mapping[str, Any]) -> Body:
    """Store prices."""
    message = messages.PostPriceData.read(raw)
    how = recording(call, message)
    markets = _markets_of(call, message.groups)
    groups = []
    for group in message.groups:
        for name in group.addresses:
            factor = _price_factor(message.unit, markets[name])
            groups.append(_converted(replace(group, addresses=(name,)), factor))
    added = _record(call, groups, markets, how, gone=statuses.UNRECOGNIZED_MARKET)
    if not call.plays:
        # Prices follow the day, so a day of them tells as much as many.
        latest = replace(how, start=max(how.start, how.end - LONGEST_PRICE_WINDOW))
        _order_forecasts(call, markets, latest, PRICE_HORIZONS)
    return _say_what_was_new(added)


def _price_factor(unit: str, market: Market) -> float:
    """Find the number by which prices are multiplied to get those of a market.

    Raises:
        Refusal: If they are in another currency, or not a price for energy.
    """
    own = market.sensor.unit
    if unit == own:
        return 1.0
    if not (is_price_unit(unit) and is_price_unit(own) and unit[:3] == own[:3]):
        raise statuses.INVALID_UNIT(f"{market.display_name} prices are in {own}; 'unit' is {quote(unit)}.")
    return conversion_factor(unit, own)


def post_weather_data(call: Call, raw: Mapping[str, Any]) -> Body:
    """Store weather."""
    message = messages.PostWeatherData.read(raw)
    how = recording(call, message)
    sensors = {}
    for group in message.groups:
        for name in group.addresses:
            address = parse_weather_sensor(name)
            accepted = WEATHER_UNITS.get(address.type_name)
            if accepted is not None and message.unit not in accepted:
                quantity = address.type_name.replace("_", " ")
                raise statuses.INVALID_UNIT(
                    f"Values of {quantity} must be in {' or '.join(accepted)}; 'unit' is {quote(message.unit)}."
                )
            posted = (how.end - how.start) / len(group.values)
            try:
                sensors[name] = find_or_make_weather_sensor(
                    call.session,
                    address,
                    make_with=(posted, accepted[0]) if call.plays and accepted else None,
                )
            except NotFound as error:
                raise statuses.UNRECOGNIZED_SENSOR(str(error)) from None
            own = sensors[name].sensor.unit
            if accepted is None and message.unit != own:
                raise statuses.INVALID_UNIT(
                    f"This sensor's values are in {own}; 'unit' is {quote(message.unit)}."
                )
    added = _record(call, message.groups, sensors, how, gone=statuses.UNRECOGNIZED_SENSOR)
    if how.is_after_the_fact and not call.plays:
        _order_forecasts(call, sensors, how)
    return _say_what_was_new(added)


def _record(
    call: Call,
    groups: Sequence[Group],
    things: Mapping[str, Meter | Market | WeatherSensor],
    how: Recording,
    gone: Status = statuses.UNRECOGNIZED_CONNECTION_GROUP,
) -> Added:
    """Store the values of groups.

    Raises:
        Refusal: With the status `gone` if something that they are about was deleted meanwhile.
    """
    if call.version.in_quarters:
        _check_ptus(how, min(thing.sensor.event_resolution for thing in things.values()))
    series = [Series([things[name].sensor for name in group.addresses], group.values) for group in groups]
    try:
        return record_beliefs(call.session, series, how)
    except NotFound as error:
        raise gone(str(error)) from None


def _say_what_was_new(added: Added) -> Body:
    """Say what became of posted values.

    Raises:
        PartlyRefused: If some contradict what is stored.
    """
    known = f"{added.known} had been received before" if added.known else ""
    first = added.first
    if first is not None:
        stored = ", ".join(filter(None, (f"{added.new} are new and stored", known)))
        raise PartlyRefused(
            statuses.ALREADY_RECEIVED,
            f"Of the values {stored}, and {added.contradicting} were refused, because you sent other ones for the same "
            f"events and recording times before: the first is {first.value:g} instead of {first.stored_value:g} for "
            f"sensor {first.sensor_id} at {format_instant(first.event_start)}. To correct it, send it with a later "
            "recording time.",
        )
    return {"notes": [f"{added.new} values are new; {known}."]} if known else {}


def _check_ptus(how: Recording, shortest: timedelta) -> None:
    """Make sure that a series fits program time units (PTUs), or the events of its sensors if those are shorter."""
    ptu = min(PTU, shortest)
    if (how.start - EPOCH) % ptu or (how.end - how.start) % ptu:
        raise statuses.INVALID_PTU_DURATION(
            f"The series starts at {format_instant(how.start)} and lasts {format_duration(how.end - how.start)}. Let "
            f"it start on the hour, or a multiple of {format_duration(ptu)} after it, and last a multiple of "
            f"{format_duration(ptu)}."
        )


def _markets_of(call: Call, groups: Sequence[Group]) -> dict[str, Market]:
    wanted = {name: parse_market(name).name for group in groups for name in group.addresses}
    found = {market.name: market for market in find_markets(call.session, wanted.values())}
    markets = {}
    for name, market_name in wanted.items():
        spellings = (market_name, market_name.replace("-", "_"), market_name.replace("_", "-"))
        market = next((found[s] for s in spellings if s in found), None)
        if market is None:
            raise statuses.UNRECOGNIZED_MARKET(
                f"There is no market called {quote(market_name)}. Check its name."
            )
        markets[name] = market
    return markets


def _check_signs(name: str, meter: Meter, values: np.ndarray[Any, Any]) -> None:
    broken = check_signs(values, meter.is_consumer, meter.is_producer)
    if broken == "consumes only":
        raise statuses.POWER_VALUE_TOO_SMALL(
            f"{name} {broken}, so its values must not be negative: positive is consumption."
        )
    if broken:
        raise statuses.POWER_VALUE_TOO_BIG(
            f"{name} {broken}, so its values must not be positive: negative is production."
        )
