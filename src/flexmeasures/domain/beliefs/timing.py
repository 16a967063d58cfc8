"""When something can be known, and what that makes of the time at which a belief was held.

An event is known from its *knowledge time* on: a meter reading when its interval has ended, a day-ahead price when the
auction has cleared. The *belief horizon* is how long before that a belief was held: positive for a forecast, zero or
negative for a measurement, so that ``belief_time + belief_horizon = knowledge_time``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from flexmeasures.domain.errors import BadBeliefTiming, FlexError, InvalidDuration
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import (
    Instants,
    find_zone,
    format_duration,
    local_midnights,
    parse_duration,
    parse_instant,
    to_datetime64,
    to_microseconds,
)

__all__ = [
    "AtDate",
    "DaysAgo",
    "Durations",
    "ExAnte",
    "ExPost",
    "KnowledgeRule",
    "belief_horizons",
    "belief_times",
    "parse_knowledge_rule",
]

_MOST_DAYS = 366

Durations = np.ndarray[Any, np.dtype[np.timedelta64]]
"""An array of durations, ``timedelta64[us]``."""


class KnowledgeRule(Protocol):
    """Tells from when on the events of a sensor are known."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's parameters, ready for JSON."""

    @property
    def name(self) -> str:
        """The rule's documented name."""

    def knowledge_times(self, event_starts: Instants, resolution: timedelta) -> Instants:
        """Find the knowledge time of each event: shape ``(n,)`` like ``event_starts``, UTC."""


@dataclass(frozen=True)
class ExPost:
    """Known some time after the end of the event: physical measurements.

    Attributes:
        delay: How long after the end.
    """

    delay: timedelta = timedelta(0)
    name = "ex_post"

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's parameters, ready for JSON."""
        return {"ex_post_horizon": format_duration(self.delay)}

    def knowledge_times(self, event_starts: Instants, resolution: timedelta) -> Instants:
        """Find the knowledge time of each event."""
        return event_starts + np.timedelta64(to_microseconds(resolution + self.delay), "us")


@dataclass(frozen=True)
class ExAnte:
    """Known some time before the start of the event: tariffs.

    Attributes:
        ahead: How long before the start.
    """

    ahead: timedelta = timedelta(0)
    name = "ex_ante"

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's parameters, ready for JSON."""
        return {"ex_ante_horizon": format_duration(self.ahead)}

    def knowledge_times(self, event_starts: Instants, resolution: timedelta) -> Instants:
        """Find the knowledge time of each event."""
        return event_starts - np.timedelta64(to_microseconds(self.ahead), "us")


@dataclass(frozen=True)
class DaysAgo:
    """Known some days before the event's local day, at an hour of that day: auctions.

    Attributes:
        days: How many days before.
        hour: Hour of the local clock, which may have a fraction.
        zone: IANA name of the time zone of the market.
    """

    days: int
    hour: float
    zone: str
    name = "x_days_ago_at_y_oclock"

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's parameters, ready for JSON."""
        return {"x": self.days, "y": self.hour, "z": self.zone}

    def knowledge_times(self, event_starts: Instants, resolution: timedelta) -> Instants:
        """Find the knowledge time of each event."""
        if not len(event_starts):
            return event_starts
        midnights, known = self.days_between(event_starts.min(), event_starts.max())
        return known[np.searchsorted(midnights, event_starts, side="right") - 1]

    def days_between(self, first: np.datetime64, last: np.datetime64) -> tuple[Instants, Instants]:
        """List the local days from one event to another.

        Returns:
            When each day starts, and when its events are known: shape ``(n_days,)`` each, UTC.
        """
        days, midnights = local_midnights(first, last, self.zone)
        tz = find_zone(self.zone)
        # On the local clock, and only then in UTC: between midnight and the auction the clock may change.
        clearings = [
            datetime(day.year, day.month, day.day, tzinfo=tz) + timedelta(days=-self.days, hours=self.hour)
            for day in days
        ]
        return midnights, np.array([to_datetime64(c) for c in clearings], dtype="datetime64[us]")


@dataclass(frozen=True)
class AtDate:
    """Known at one instant, whenever the event is: budgets, contracts."""

    instant: datetime
    name = "at_date"

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's parameters, ready for JSON."""
        return {"knowledge_time": self.instant.isoformat()}

    def knowledge_times(self, event_starts: Instants, resolution: timedelta) -> Instants:
        """Find the knowledge time of each event."""
        return np.full(len(event_starts), to_datetime64(self.instant))


def parse_knowledge_rule(name: str, parameters: Mapping[str, Any]) -> KnowledgeRule:
    """Build a rule from its documented name and parameters.

    Args:
        name: ``ex_post``, ``ex_ante``, ``x_days_ago_at_y_oclock`` or ``at_date``.
        parameters: By their documented names; what is left out counts as no time at all.

    Raises:
        BadBeliefTiming: If there is no such rule, or it cannot have these parameters.

    >>> parse_knowledge_rule("x_days_ago_at_y_oclock", {"x": 1, "y": 12, "z": "Europe/Paris"})
    DaysAgo(days=1, hour=12.0, zone='Europe/Paris')
    """
    builders: dict[str, Callable[..., KnowledgeRule]] = {
        "ex_post": _ex_post,
        "ex_ante": _ex_ante,
        "x_days_ago_at_y_oclock": _days_ago,
        "at_date": _at_date,
    }
    if name not in builders:
        raise BadBeliefTiming(
            f"There is no knowledge horizon {quote(name)}. Choose one of {', '.join(builders)}."
        )
    try:
        return builders[name](**parameters)
    except (TypeError, ValueError, OverflowError, FlexError) as error:
        raise BadBeliefTiming(f"Knowledge horizon {name} cannot have {dict(parameters)}: {error}") from None


def _fixed(duration: object, name: str) -> timedelta:
    if isinstance(duration, int | float):
        return timedelta(hours=duration)
    parsed = parse_duration(duration, name)
    if not isinstance(parsed, timedelta):
        raise InvalidDuration(f"'{name}' is {quote(duration)}; it must have a fixed length.")
    return parsed


def _ex_post(ex_post_horizon: object = "PT0H") -> ExPost:
    return ExPost(_fixed(ex_post_horizon, "ex_post_horizon"))


def _ex_ante(ex_ante_horizon: object = "PT0H") -> ExAnte:
    return ExAnte(_fixed(ex_ante_horizon, "ex_ante_horizon"))


def _days_ago(x: int, y: float, z: str) -> DaysAgo:
    find_zone(z)
    if int(x) != float(x) or not 0 <= int(x) <= _MOST_DAYS or not 0 <= float(y) <= 24:
        raise ValueError(f"x must be a number of days up to {_MOST_DAYS}, and y an hour from 0 to 24")
    return DaysAgo(int(x), float(y), z)


def _at_date(knowledge_time: object) -> AtDate:
    return AtDate(parse_instant(knowledge_time, "knowledge_time"))


def belief_times(
    event_starts: Instants,
    resolution: timedelta,
    recorded_by: datetime | None,
    horizon: timedelta | None = None,
) -> Instants:
    """Work out when each value of a message was believed.

    Args:
        event_starts: Shape ``(n,)``, UTC.
        resolution: Length of the events.
        recorded_by: All values were recorded at this time, or earlier; None if only the horizon is known.
        horizon: Each value was recorded this long before the end of its event, or earlier; negative: after it.

    Returns:
        The earliest time that both allow: shape ``(n,)``, UTC.

    Raises:
        BadBeliefTiming: If both are None.
    """
    if horizon is None:
        if recorded_by is None:
            raise BadBeliefTiming("Nothing says when this was recorded. Give a horizon or a time.")
        return np.full(len(event_starts), to_datetime64(recorded_by))
    before_end = event_starts + np.timedelta64(to_microseconds(resolution - horizon), "us")
    return before_end if recorded_by is None else np.minimum(before_end, to_datetime64(recorded_by))


def belief_horizons(
    rule: KnowledgeRule, event_starts: Instants, resolution: timedelta, times: Instants
) -> Durations:
    """Turn belief times into belief horizons: shape ``(n,)``, ``timedelta64[us]``."""
    return rule.knowledge_times(event_starts, resolution) - times
