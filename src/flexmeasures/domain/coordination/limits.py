"""Power limits of the grid operator: the power that must remain, and the fail-safe when the operator falls silent.

Sources: BNetzA decision BK6-22-300 (dimming under § 14a EnWG); EEBUS use cases LPC and LPP for the fail-safe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from flexmeasures.domain.errors import BadValues

__all__ = ["FailSafe", "LimitState", "LimitWatch", "least_dimmed_power_kw"]

_DEVICE_KW = 4.2
_SIMULTANEITY = (1.0, 0.80, 0.75, 0.70, 0.65, 0.60, 0.55, 0.50)
_SIMULTANEITY_OF_MANY = 0.45
_SHARE_OF_LARGE = 0.4


def least_dimmed_power_kw(devices: int, *, heat_pumps_kw: float = 0.0, cooling_kw: float = 0.0) -> float:
    """Return the grid draw that controllable devices keep while the grid operator dims them [kW].

    Args:
        devices: Number of controllable devices behind the connection.
        heat_pumps_kw: Rated power of heat pumps above 11 kW, together [kW].
        cooling_kw: Rated power of cooling above 11 kW, together [kW].

    Raises:
        BadValues: There is less than one device, or a power is negative.

    Source: BK6-22-300, annex 1, 4.5.2. Own generation may be used on top of it.

    >>> [round(least_dimmed_power_kw(n), 2) for n in (1, 2, 3, 9)]
    [4.2, 7.56, 10.5, 19.32]
    """
    if devices < 1:
        raise BadValues(f"There are {devices} controllable devices: give 1 or more.")
    if not (heat_pumps_kw >= 0 and cooling_kw >= 0):
        raise BadValues("Rated powers of heat pumps and cooling must be 0 kW or more.")
    factor = _SIMULTANEITY[devices - 1] if devices <= len(_SIMULTANEITY) else _SIMULTANEITY_OF_MANY
    first = max(_DEVICE_KW, _SHARE_OF_LARGE * heat_pumps_kw, _SHARE_OF_LARGE * cooling_kw)
    return first + (devices - 1) * factor * _DEVICE_KW


class LimitState(Enum):
    """State of a controllable system."""

    INIT = "init"
    """Just started, nothing heard yet: the fail-safe limit holds."""
    UNLIMITED = "unlimited"
    LIMITED = "limited"
    FAILSAFE = "fail-safe"
    """The source fell silent: the fail-safe limit holds."""
    AUTONOMOUS = "autonomous"
    """Silent for longer than the fail-safe lasts: the system decides for itself."""


@dataclass(frozen=True, slots=True)
class FailSafe:
    """Rules for a source that falls silent.

    Attributes:
        limit_kw: The limit that is applied then [kW].
        silence: How long without a heartbeat counts as lost.
        lasts: How long the limit stays at least.
        grace: How long after the source is back its limit is waited for.
    """

    limit_kw: float
    silence: timedelta = timedelta(seconds=120)
    lasts: timedelta = timedelta(hours=2)
    grace: timedelta = timedelta(seconds=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitWatch:
    """The limit of one source and how alive that source is; every method returns the watch as it is afterwards.

    A connection that comes back never lifts a limit by itself: that takes a heartbeat and, after it, a fresh limit.

    Attributes:
        rules: What holds when the source falls silent.
        state: What the system is held to.
        since: When it came into that state.
        heard_at: Last heartbeat.
        limit_kw: Limit of the source [kW]; None: none is active.
        expires_at: When it ends by itself; None: it does not.
        back_at: First heartbeat after a silence.
    """

    rules: FailSafe
    state: LimitState = LimitState.INIT
    since: datetime
    heard_at: datetime | None = None
    limit_kw: float | None = None
    expires_at: datetime | None = None
    back_at: datetime | None = None

    @property
    def holds_kw(self) -> float | None:
        """The power that must not be exceeded [kW]; None: the source sets no limit."""
        if self.state in {LimitState.INIT, LimitState.FAILSAFE}:
            return self.rules.limit_kw
        return self.limit_kw if self.state is LimitState.LIMITED else None

    def heartbeat(self, now: datetime) -> LimitWatch:
        """Note a sign of life."""
        watch = self.tick(now)
        silent = watch.state in {LimitState.INIT, LimitState.FAILSAFE, LimitState.AUTONOMOUS}
        return replace(watch, heard_at=now, back_at=(watch.back_at or now) if silent else None)

    def write(self, now: datetime, limit_kw: float | None, duration: timedelta | None = None) -> LimitWatch:
        """Take a limit of the source, or (None) that there is none.

        Raises:
            BadValues: The limit is negative.
        """
        if limit_kw is not None and not limit_kw >= 0:
            raise BadValues(
                f"A limit of {limit_kw} kW is negative: limits count in their own direction, from 0."
            )
        watch = self.tick(now)
        expires_at = None if duration is None else now + duration
        watch = replace(watch, limit_kw=limit_kw, expires_at=expires_at)
        if watch.heard_at is None or now - watch.heard_at > watch.rules.silence:
            return watch  # without a heartbeat before it, a limit does not end the fail-safe
        state = LimitState.UNLIMITED if limit_kw is None else LimitState.LIMITED
        return replace(watch._enter(state, now), back_at=None)

    def tick(self, now: datetime) -> LimitWatch:
        """Let time pass: limits end, silence is noticed, the fail-safe runs out."""
        watch = self
        if watch.expires_at is not None and watch.expires_at <= now:
            ended = watch.expires_at
            watch = replace(watch, limit_kw=None, expires_at=None)
            if watch.state is LimitState.LIMITED:
                watch = watch._enter(LimitState.UNLIMITED, ended)
        if watch.heard_at is not None and now - watch.heard_at > watch.rules.silence:
            lost = watch.heard_at + watch.rules.silence
            watch = replace(watch, back_at=None)
            if watch.state in {LimitState.LIMITED, LimitState.UNLIMITED}:
                watch = watch._enter(LimitState.FAILSAFE, lost)
        return watch._end_of_fail_safe(now)

    def _end_of_fail_safe(self, now: datetime) -> LimitWatch:
        """Act on one's own where the source came back without a limit, or stayed away for long."""
        if self.state not in {LimitState.INIT, LimitState.FAILSAFE}:
            return self
        until = self.since + self.rules.lasts if self.back_at is None else self.back_at + self.rules.grace
        return self._enter(LimitState.AUTONOMOUS, until) if now > until else self

    def _enter(self, state: LimitState, at: datetime) -> LimitWatch:
        return self if state is self.state else replace(self, state=state, since=at)
