"""Prices as far as they are known, and what is taken for them where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flexmeasures.domain.scheduling.flex_model import EvseModel, FlexModel
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.site import Tariff
from flexmeasures.domain.time import daily_periods

__all__ = ["PriceSeries", "fill_prices", "like_neighbours", "needed_until", "until_forecast"]


@dataclass(frozen=True)
class PriceSeries:
    """Prices of a planning window.

    Attributes:
        price: Price of each slot (n,).
        assumed: In which slots it is not known, but taken from another one (n,).
    """

    price: FloatArray
    assumed: NDArray[np.bool_]


def fill_prices(prices: ArrayLike, known: ArrayLike, least_slots: int) -> PriceSeries:
    """Take prices as far as they are known, and at least for some slots; fill gaps.

    A gap gets the last known price before it, and what lies before the first known price gets that.

    Args:
        prices: Price of each slot (m,); anything where it is not known.
        known: In which slots it is known (m,); at least one.
        least_slots: For how many slots prices are needed, known or not; at most m.

    >>> fill_prices([0, 5, 0, 7, 0, 0], [False, True, False, True, False, False], 5)
    PriceSeries(price=array([5., 5., 5., 7., 7.]), assumed=array([ True, False,  True, False,  True]))
    """
    is_known = np.asarray(known, dtype=bool)
    places = np.flatnonzero(is_known)
    slots = min(max(int(places[-1]) + 1, least_slots), is_known.size)
    return PriceSeries(like_neighbours(np.asarray(prices, dtype=float)[:slots], places), ~is_known[:slots])


def like_neighbours(values: FloatArray, known: NDArray[np.int64]) -> FloatArray:
    """Fill gaps in values (n,) with the last known one before them; before the first known one, with that.

    Args:
        values: Anything where they are not known.
        known: Places of those that are known, ascending; at least one.
    """
    nearest = known[np.maximum(np.searchsorted(known, np.arange(values.size), side="right") - 1, 0)]
    filled: FloatArray = values[nearest]
    return filled


def needed_until(
    model: FlexModel, targets: Mapping[datetime, float], window: tuple[datetime, datetime], zone: str
) -> datetime | None:
    """Find until when a window must be planned, whether prices are known or not: the last target or departure in it.

    Args:
        model: Of the asset.
        targets: Instant → state of charge wanted [MWh].
        window: Start and end.
        zone: Time zone of daily times.

    Returns:
        None if nothing is wanted at a time within the window.
    """
    start, end = window
    wanted = [instant for instant in targets if start < instant <= end]
    if isinstance(model, EvseModel) and not targets:
        for stay in model.stays:
            periods = daily_periods(start, end, zone, stay.arrival, stay.departure)
            wanted += [closes for _, closes in periods if start < closes <= end]
    return max(wanted, default=None)


def until_forecast(
    tariff: Tariff, forecast: FloatArray | None, notes: list[str]
) -> tuple[Tariff, FloatArray | None]:
    """Plan no further than the power is forecast.

    Args:
        tariff: Of n slots.
        forecast: Power of each slot (n,) [MW], nan where unknown; None: nothing is forecast.
        notes: Get a sentence about it.
    """
    slots = np.size(tariff.import_price)
    unknown = np.flatnonzero(~np.isfinite(forecast)) if forecast is not None else np.empty(0)
    if forecast is None or not unknown.size or unknown[0] == 0:
        return tariff, forecast
    end = int(unknown[0])
    notes.append(f"Its power is forecast for {end} of {slots} slots, so the schedule ends there.")
    cut = {
        name: np.asarray(series)[:end]
        for name in ("import_price", "export_price", "co2_kg_per_mwh", "assumed")
        if (series := getattr(tariff, name)) is not None
    }
    return replace(tariff, **cut), forecast[:end]  # type: ignore[arg-type]
