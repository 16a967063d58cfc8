"""Content of a power chart: what was measured, forecast and planned, on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.domain.beliefs import bin_edges
from flexmeasures.domain.time import Instants
from flexmeasures.services.power import read_power
from flexmeasures.services.resources import Resource

__all__ = ["PowerChart", "PowerQuestion", "Trace", "read_power_chart"]

Values = np.ndarray[Any, np.dtype[np.float64]]
Kind = Literal["power", "forecasts", "schedules"]


@dataclass(frozen=True)
class PowerQuestion:
    """Question about a resource.

    Attributes:
        start: From this instant ...
        end: ... up to this one (exclusive).
        resolution: Width of the steps.
        zone: IANA name of the time zone whose days count, where steps are whole days.
        forecast_horizon: Forecasts held at least this long before the end of their event count.
        individual: Of which kind each asset gets a trace of its own, instead of one for all of them. Forecasts are
            left out then.
    """

    start: datetime
    end: datetime
    resolution: timedelta
    zone: str
    forecast_horizon: timedelta = timedelta(hours=6)
    individual: Literal["none", "power", "schedules"] = "none"


@dataclass(frozen=True)
class Trace:
    """A line of a chart.

    Attributes:
        kind: What it shows.
        asset_name: The shown name of its asset; None if it is about the whole resource.
        power: Mean power of each step [MW, consumption positive], NaN where nothing is known: shape ``(n_steps,)``.
    """

    kind: Kind
    asset_name: str | None
    power: Values


@dataclass(frozen=True)
class PowerChart:
    """The lines of a chart.

    Attributes:
        edges: Where the steps start, and where the last one ends: shape ``(n_steps + 1,)``, UTC.
        traces: Those of which anything is known.
    """

    edges: Instants
    traces: tuple[Trace, ...]


def read_power_chart(session: Session, resource: Resource, question: PowerQuestion) -> PowerChart:
    """Read the power of a resource: one query for each kind of trace, however many assets there are.

    A measurement is a belief held at the end of its event or later, a schedule one by a scheduler; a forecast is any
    other belief that was held early enough. Of several about an event the most recent counts. What is known of some
    of the assets counts for all of them, as if the others had no power.
    """
    edges = bin_edges(question.start, question.end, question.resolution, question.zone)
    traces: list[Trace] = []
    for kind, window in _windows(question).items():
        steps = _read_steps(session, resource, window, edges)
        known = {name: power for name, power in steps.items() if not np.isnan(power).all()}
        if not known:
            continue
        if question.individual == kind:
            traces += [Trace(kind, name, power) for name, power in known.items()]
        else:
            traces.append(Trace(kind, None, _sum_of_known(list(known.values()))))
    return PowerChart(edges, tuple(traces))


def _windows(question: PowerQuestion) -> dict[Kind, PortfolioWindow]:
    """Say which beliefs make which kind of trace."""
    start, end = question.start, question.end
    windows: dict[Kind, PortfolioWindow] = {
        "power": PortfolioWindow(start, end, scheduled=False, max_horizon=timedelta(0)),
        "forecasts": PortfolioWindow(start, end, scheduled=False, min_horizon=question.forecast_horizon),
        "schedules": PortfolioWindow(start, end, scheduled=True),
    }
    if question.individual != "none":
        del windows["forecasts"]
    return windows


def _read_steps(
    session: Session, resource: Resource, window: PortfolioWindow, edges: Instants
) -> dict[str, Values]:
    """Read the mean power of each step, by the shown name of the asset."""
    found = read_power(session, [asset.sensor for asset in resource.assets], window)
    return {
        asset.display_name: found[asset.sensor.id].mean_per_bin(edges)[0]
        for asset in resource.assets
        if len(found[asset.sensor.id])
    }


def _sum_of_known(powers: list[Values]) -> Values:
    """Add up what is known in each step; NaN where nothing is."""
    stacked = np.stack(powers)
    total: Values = np.where(np.isnan(stacked).all(axis=0), np.nan, np.nansum(stacked, axis=0))
    return total
