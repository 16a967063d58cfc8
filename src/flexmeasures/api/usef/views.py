"""What each service does with its message: read it, call the use case, word the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import redis
from sqlalchemy.orm import Session

from flexmeasures.api.usef import messages, statuses
from flexmeasures.api.usef.messages import Group
from flexmeasures.api.usef.versions import SERVICES, Version
from flexmeasures.data.stores.assets import find_markets
from flexmeasures.data.stores.users import source_of_user
from flexmeasures.data.tables import Asset, Market, User
from flexmeasures.domain.addresses import (
    ConnectionAddress,
    EventAddress,
    NamingAuthority,
    parse_connection,
    parse_market,
)
from flexmeasures.domain.errors import InvalidInput, NotFound
from flexmeasures.domain.time import add_duration, format_duration, format_instant
from flexmeasures.domain.units import conversion_factor
from flexmeasures.jobs.schedules import describe_failure, enqueue_schedule, find_job
from flexmeasures.services.assets import resolve_connections, visible_assets
from flexmeasures.services.make_schedule import read_schedule
from flexmeasures.services.read_beliefs import Question, check_resolution, choose_sources, read_values
from flexmeasures.services.record_beliefs import Recording, Series, check_signs, record_beliefs
from flexmeasures.services.request_schedule import ScheduleRequest, SocTarget, find_device, request_schedule

__all__ = ["VIEWS", "Call"]

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far the clock of a meter may be ahead of ours."""

_EX_POST = timedelta(0)


@dataclass(frozen=True)
class Call:
    """All that a view may need of the request and the platform.

    Attributes:
        session: Within the transaction of the request.
        redis: The job store.
        user: Who asks; None for public services.
        version: Of the API.
        config: Values of the settings.
        host: Host as the client named it.
        now: The current time, UTC.
    """

    session: Session
    redis: redis.Redis
    user: User
    version: Version
    config: Mapping[str, Any]
    host: str
    now: datetime

    @property
    def plays(self) -> bool:
        """Whether the platform simulates."""
        return self.config["FLEXMEASURES_MODE"].strip() == "play"

    @property
    def authority(self) -> NamingAuthority:
        """Who gives the names in entity addresses."""
        ownership = self.config["FLEXMEASURES_HOSTS_AND_AUTH_START"]
        return NamingAuthority.of_host(self.host, ownership, date(self.now.year, self.now.month, 1))


Body = dict[str, Any]


def get_service(call: Call, raw: Mapping[str, Any]) -> Body:
    """List the services of this version; those of one role, if ``access`` names one."""
    services = [
        {"name": s.name, "access": list(s.access), "description": s.description}
        for s in SERVICES
        if call.version.prefix in s.versions and not s.public
    ]
    role = raw.get("access")
    if role is not None:
        services = [service for service in services if role in service["access"]]
        if not services:
            raise statuses.INVALID_ROLE(f"'access' is {role!r}. Name a role such as Prosumer.")
    return {"version": call.version.number, "services": services}


def get_connection(call: Call, raw: Mapping[str, Any]) -> Body:
    """List the user's connections, the newest first."""
    assets = visible_assets(call.session, call.user)
    authority = call.authority
    return {
        "connections": [ConnectionAddress(a.id, a.owner_id).build(authority) for a in assets],
        "names": [a.name if call.plays else a.display_name for a in assets],
        "status": 200,
    }


def get_meter_data(call: Call, raw: Mapping[str, Any]) -> Body:
    """Read measured power."""
    message = messages.GetMeterData.read(raw)
    if message.horizon is not None and message.horizon > _EX_POST:
        raise statuses.INVALID_HORIZON(
            "Meter data are about what has happened: 'horizon' must not be positive."
        )
    end = period_end(message)
    if message.prior is not None and message.prior < end:
        raise statuses.INVALID_HORIZON(
            "Meter data are about what has happened: 'prior' must not lie before the end."
        )
    assets = _connections(call, message.groups)
    for asset in assets.values():
        check_resolution(asset.sensor, message.resolution)
    try:
        sources = choose_sources(call.session, call.user, message.sources, types=("user", "script"))
    except NotFound as error:
        raise statuses.INVALID_SOURCE(str(error)) from None
    question = Question(
        message.start,
        end,
        resolution=message.resolution,
        min_horizon=message.horizon,
        max_horizon=_EX_POST,
        held_by=message.prior,
        sources=sources,
    )
    values = {name: read_values(call.session, asset.sensor, question) for name, asset in assets.items()}
    return {
        **word_groups("connection", values),
        "start": format_instant(message.start),
        "duration": format_duration(message.duration),
        "unit": message.unit,
    }


def post_meter_data(call: Call, raw: Mapping[str, Any]) -> Body:
    """Store measured power."""
    message = messages.PostMeterData.read(raw)
    end = period_end(message)
    if message.horizon is not None and message.horizon > _EX_POST:
        raise statuses.INVALID_HORIZON(
            "Meter data are about what has happened: 'horizon' must not be positive."
        )
    if message.prior is not None and message.prior < end:
        raise statuses.INVALID_HORIZON(
            "Meter data are about what has happened: 'prior' must not lie before the end."
        )
    horizon = message.horizon
    if message.prior is None and call.plays:
        horizon = horizon or _EX_POST
    elif message.prior is None and end > call.now + CLOCK_TOLERANCE:
        raise statuses.INVALID_HORIZON(
            f"Meter data are about what has happened, but these end at {format_instant(end)}. Post a prognosis instead."
        )
    # A meter whose clock is a little ahead, or a simulation that is, still measures after the fact.
    recorded_by = message.prior or max(call.now, end)
    series = []
    assets = _connections(call, message.groups)
    for group in message.groups:
        for name in group.addresses:
            _check_signs(name, assets[name], group.values)
        series.append(Series([assets[name].sensor for name in group.addresses], group.values))
    record_beliefs(call.session, series, _recording(call, message.start, end, recorded_by, horizon))
    return {}


def post_price_data(call: Call, raw: Mapping[str, Any]) -> Body:
    """Store prices."""
    message = messages.PostPriceData.read(raw)
    end = period_end(message)
    horizon = message.horizon
    if call.plays and message.prior is None:
        horizon = horizon or _EX_POST
    markets = _markets(call, message.groups)
    for market in markets.values():
        if market.sensor.unit != message.unit:
            raise statuses.INVALID_UNIT(
                f"{market.display_name} prices are in {market.sensor.unit}; 'unit' is {message.unit!r}."
            )
    series = [Series([markets[n].sensor for n in group.addresses], group.values) for group in message.groups]
    record_beliefs(
        call.session, series, _recording(call, message.start, end, message.prior or call.now, horizon)
    )
    return {}


def post_udi_event(call: Call, raw: Mapping[str, Any]) -> Body:
    """Take note of a device's state of charge and order its schedule."""
    message = messages.PostUdiEvent.read(raw)
    address = message.events
    if address.event_type not in ("soc", "soc-with-targets"):
        raise statuses.UNRECOGNIZED_UDI_EVENT(
            f"Its type is {address.event_type!r}; it must be soc or soc-with-targets."
        )
    targets = message.targets if address.event_type == "soc-with-targets" else ()
    if not targets and address.event_type == "soc-with-targets":
        raise statuses.INCOMPLETE_UDI_EVENT("Add 'targets', a list of values with their datetime.")
    asset = find_device(call.session, call.user, address.asset_id, lock=True)
    to_mwh = conversion_factor(message.unit, "MWh")
    request = ScheduleRequest(
        asset_id=asset.id,
        event_id=address.event_id,
        at=message.datetime,
        soc_mwh=message.values * to_mwh,
        targets=tuple(SocTarget(t.at, t.value * to_mwh) for t in targets),
        recorded_at=message.prior or call.now,
        horizon=call.config["FLEXMEASURES_PLANNING_HORIZON"],
        in_order=not call.plays,
    )
    ttl = call.config["FLEXMEASURES_PLANNING_TTL"]
    request_schedule(
        call.session, asset, request, enqueue=lambda order: enqueue_schedule(call.redis, order, ttl)
    )
    return {}


def get_device_message(call: Call, raw: Mapping[str, Any]) -> Body:
    """Hand out the schedules that were made for UDI events."""
    message = messages.GetDeviceMessage.read(raw)
    values, notes, start, duration = {}, [], call.now, timedelta(0)
    for name in (name for group in message.groups for name in group.addresses):
        address = messages.parse_event_address(name)
        asset = find_device(call.session, call.user, address.asset_id)
        start, noted = _planned(call, asset, address)
        notes += noted
        resolution = asset.sensor.event_resolution
        asked = add_duration(start, message.duration) - start
        power = read_schedule(
            call.session, asset, start, min(asked, call.config["FLEXMEASURES_PLANNING_HORIZON"])
        )
        if not len(power):
            raise statuses.UNKNOWN_SCHEDULE("The schedule was not found in the database.")
        values[name], duration = power, min(asked, len(power) * resolution)
    return {
        **word_groups("event", values),
        "start": format_instant(start),
        "duration": format_duration(duration),
        "unit": "MW",
        "notes": notes,
    }


def _planned(call: Call, asset: Asset, address: EventAddress) -> tuple[datetime, list[str]]:
    """Make sure that an event's schedule was made.

    Returns:
        Where the schedule starts, and what the scheduler noted about it.
    """
    job = find_job(call.redis, asset.id, address.event_id)
    if job is None:
        if asset.soc_udi_event_id != address.event_id or asset.soc_datetime is None:
            raise statuses.UNRECOGNIZED_UDI_EVENT(
                f"Event {address.event_id} of asset {asset.id} has no schedule."
            )
        return asset.soc_datetime, []
    status = job.get_status()
    name = getattr(status, "value", status)
    if name != "finished":
        waits_for = ", ".join(job.dependency_ids) if name == "deferred" else ""
        explanations = {
            "queued": "The job waits to be processed.",
            "scheduled": "The job waits to be processed.",
            "started": "The job is in progress.",
            "deferred": f"The job waits for {waits_for}.",
        }
        failed = name in ("failed", "stopped", "canceled")
        text = (
            describe_failure(job)
            if failed
            else explanations.get(name, f"The job has the unknown status {name}.")
        )
        raise statuses.UNKNOWN_SCHEDULE(text)
    return job.args[0].at, job.meta.get("notes", [])


def period_end(message: Any) -> datetime:
    """Find the end (exclusive) of a message's period."""
    try:
        return add_duration(message.start, message.duration)
    except InvalidInput as error:
        raise statuses.INVALID_PERIOD(str(error)) from None


def _connections(call: Call, groups: Sequence[Group]) -> dict[str, Asset]:
    names = list(dict.fromkeys(name for group in groups for name in group.addresses))
    assets = resolve_connections(call.session, call.user, [parse_connection(name) for name in names])
    return dict(zip(names, assets, strict=True))


def _markets(call: Call, groups: Sequence[Group]) -> dict[str, Market]:
    wanted = {name: parse_market(name).name for group in groups for name in group.addresses}
    found = {market.name: market for market in find_markets(call.session, wanted.values())}
    markets = {}
    for name, market_name in wanted.items():
        spellings = (market_name, market_name.replace("-", "_"), market_name.replace("_", "-"))
        market = next((found[s] for s in spellings if s in found), None)
        if market is None:
            raise statuses.UNRECOGNIZED_MARKET(f"There is no market called {market_name!r}.")
        markets[name] = market
    return markets


def _check_signs(name: str, asset: Asset, values: np.ndarray[Any, Any]) -> None:
    broken = check_signs(values, asset.asset_type.is_consumer, asset.asset_type.is_producer)
    if broken == "consumes only":
        raise statuses.POWER_VALUE_TOO_SMALL(
            f"{name} {broken}, so its values must not be negative: positive is consumption."
        )
    if broken:
        raise statuses.POWER_VALUE_TOO_BIG(
            f"{name} {broken}, so its values must not be positive: negative is production."
        )


def _recording(
    call: Call, start: datetime, end: datetime, recorded_by: datetime, horizon: timedelta | None
) -> Recording:
    return Recording(
        start,
        end,
        recorded_by,
        horizon,
        source_id=source_of_user(call.session, call.user),
        overwrite=call.plays,
        limit=call.config["FLEXMEASURES_MAX_VALUES_PER_REQUEST"],
    )


def word_groups(key: str, values: Mapping[str, np.ndarray[Any, Any]]) -> Body:
    """Word values by name: those with the same values as one group, and a single group without the word "group".

    >>> word_groups("connection", {"a": np.array([1.0])})
    {'connection': 'a', 'values': array([1.])}
    """
    together: dict[bytes, tuple[list[str], np.ndarray[Any, Any]]] = {}
    for name, array in values.items():
        together.setdefault(array.tobytes(), ([], array))[0].append(name)
    groups = [
        {**({key: names[0]} if len(names) == 1 else {f"{key}s": names}), "values": array}
        for names, array in together.values()
    ]
    return groups[0] if len(groups) == 1 else {"groups": groups}


VIEWS: dict[str, Callable[[Call, Mapping[str, Any]], Body]] = {
    "getService": get_service,
    "getConnection": get_connection,
    "getMeterData": get_meter_data,
    "postMeterData": post_meter_data,
    "postPriceData": post_price_data,
    "postUdiEvent": post_udi_event,
    "getDeviceMessage": get_device_message,
}
