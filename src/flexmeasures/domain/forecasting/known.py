"""Which measurement of each event a forecast may rest on."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from flexmeasures.domain.beliefs import Beliefs, KnowledgeRule
from flexmeasures.domain.forecasting.history import Values
from flexmeasures.domain.time import Instants

__all__ = ["known_measurements"]

_ZERO = np.timedelta64(0, "us")


def known_measurements(
    beliefs: Beliefs, rule: KnowledgeRule, resolution: timedelta, first_belief: np.datetime64
) -> tuple[Instants, Values]:
    """Choose one measurement an event, as it was known when the event was to be used.

    Forecasts are dated by their events, a horizon before the end of each, as if measurements arrived at once. One that
    came about as late as its sensor's measurements usually do therefore counts as if it had come in time (all of an
    imported history does, whenever it was imported). One that came later than that, such as a correction or what fills
    a gap, counts only if it was recorded before the first forecast is dated.

    Args:
        beliefs: Medians with a horizon of at most 0, in any order.
        rule: From when on the sensor's events are known.
        resolution: Length of the events.
        first_belief: The belief time of the first forecast.

    Returns:
        Starts of events, ascending, and values: shape ``(n,)`` each.
    """
    beliefs = beliefs.medians
    if not len(beliefs):
        return beliefs.event_starts, beliefs.values
    order = np.lexsort((beliefs.source_ids, -beliefs.horizons, beliefs.event_starts))
    rows = beliefs.take(order)
    new_event = np.ones(len(rows), dtype=bool)
    new_event[1:] = rows.event_starts[1:] != rows.event_starts[:-1]
    delays = np.maximum(-rows.horizons, _ZERO)
    usual = _usual_delay(delays[new_event])
    held = rule.knowledge_times(rows.event_starts, resolution) - rows.horizons
    allowed = (held <= first_belief) | (delays <= usual)
    rows = rows.take(allowed)
    # In the order of recording: the last one of each event that is allowed; of equally late ones the first source.
    order = np.lexsort((-rows.source_ids, -rows.horizons, rows.event_starts))
    rows = rows.take(order)
    is_last = np.ones(len(rows), dtype=bool)
    is_last[:-1] = rows.event_starts[1:] != rows.event_starts[:-1]
    rows = rows.take(is_last)
    return rows.event_starts, rows.values


def _usual_delay(delays: np.ndarray[tuple[int], np.dtype[np.timedelta64]]) -> np.timedelta64:
    """Find how late first records usually come: nearly all of an import, and a few minutes of a live meter."""
    usual: np.timedelta64 = np.sort(delays)[int(0.9 * (len(delays) - 1))]
    return usual
