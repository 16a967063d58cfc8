"""Requests of the grid as inputs of plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from flexmeasures.domain.coordination import GridSignals, SignalKind
from flexmeasures.domain.scheduling import Tariff
from flexmeasures.domain.scheduling.site import Connection

__all__ = ["as_asked"]


def as_asked(
    signals: GridSignals | None, tariff: Tariff, start: datetime, resolution: timedelta
) -> tuple[Tariff, Connection]:
    """Lay what the grid asks over the prices of a plan, and state its limits.

    A price difference is added to the prices of both directions: it says what energy is worth to the grid there and
    then, and one direction alone would pay for turning the same energy round and round.

    Args:
        signals: Of the asset; None: nothing is asked.
        tariff: What energy costs in n slots.
        start: Start of the first slot.
        resolution: Length of a slot.

    Returns:
        The tariff with price differences, and the limits of the asset's power.
    """
    if signals is None:
        return tariff, Connection()
    slots = int(np.size(tariff.import_price))
    delta = signals.price_delta(start, resolution, slots)
    if delta is not None and delta.any():
        sold = None if tariff.export_price is None else np.asarray(tariff.export_price) + delta
        tariff = replace(tariff, import_price=np.asarray(tariff.import_price) + delta, export_price=sold)
    limits = (
        signals.limit(kind, start, resolution, slots)
        for kind in (SignalKind.IMPORT_LIMIT, SignalKind.EXPORT_LIMIT)
    )
    return tariff, Connection(*limits)
