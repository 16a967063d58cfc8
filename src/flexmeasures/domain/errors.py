"""The one error tree. A message names the value, the rule it breaks and the remedy.

::

    FlexError(message, details), with a code each
    ├─ InvalidInput
    │    NaiveTime · InvalidTime · InvalidDuration · UnknownUnit · IncompatibleUnits · ResolutionMismatch
    │    BadAddress · BadValues · BadBeliefTiming · SignMismatch · BadFlexModel
    ├─ NotFound
    ├─ NotAllowed
    ├─ Conflict
    ├─ Infeasible            an outcome of a plan, with the names of the limits that clash
    ├─ UnknownPrices         an outcome of a plan: there is nothing to plan with
    ├─ NotEnoughData         an outcome of a forecast: there is nothing to forecast from
    ├─ UpstreamFailure       SolverFailed · PeerUnreachable · StoreUnavailable
    └─ Impossible            our own bug

Each door has one table that turns these into its own words; nothing else knows about status codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "BadAddress",
    "BadBeliefTiming",
    "BadFlexContext",
    "BadFlexModel",
    "BadValues",
    "Conflict",
    "FlexError",
    "Impossible",
    "IncompatibleUnits",
    "Infeasible",
    "InvalidDuration",
    "InvalidInput",
    "InvalidTime",
    "NaiveTime",
    "NotAllowed",
    "NotEnoughData",
    "NotFound",
    "PeerUnreachable",
    "ResolutionMismatch",
    "SignMismatch",
    "SolverFailed",
    "StoreUnavailable",
    "UnknownPrices",
    "UnknownUnit",
    "UpstreamFailure",
]


class FlexError(Exception):
    """Something that a caller can be told about.

    Args:
        message: Names the value, the rule and the remedy; safe to show to the user.
        details: The same as data, for machines.
    """

    code = "flex-error"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return self.message


class InvalidInput(FlexError):
    """A message or argument breaks a rule."""

    code = "invalid-input"


class InvalidTime(InvalidInput):
    """A text is not an ISO 8601 instant, or lies where it must not."""

    code = "invalid-time"


class NaiveTime(InvalidTime):
    """An instant without a time zone: it could mean any of about forty instants."""

    code = "naive-time"


class InvalidDuration(InvalidInput):
    """A text is not an ISO 8601 duration, or one of no length where a length is needed."""

    code = "invalid-duration"


class UnknownUnit(InvalidInput):
    """A unit that the unit registry does not know."""

    code = "unknown-unit"


class IncompatibleUnits(InvalidInput):
    """Two units of different quantities."""

    code = "incompatible-units"


class ResolutionMismatch(InvalidInput):
    """Values do not fit the event resolution of their sensor."""

    code = "resolution-mismatch"


class BadAddress(InvalidInput):
    """A text is not a USEF entity address of the wanted kind."""

    code = "bad-address"


class BadValues(InvalidInput):
    """Values are missing, not numbers, or not finite."""

    code = "bad-values"


class BadBeliefTiming(InvalidInput):
    """A belief horizon or belief time that this data cannot have."""

    code = "bad-belief-timing"


class SignMismatch(InvalidInput):
    """A pure consumer that produces, or a pure producer that consumes."""

    code = "sign-mismatch"


class BadFlexModel(InvalidInput):
    """A device description that contradicts itself."""

    code = "bad-flex-model"


class BadFlexContext(InvalidInput):
    """A description of a site that contradicts itself or its devices."""

    code = "bad-flex-context"


class NotFound(FlexError):
    """There is no such thing, or it is none of the user's business whether there is."""

    code = "not-found"


class NotAllowed(FlexError):
    """The user may not do this."""

    code = "not-allowed"


class Conflict(FlexError):
    """It is already there, or it contradicts what is there."""

    code = "conflict"


class Infeasible(FlexError):
    """No plan satisfies all limits.

    Args:
        message: What to tell the user.
        clashing: Names of the limits which cannot hold together, the most telling first.
    """

    code = "infeasible"

    def __init__(self, message: str, clashing: Sequence[str] = ()) -> None:
        super().__init__(message, {"clashing": list(clashing)})
        self.clashing = tuple(clashing)


class UnknownPrices(FlexError):
    """No price is known for any part of a planning window."""

    code = "unknown-prices"


class NotEnoughData(FlexError):
    """Too little was measured to forecast from."""

    code = "not-enough-data"


class UpstreamFailure(FlexError):
    """Something that we depend on failed.

    Args:
        message: What to tell the user.
        retryable: Whether the same call may succeed later.
    """

    code = "upstream-failure"

    def __init__(self, message: str, retryable: bool = True) -> None:
        super().__init__(message, {"retryable": retryable})
        self.retryable = retryable


class SolverFailed(UpstreamFailure):
    """The solver ended without an answer."""

    code = "solver-failed"


class PeerUnreachable(UpstreamFailure):
    """A peer does not answer."""

    code = "peer-unreachable"


class StoreUnavailable(UpstreamFailure):
    """The database or the job store does not answer."""

    code = "store-unavailable"


class Impossible(FlexError):
    """Our own bug: a state that the code rules out."""

    code = "impossible"
