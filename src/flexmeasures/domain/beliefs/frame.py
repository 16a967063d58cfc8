"""Beliefs as columns, and the selection of what was believed when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.beliefs.timing import Durations, KnowledgeRule
from flexmeasures.domain.time import Instants, to_datetime64

__all__ = ["Beliefs", "latest_per_event", "select_as_of"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Beliefs:
    """Beliefs about the events of one sensor, one row each.

    Attributes:
        event_starts: Shape ``(n,)``, UTC.
        values: Shape ``(n,)``, in the sensor's unit.
        horizons: Shape ``(n,)``: how long before the knowledge time each was held.
        source_ids: Shape ``(n,)``: who held it.
    """

    event_starts: Instants
    values: Values
    horizons: Durations
    source_ids: np.ndarray[Any, np.dtype[np.int32]]

    def __len__(self) -> int:
        return len(self.event_starts)

    def take(self, rows: np.ndarray[Any, Any]) -> Beliefs:
        """Keep some rows, by mask or by index."""
        return Beliefs(self.event_starts[rows], self.values[rows], self.horizons[rows], self.source_ids[rows])


def latest_per_event(beliefs: Beliefs) -> Beliefs:
    """Keep the most recent belief about each event, in the order of the events.

    Of equally recent ones that of the source with the lowest id is kept, so that the answer never depends on chance.
    """
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
