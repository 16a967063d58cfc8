"""Short histories: what was measured of similar sensors stands for the time before a sensor's first measurement."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from flexmeasures.domain.forecasting.history import History

__all__ = ["Borrowed", "borrow_history"]

_OVERLAP = timedelta(hours=4)


@dataclass(frozen=True)
class Borrowed:
    """A history that was extended.

    Attributes:
        history: It ends as before, and begins earlier where something was borrowed.
        peers: From how many sensors.
    """

    history: History
    peers: int


def borrow_history(own: History, peers: Sequence[History], known: int) -> Borrowed:
    """Put the average of similar sensors, each to the scale of this one, before its first measurement.

    The scale of a peer is the ratio of the sums over the events that both have measured: at least four hours of them.

    Args:
        own: What was measured of the sensor.
        peers: What was measured of others, on grids that end with the same event.
        known: How many of the first events of the sensor were known when the first forecast is made; later ones do not
            change what is borrowed.
    """
    length = max([len(own), *(len(peer) for peer in peers)])
    known += length - len(own)
    values = _at_the_end(own, length)
    overlap = max(1, _OVERLAP // own.resolution)
    scaled = []
    for peer in peers:
        other = _at_the_end(peer, length)
        both = np.isfinite(values[:known]) & np.isfinite(other[:known])
        total = float(other[:known][both].sum())
        ratio = float(values[:known][both].sum()) / total if total else 0.0
        if both.sum() >= overlap and ratio > 0:
            scaled.append(other * ratio)
    measured = np.isfinite(values)
    first = int(np.argmax(measured)) if measured.any() else 0
    if not scaled or not first:
        return Borrowed(own, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no peer was measured, nothing is borrowed
        values[:first] = np.nanmean([one[:first] for one in scaled], axis=0)
    start = own.start - (length - len(own)) * own.step
    return Borrowed(History(start, values, own.resolution, own.zone), len(scaled))


def _at_the_end(history: History, length: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = np.full(length, np.nan)
    values[length - len(history) :] = history.values
    return values
