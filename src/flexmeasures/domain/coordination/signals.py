"""Requests of the grid to an asset, slot by slot: limits that hold at every instant, and price differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np

from flexmeasures.domain.coordination.timeline import Claim, Rule, Timeline, overlay

__all__ = ["GridSignals", "SignalKind"]

Values = np.ndarray[Any, np.dtype[np.float64]]


class SignalKind(StrEnum):
    """Meaning of a value."""

    IMPORT_LIMIT = "import_limit"
    """Highest consumption at any instant [MW]."""
    EXPORT_LIMIT = "export_limit"
    """Highest production at any instant [MW]."""
    PRICE_DELTA = "price_delta"
    """Added to the price of consumption [currency/MWh]."""


@dataclass(frozen=True)
class GridSignals:
    """All that sources ask of one asset.

    Attributes:
        claims: By kind and source. Among the events of one source the priorities decide; of limits of several sources
            the strictest holds, and price differences of several sources add up.
    """

    claims: Mapping[tuple[SignalKind, str], tuple[Claim, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, claims: Iterable[tuple[SignalKind, str, Claim]]) -> GridSignals:
        """Sort claims, each with its kind and source."""
        sorted_out: dict[tuple[SignalKind, str], tuple[Claim, ...]] = defaultdict(tuple)
        for kind, source, claim in claims:
            sorted_out[kind, source] += (claim,)
        return cls(dict(sorted_out))

    def limit(self, kind: SignalKind, start: datetime, resolution: timedelta, count: int) -> Values:
        """Find the limit of each slot: the smallest that holds at any instant of it.

        Returns:
            Shape ``(count,)`` [MW]; infinite where there is none.
        """
        limits = np.full(count, np.inf)
        for timeline in self._timelines(kind, Rule.STRICTEST):
            limits = np.minimum(limits, timeline.smallest(start, resolution, count))
        return limits

    def price_delta(self, start: datetime, resolution: timedelta, count: int) -> Values | None:
        """Average the price differences over each slot; time without one counts as no difference.

        Returns:
            Shape ``(count,)`` [currency/MWh]; None if there are none at all.
        """
        timelines = self._timelines(SignalKind.PRICE_DELTA, Rule.SUM)
        if not timelines:
            return None
        deltas = np.zeros(count)
        for timeline in timelines:
            average = timeline.averages(start, resolution, count)
            deltas += np.where(np.isnan(average), 0.0, average * timeline.coverage(start, resolution, count))
        return deltas

    def _timelines(self, kind: SignalKind, rule: Rule) -> list[Timeline]:
        return [overlay(claims, rule) for (of_kind, _), claims in self.claims.items() if of_kind is kind]
