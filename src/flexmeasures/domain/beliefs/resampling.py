"""From one resolution to another: repeat values on the way in, average them on the way out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.errors import ResolutionMismatch
from flexmeasures.domain.time import (
    Instants,
    event_grid,
    format_duration,
    from_datetime64,
    local_midnights,
    to_datetime64,
    to_microseconds,
)

__all__ = ["bin_edges", "infer_repetition", "mean_per_bin", "repeat_values"]

Values = np.ndarray[Any, np.dtype[np.float64]]

_DAY = timedelta(days=1)
_LAST_DAY = np.datetime64("9999-12-30", "us")


def infer_repetition(period: timedelta, count: int, resolution: timedelta) -> int:
    """Find how many events each of a message's values stands for.

    Args:
        period: The time that all values cover together.
        count: How many values there are, at least one.
        resolution: Length of the sensor's events.

    Returns:
        1 where the values have the sensor's resolution, more where they are coarser.

    Raises:
        ResolutionMismatch: If they are finer, or no multiple of it.

    >>> infer_repetition(timedelta(hours=1), 1, timedelta(minutes=15))
    4
    """
    events, rest = divmod(to_microseconds(period), to_microseconds(resolution)) if resolution else (count, 0)
    if rest or events % count:
        raise ResolutionMismatch(
            f"{count} values over {format_duration(period)} do not fit a resolution of {format_duration(resolution)}. "
            f"Post values of {format_duration(resolution)} or a multiple of it.",
            {"required": format_duration(resolution)},
        )
    return events // count


def repeat_values(values: Values, times: int) -> Values:
    """Let every value stand for several consecutive events (up-sampling of a mean).

    Args:
        values: Shape ``(n,)``.
        times: How often each is repeated.

    Returns:
        Shape ``(n * times,)``.
    """
    return values if times == 1 else np.repeat(values, times)


def bin_edges(start: datetime, end: datetime, width: timedelta, zone: str) -> Instants:
    """Divide a period into bins that follow each other from its start.

    Bins of whole days follow the calendar of ``zone`` if the period starts at one of its midnights: they then have 23,
    24 or 25 hours each where clocks change.

    Args:
        start: Where the first bin starts.
        end: Where the last one ends, or a little later if the width does not divide the period.
        width: Nominal width of a bin. One much longer than the period is cut, after the end.
        zone: IANA name of the time zone whose days count.

    Returns:
        Shape ``(n_bins + 1,)``, UTC.
    """
    first, last = to_datetime64(start), to_datetime64(end)
    width = min(width, ((end - start) // _DAY + 2) * _DAY)
    if width % _DAY == timedelta(0):
        beyond = min(last + np.timedelta64(width // _DAY, "D"), _LAST_DAY)
        _, midnights = local_midnights(first, beyond, zone)
        if midnights[0] == first:
            edges = midnights[:: width // _DAY]
            edges = edges[: np.searchsorted(edges, last) + 1]
            return edges if edges[-1] >= last else np.append(edges, last)
    count = -(-to_microseconds(from_datetime64(last) - from_datetime64(first)) // to_microseconds(width))
    return event_grid(start, width, count + 1)


def mean_per_bin(
    event_starts: Instants, values: Values, resolution: timedelta, edges: Instants
) -> tuple[Values, Values]:
    """Average a step function over bins, each event weighing as much as it covers of the bin.

    Bins may be longer or shorter than the events and need not be aligned with them. Where events overlap, the later
    one counts from its start on.

    Args:
        event_starts: Shape ``(n,)``, ascending, UTC.
        values: Shape ``(n,)``; NaN is a gap.
        resolution: Length of the events.
        edges: Shape ``(n_bins + 1,)``, ascending, UTC.

    Returns:
        The mean over the covered part of each bin (NaN where nothing is known) and the covered share of each bin from
        0 to 1: shape ``(n_bins,)`` each.

    Invariants:
        Where all is covered, the sum of mean × width is the integral of the step function: energy is kept.
    """
    if not len(event_starts):
        return np.full(len(edges) - 1, np.nan), np.zeros(len(edges) - 1)
    step = np.timedelta64(to_microseconds(resolution), "us")
    if _is_aligned(event_starts, edges, step):
        return _aligned_means(event_starts, values, edges, step)
    ends = np.minimum(event_starts + step, np.append(event_starts[1:], event_starts[-1] + step))
    # Not np.unique: it would load numpy.ma, which takes longer than a schedule.
    cuts = np.sort(np.concatenate([edges, event_starts, ends]))
    is_new = np.append(True, cuts[1:] != cuts[:-1])
    cuts = cuts[is_new & (cuts >= edges[0]) & (cuts <= edges[-1])]
    piece_starts = cuts[:-1]
    event = np.searchsorted(event_starts, piece_starts, side="right") - 1
    known = (event >= 0) & (piece_starts < ends[event]) & ~np.isnan(values[event])
    bin_starts = np.searchsorted(cuts, edges[:-1])
    # Weights are shares of the bin, so that a bin inside one event gets that event's value to the last digit.
    width = np.repeat(np.diff(edges), np.diff(np.append(bin_starts, len(piece_starts))))
    weights = np.where(known, np.diff(cuts) / width, 0.0)
    covered = np.add.reduceat(weights, bin_starts)
    total = np.add.reduceat(np.where(known, values[event], 0.0) * weights, bin_starts)
    # Pieces that fill a bin may add up to a little less or more than one; that bin is full all the same.
    covered = np.where(np.isclose(covered, 1.0, rtol=0, atol=1e-12), 1.0, covered)
    with np.errstate(invalid="ignore"):
        return np.where(covered > 0, total / covered, np.nan), covered


def _is_aligned(event_starts: Instants, edges: Instants, step: np.timedelta64) -> bool:
    """Tell whether every event lies inside one bin, none overlaps another, and no bin is shorter than an event."""
    zero = np.timedelta64(0, "us")
    return bool(
        ((edges - event_starts[0]) % step == zero).all()
        and ((event_starts - event_starts[0]) % step == zero).all()
        and (np.diff(event_starts) >= step).all()
    )


def _aligned_means(
    event_starts: Instants, values: Values, edges: Instants, step: np.timedelta64
) -> tuple[Values, Values]:
    """Average events that lie inside bins: the usual case, and a tenth of the work of the general one."""
    counted = (event_starts >= edges[0]) & (event_starts < edges[-1]) & ~np.isnan(values)
    bins = np.searchsorted(edges, event_starts[counted], side="right") - 1
    counts = np.bincount(bins, minlength=len(edges) - 1)
    totals = np.bincount(bins, weights=values[counted], minlength=len(edges) - 1)
    if not np.isfinite(totals).all():  # the sum of large numbers may be too large where their mean is not
        shares = values[counted] / counts[bins]
        totals = np.bincount(bins, weights=shares, minlength=len(edges) - 1)
        return np.where(counts > 0, totals, np.nan), counts * step / np.diff(edges)
    with np.errstate(invalid="ignore"):
        means = np.where(counts > 0, totals / counts, np.nan)
    return means, counts * step / np.diff(edges)
