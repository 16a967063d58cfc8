"""Beliefs as columns, and the selection of what was believed when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import numpy as np

from flexmeasures.domain.beliefs.timing import Durations, KnowledgeRule
from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.time import Instants, to_datetime64

__all__ = ["MEDIAN", "Beliefs", "InsertPolicy", "check_distributions", "latest_per_event", "select_as_of"]

Values = np.ndarray[Any, np.dtype[np.float64]]


MEDIAN = 0.5
"""Cumulative probability of a value of which nothing else is said, and of the one that is read unless asked."""


class InsertPolicy(Enum):
    """Policy for a belief that is already there: the same event, horizon, source and probability."""

    REFUSE = "refuse"
    """It is a conflict (API v2_0)."""

    SKIP_EQUAL = "skip equal"
    """A belief that says what its source said last is not stored again; one that says something else about the same
    event at the same time is a conflict (API v3_0)."""

    REPLACE = "replace"
    """The new one replaces it (play mode, and jobs that run again)."""


@dataclass(frozen=True)
class Beliefs:
    """Beliefs about the events of one sensor, one row each.

    Attributes:
        event_starts: Shape ``(n,)``, UTC.
        values: Shape ``(n,)``, in the sensor's unit.
        horizons: Shape ``(n,)``: how long before the knowledge time each was held.
        source_ids: Shape ``(n,)``: who held it.
        probabilities: Shape ``(n,)``: how likely the value is not exceeded, 0 to 1; None: all are medians. The rows of
            one distribution have the same event, horizon and source, and one of them is its median.
    """

    event_starts: Instants
    values: Values
    horizons: Durations
    source_ids: np.ndarray[Any, np.dtype[np.int32]]
    probabilities: Values | None = None

    def __len__(self) -> int:
        return len(self.event_starts)

    def take(self, rows: np.ndarray[Any, Any] | slice) -> Beliefs:
        """Keep some rows, by mask, by index or by range."""
        likely = None if self.probabilities is None else self.probabilities[rows]
        return Beliefs(
            self.event_starts[rows], self.values[rows], self.horizons[rows], self.source_ids[rows], likely
        )

    @property
    def medians(self) -> Beliefs:
        """The rows that are medians."""
        return self if self.probabilities is None else self.take(self.probabilities == MEDIAN)


def check_distributions(beliefs: Beliefs) -> None:
    """Make sure that each distribution can be read: by its median, and with probabilities that there are.

    Raises:
        BadValues: If one has no median, or a probability does not lie between 0 and 1.
    """
    likely = beliefs.probabilities
    if likely is None or not len(likely):
        return
    wrong = likely[~((likely > 0) & (likely < 1))]
    if wrong.size:
        raise BadValues(
            f"A cumulative probability of {wrong[0]:g} is impossible. Use numbers between 0 and 1."
        )
    keys = np.rec.fromarrays(
        [beliefs.event_starts.astype(np.int64), beliefs.horizons.astype(np.int64), beliefs.source_ids]
    )
    without = np.setdiff1d(keys, keys[likely == MEDIAN])
    if without.size:
        start = np.datetime64(int(without[0][0]), "us")
        raise BadValues(
            f"The distribution about the event at {start}Z has no median. Add the value of probability {MEDIAN}."
        )


def latest_per_event(beliefs: Beliefs) -> Beliefs:
    """Keep the median of the most recent belief about each event, in the order of the events.

    Of equally recent ones that of the source with the lowest id is kept, so that the answer never depends on chance.
    """
    beliefs = beliefs.medians
    order = np.lexsort((beliefs.source_ids, beliefs.horizons, beliefs.event_starts))
    ordered = beliefs.take(order)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered.event_starts[1:] != ordered.event_starts[:-1]
    return ordered.take(first)


def select_as_of(beliefs: Beliefs, rule: KnowledgeRule, resolution: timedelta, at: datetime) -> Beliefs:
    """Keep, for each event, what was believed at an instant.

    Args:
        beliefs: Any number of beliefs about each event.
        rule: From when on the events of their sensor are known.
        resolution: Length of the events.
        at: Beliefs held later than this are not seen.

    Invariants:
        No belief in the answer has a belief time after ``at``.
    """
    held = rule.knowledge_times(beliefs.event_starts, resolution) - beliefs.horizons
    return latest_per_event(beliefs.take(held <= to_datetime64(at)))
