"""The request as a view sees it, with addresses and times of messages understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import redis
from sqlalchemy.orm import Session

from flexmeasures.api.usef import statuses
from flexmeasures.api.usef.fields import BeliefHorizon, Group
from flexmeasures.api.usef.versions import Version
from flexmeasures.data.stores.meters import Meter
from flexmeasures.data.stores.users import source_of_user
from flexmeasures.data.tables import User
from flexmeasures.domain.addresses import NamingAuthority, parse_connection
from flexmeasures.domain.beliefs import InsertPolicy
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.rights import Action
from flexmeasures.domain.time import add_duration, format_duration, format_instant
from flexmeasures.services.assets import resolve_connections
from flexmeasures.services.record_beliefs import Recording

__all__ = [
    "Body",
    "Call",
    "View",
    "connections_of",
    "ex_post_recording",
    "period_end",
    "recording",
    "refuse_the_future",
    "require_after_the_fact",
    "word_groups",
]

EX_POST = timedelta(0)


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
        follow_ups: What is to be done once the request is stored and answered.
    """

    session: Session
    redis: redis.Redis
    user: User
    version: Version
    config: Mapping[str, Any]
    host: str
    now: datetime
    follow_ups: list[Callable[[], object]] = field(default_factory=list)

    @property
    def plays(self) -> bool:
        """Tell whether the platform simulates."""
        return bool(self.config["FLEXMEASURES_MODE"].strip() == "play")

    @property
    def clock_limit(self) -> datetime:
        """The latest instant that can be now by the clock of a sender."""
        tolerance: timedelta = self.config["FLEXMEASURES_CLOCK_TOLERANCE"]
        return self.now + tolerance

    @property
    def authority(self) -> NamingAuthority:
        """Return the naming authority of entity addresses."""
        ownership = self.config["FLEXMEASURES_HOSTS_AND_AUTH_START"]
        return NamingAuthority.of_host(self.host, ownership, date(self.now.year, self.now.month, 1))


Body = dict[str, Any]

View = Callable[[Call, Mapping[str, Any]], Body]


def period_end(message: Any) -> datetime:
    """Find the end (exclusive) of a message's period."""
    try:
        return add_duration(message.start, message.duration)
    except InvalidInput as error:
        raise statuses.INVALID_PERIOD(str(error)) from None


def connections_of(call: Call, groups: Sequence[Group], action: Action) -> dict[str, Meter]:
    """Find the assets behind the addresses of a message with which the user may do something, by address."""
    names = list(dict.fromkeys(name for group in groups for name in group.addresses))
    assets = resolve_connections(call.session, call.user, [parse_connection(name) for name in names], action)
    return dict(zip(names, assets, strict=True))


def recording(call: Call, message: Any, infer_horizon: bool = True) -> Recording:
    """Work out when posted data were recorded, by the rules of the version.

    Args:
        call: The request.
        message: With start, duration, horizon and prior.
        infer_horizon: Whether data that say nothing of it are recorded right after each event: in versions without
            "prior", and in play mode. Prognoses are not.

    Raises:
        Refusal: If the version cannot tell.
    """
    end = period_end(message)
    horizon, version = message.horizon, call.version
    if version.rolling_horizons and horizon is not None and horizon.repeated:
        raise statuses.INVALID_HORIZON("Horizons count for each event: write them without 'R/'.")
    recorded_by: datetime | None = None
    length = None if horizon is None else horizon.length
    if version.takes_prior:
        recorded_by = message.prior or call.now
        if length is None and call.plays and infer_horizon and message.prior is None:
            length = EX_POST
    elif horizon is None and not infer_horizon:
        raise statuses.INVALID_HORIZON("When this was forecast cannot be inferred: add 'horizon'.")
    elif horizon is None:
        length = EX_POST
    elif not horizon.repeated and not version.rolling_horizons:
        recorded_by, length = _before(end, horizon.length), None
    refuse_the_future(call, message.prior if version.takes_prior else None, end, horizon)
    return Recording(
        message.start,
        end,
        recorded_by,
        length,
        source_id=source_of_user(call.session, call.user),
        policy=InsertPolicy.REPLACE if call.plays else InsertPolicy.REFUSE,
        limit=call.config["FLEXMEASURES_MAX_VALUES_PER_REQUEST"],
    )


def refuse_the_future(
    call: Call, prior: datetime | None, end: datetime | None = None, horizon: BeliefHorizon | None = None
) -> None:
    """Make sure that nothing claims to be recorded later than now: it would count as the newest belief until then.

    Version 1 has no "prior", and dates what is posted without it at the end of its events, which may lie ahead: what
    claims to be recorded after these is refused. Simulations have clocks of their own.

    Raises:
        Refusal: If it does.
    """
    if call.plays:
        return
    if prior is not None and prior > call.clock_limit:
        raise statuses.INVALID_HORIZON(
            f"'prior' is {format_instant(prior)}, which is in the future. Say when the data were recorded."
        )
    if prior is None and end is not None and horizon is not None and horizon.length < EX_POST:
        recorded = call.now if call.version.takes_prior else _before(end, horizon.length)
        if recorded > call.clock_limit:
            raise statuses.INVALID_HORIZON(
                f"'horizon' is {format_duration(horizon.length)}, so the data would be recorded at "
                f"{format_instant(recorded)}, which is in the future."
            )


def _before(end: datetime, horizon: timedelta) -> datetime:
    try:
        return end - horizon
    except OverflowError:
        raise statuses.INVALID_HORIZON("It lies outside the calendar.") from None


def require_after_the_fact(end: datetime, horizon: BeliefHorizon | None, prior: datetime | None) -> None:
    """Make sure that what a message says of the time of recording can be said of measurements.

    Raises:
        Refusal: If they claim to have been recorded before the end of their events.
    """
    wrong = None
    if horizon is not None and horizon.length > EX_POST:
        wrong = f"'horizon' is {format_duration(horizon.length)}; it must not be positive"
    elif prior is not None and prior < end:
        wrong = (
            f"'prior' is {format_instant(prior)}; it must not lie before their end at {format_instant(end)}"
        )
    if wrong:
        raise statuses.INVALID_HORIZON(
            f"Meter data are about what has happened: {wrong}. What lies ahead is a prognosis."
        )


def ex_post_recording(call: Call, message: Any) -> Recording:
    """Work out when measurements were recorded: never before the end of their events.

    Raises:
        Refusal: If they claim to have been, or are about the future.
    """
    end = period_end(message)
    require_after_the_fact(end, message.horizon, message.prior if call.version.takes_prior else None)
    inferred = recording(call, message)
    if not call.version.takes_prior or message.prior is not None:
        return inferred
    if end > call.clock_limit and not call.plays:
        raise statuses.INVALID_HORIZON(
            f"Meter data are about what has happened, but these end at {format_instant(end)}. Post a prognosis instead."
        )
    # A meter whose clock is a little ahead, or a simulation that is, still measures after the fact.
    return replace(inferred, recorded_by=max(call.now, end))


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
