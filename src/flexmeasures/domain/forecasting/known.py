"""Which measurement of each event a forecast may rest on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce

import numpy as np

from flexmeasures.domain.beliefs import Beliefs, KnowledgeRule
from flexmeasures.domain.forecasting.history import Values
from flexmeasures.domain.time import Instants

__all__ = ["known_measurements", "net_of_parts"]

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


def net_of_parts(parts: Sequence[Beliefs]) -> Beliefs:
    """Add up what was measured of the parts of something that has no meter of its own.

    An event counts if all parts were measured, from when the last of them was recorded on. Of each part the value that
    was recorded first counts.

    Args:
        parts: Medians with a horizon of at most 0, in the same unit and sign, of events of the same length.

    Returns:
        One belief an event, in the order of time.
    """
    firsts = []
    for part in parts:
        rows = part.medians
        rows = rows.take(np.lexsort((rows.source_ids, -rows.horizons, rows.event_starts)))
        is_first = np.ones(len(rows), dtype=bool)
        is_first[1:] = rows.event_starts[1:] != rows.event_starts[:-1]
        firsts.append(rows.take(is_first))
    common = reduce(np.intersect1d, [part.event_starts for part in firsts])
    aligned = [part.take(np.isin(part.event_starts, common)) for part in firsts]
    return Beliefs(
        common,
        np.sum([part.values for part in aligned], axis=0),
        np.min([part.horizons for part in aligned], axis=0),
        aligned[0].source_ids,
    )


def _usual_delay(delays: np.ndarray[tuple[int], np.dtype[np.timedelta64]]) -> np.timedelta64:
    """Find how late first records usually come: nearly all of an import, and a few minutes of a live meter."""
    usual: np.timedelta64 = np.sort(delays)[int(0.9 * (len(delays) - 1))]
    return usual
