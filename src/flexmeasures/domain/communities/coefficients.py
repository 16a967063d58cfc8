"""Distribution tables: which part of the generation each supply point gets, checked before it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from flexmeasures.domain.communities.allocation import WHOLE, Energies, split
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.domain.time import Instants, local_midnights, local_wall_clock

__all__ = [
    "HOURS_OF_YEAR",
    "Coefficients",
    "HourNumbering",
    "TableState",
    "check_transition",
    "coefficients_from_contracted_power",
    "coefficients_from_participation",
    "hours_of_year",
    "to_parts",
]

HOURS_OF_YEAR = 8760
"""A table of hourly coefficients has this many hours in every year, leap years included."""

_TOLERANCE = 1
"""The sum may differ from one by this much [millionths]."""


class TableState(StrEnum):
    """Where a distribution table stands on its way to the distributor and into force."""

    DRAFT = "draft"
    VALIDATED = "validated"
    PROCESS = "process"
    ACTIVE = "active"
    CANCELLED = "cancelled"


_NEXT = {
    TableState.DRAFT: {TableState.VALIDATED, TableState.CANCELLED},
    TableState.VALIDATED: {TableState.DRAFT, TableState.PROCESS, TableState.CANCELLED},
    TableState.PROCESS: {TableState.ACTIVE, TableState.CANCELLED},
    TableState.ACTIVE: {TableState.CANCELLED},
    TableState.CANCELLED: set(),
}


def check_transition(now: TableState, new: TableState) -> None:
    """Check that a distribution table may go from one state to another.

    Raises:
        Conflict: If not.
    """
    if new not in _NEXT[now]:
        allowed = ", ".join(sorted(_NEXT[now])) or "none"
        raise Conflict(f"A distribution table cannot go from {now} to {new}. States allowed next: {allowed}.")


class HourNumbering(StrEnum):
    """Count of the hours of a year on and after a day on which clocks change; no rule says it."""

    ELAPSED = "elapsed"
    """One by one as they pass: each of the 8,760 lines is used once."""
    CLOCK = "clock"
    """By the clock on the wall: the skipped hour is not used, the repeated one is used twice."""


def to_parts(text: str) -> int:
    """Read a coefficient from 0 to 1 with at most six decimals and a decimal point.

    Returns:
        Millionths.

    Raises:
        InvalidInput: If it is something else.

    >>> to_parts("0.135464")
    135464
    """
    shown = text.strip()[:40]
    whole, dot, decimals = shown.partition(".")
    if "," in shown:
        raise InvalidInput(f"coefficient {shown!r} has a decimal comma. Write a decimal point.")
    digits = whole.isascii() and whole.isdigit() and (not dot or (decimals.isascii() and decimals.isdigit()))
    if not digits or len(decimals) > 6:
        raise InvalidInput(f"coefficient {shown!r} is not a number from 0 to 1 with at most six decimals.")
    parts = int(whole) * WHOLE + int(decimals.ljust(6, "0"))
    if parts > WHOLE:
        raise InvalidInput(f"coefficient {shown!r} is above 1. Write a share from 0 to 1.")
    return parts


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of supply points.

    Attributes:
        supply_points: Each once, at least one.
        parts: Millionths, shape ``(n_points,)`` (fixed) or ``(8760, n_points)`` (hourly). They add up to a million,
            give or take one.

    Raises:
        InvalidInput: If a supply point stands twice, a coefficient is outside 0 … 1, hours are missing or a sum is
            wrong; names the hour and the sum.
    """

    supply_points: tuple[str, ...]
    parts: Energies

    def __post_init__(self) -> None:
        if not self.supply_points:
            raise InvalidInput("There is no supply point. Give each member's supply point a coefficient.")
        seen: set[str] = set()
        for point in self.supply_points:
            if point in seen:
                raise InvalidInput(f"Supply point {point} stands twice. Name each supply point once.")
            seen.add(point)
        if self.parts.shape not in ((len(seen),), (HOURS_OF_YEAR, len(seen))):
            raise InvalidInput(
                f"There are coefficients of shape {self.parts.shape}; fixed ones have one row, hourly ones "
                f"{HOURS_OF_YEAR} rows (in leap years too), with one column for each of {len(seen)} supply points."
            )
        if self.parts.min() < 0 or self.parts.max() > WHOLE:
            raise InvalidInput("A coefficient lies outside 0 … 1. Write shares from 0 to 1.")
        self._check_sums()

    def _check_sums(self) -> None:
        sums = np.atleast_1d(self.parts.sum(axis=-1))
        wrong = np.flatnonzero(np.abs(sums - WHOLE) > _TOLERANCE)
        if len(wrong):
            where = f"of hour {wrong[0] + 1} " if self.is_hourly else ""
            more = f" ({len(wrong)} hours are wrong)" if len(wrong) > 1 else ""
            raise InvalidInput(
                f"The coefficients {where}add up to {sums[wrong[0]] / WHOLE:.6f}{more}. They must add up to 1.",
                {"hour": int(wrong[0]) + 1 if self.is_hourly else None, "sum": int(sums[wrong[0]]) / WHOLE},
            )

    @property
    def is_hourly(self) -> bool:
        """Tell whether there is a coefficient for each hour of the year."""
        return self.parts.ndim == 2

    def keys(self, supply_points: Sequence[str], hours: np.ndarray[Any, Any] | None = None) -> Energies:
        """Give the keys of some supply points; those that the table does not name get nothing.

        All keys of a table add up to a million: what rounding to six decimals lacks goes to the largest.

        Args:
            supply_points: In this order, shape ``(n,)``.
            hours: Numbers of hours of the year from 0, shape ``(n_intervals,)``; for hourly coefficients.

        Returns:
            Shape ``(n,)``, or ``(n_intervals, n)`` for hourly coefficients.
        """
        column = {point: number for number, point in enumerate(self.supply_points)}
        rows = np.atleast_2d(self.parts).copy()
        rows[np.arange(len(rows)), rows.argmax(axis=1)] += WHOLE - rows.sum(axis=1)
        padded = np.pad(rows.reshape(self.parts.shape), [(0, 0)] * (self.parts.ndim - 1) + [(0, 1)])
        chosen: Energies = padded[..., [column.get(point, -1) for point in supply_points]]
        return chosen[hours] if self.is_hourly and hours is not None else chosen


def hours_of_year(
    starts: Instants, zone: str, numbering: HourNumbering = HourNumbering.ELAPSED
) -> np.ndarray[Any, Any]:
    """Find which of the 8,760 hours of a table each interval uses.

    The hours of 29 February take the coefficients of 28 February, and later hours of a leap year count as if that day
    had not been. (RD 244/2019, annex I, as changed by Orden TED/1247/2021.)

    Args:
        starts: Of the intervals, shape ``(n,)``, UTC.
        zone: IANA name of the time zone whose years count.
        numbering: How hours count on and after a day on which clocks change.

    Returns:
        Numbers from 0, shape ``(n,)``.
    """
    local = local_wall_clock(starts, zone)
    years = local.astype("datetime64[Y]")
    day_of_year = (local.astype("datetime64[D]") - years.astype("datetime64[D]")).astype(np.int64)
    if numbering is HourNumbering.CLOCK:
        clock_hours = (local - local.astype("datetime64[D]")) // np.timedelta64(1, "h")
        hours = day_of_year * 24 + clock_hours
    else:
        hours = _elapsed_hours(starts, years, zone)
    number = years.astype(np.int64) + 1970
    is_leap = (number % 4 == 0) & ((number % 100 != 0) | (number % 400 == 0))
    from_29_february = is_leap & (day_of_year >= 59)
    numbers: np.ndarray[Any, Any] = hours - 24 * from_29_february
    return numbers


def _elapsed_hours(starts: Instants, years: np.ndarray[Any, Any], zone: str) -> np.ndarray[Any, Any]:
    """Count the hours that passed since the start of each interval's local year."""
    distinct, where = np.unique(years, return_inverse=True)
    firsts = []
    for year in distinct.astype("datetime64[D]"):
        noon = year.astype("datetime64[us]") + np.timedelta64(12, "h")
        days, midnights = local_midnights(noon - np.timedelta64(1, "D"), noon + np.timedelta64(1, "D"), zone)
        firsts.append(midnights[days.index(year.item())])
    new_year = np.array(firsts, dtype="datetime64[us]")[where.reshape(-1)]
    hours: np.ndarray[Any, Any] = (starts - new_year) // np.timedelta64(1, "h")
    return hours


def coefficients_from_participation(
    supply_points: Sequence[str],
    participation_kw: Sequence[float],
    power_kw: float,
    spread: str = "proportional",
) -> Coefficients:
    """Turn agreed participations into fixed coefficients: participation over the power of the project.

    What is missing from one (or exceeds it) is spread over the members; what rounding leaves goes to the largest
    participation.

    Args:
        supply_points: Shape ``(n,)``.
        participation_kw: Shape ``(n,)`` [kW].
        power_kw: Rated power of the project [kW].
        spread: "proportional" (to the participations) or "equal" (parts).

    Raises:
        InvalidInput: If a participation is negative, or spreading in equal parts would make a coefficient negative.
    """
    kw = np.asarray(participation_kw, dtype=np.float64)
    if len(kw) != len(supply_points) or not len(kw) or not bool((np.isfinite(kw) & (kw >= 0)).all()):
        raise InvalidInput("Give each supply point a participation of 0 kW or more.")
    if not (np.isfinite(power_kw) and power_kw > 0 and kw.sum() > 0):
        raise InvalidInput("The power of the project and the sum of the participations must be above 0 kW.")
    shares = kw / power_kw
    if spread == "proportional":
        shares = shares / shares.sum()
    elif spread == "equal":
        shares = shares + (1 - shares.sum()) / len(shares)
    else:
        raise InvalidInput(f"Spread {spread!r} is unknown. Write proportional or equal.")
    if shares.min() < 0:
        raise InvalidInput(
            "Participations exceed the project's power so much that equal parts would make a coefficient negative. "
            "Spread in proportion."
        )
    parts = np.floor(shares * WHOLE + 1e-6).astype(np.int64)
    parts[int(np.argmax(kw))] += WHOLE - parts.sum()
    return Coefficients(tuple(supply_points), parts)


def coefficients_from_contracted_power(
    supply_points: Sequence[str], contracted_kw: Sequence[float]
) -> Coefficients:
    """Make the coefficients that hold without an agreement: contracted power over the sum of contracted powers."""
    watts = np.rint(np.asarray(contracted_kw, dtype=np.float64) * 1000).astype(np.int64)
    if len(watts) != len(supply_points) or not len(watts) or watts.min() < 0 or watts.sum() == 0:
        raise InvalidInput("Give each supply point a contracted power above 0 kW.")
    return Coefficients(tuple(supply_points), split(np.array([WHOLE]), watts[None, :])[0])
