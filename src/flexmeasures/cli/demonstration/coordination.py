"""The homes that a grid operator coordinates: their devices, the curve that arrives, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from sqlalchemy.orm import Session

from flexmeasures.cli.demonstration.scene import store_series
from flexmeasures.cli.demonstration.site import HOUR, QUARTER, Values, load_site
from flexmeasures.domain.time import next_midnight
from flexmeasures.domain.units import KW_PER_MW
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.coordination.compensation import Settlement
from flexmeasures.services.coordination.curves import Curve, Point
from flexmeasures.services.markets import NewMarket, create_market

__all__ = [
    "DEVICES",
    "CoordinationStory",
    "add_homes",
    "draw_coordination",
    "tabulate_coordination",
]

ZONE = "Europe/Berlin"
CURRENCY = "EUR"

DELTAS: Mapping[int, float] = {9: -0.15, 10: -0.15, 11: -0.15, 13: 0.10, 14: 0.10, 18: 0.10, 19: 0.10}
"""Price curve of the operator for the next day: price differences by local hour [EUR/kWh]."""

FEES = 150.0
"""Grid fees and taxes on top of the day-ahead price [EUR/MWh]."""


@dataclass(frozen=True)
class Device:
    """A device of a home.

    Attributes:
        resource_name: As the operator knows it.
        resource_type: As the operator calls it.
        fields: Of the asset.
    """

    resource_name: str
    resource_type: str
    fields: Mapping[str, Any]


def _car(arrival: str, departure: str) -> dict[str, Any]:
    stay = {"arrival": arrival, "departure": departure, "soc_at_arrival_mwh": 0.01, "soc_wanted_mwh": 0.04}
    return {
        "asset_type_name": "one-way_evse",
        "capacity_in_mw": 0.011,
        "max_soc_in_mwh": 0.06,
        "flex_model": {"stays": [stay]},
    }


DEVICES = (
    Device(
        "battery-1",
        "Battery",
        {
            "asset_type_name": "battery",
            "capacity_in_mw": 0.005,
            "min_soc_in_mwh": 0.001,
            "max_soc_in_mwh": 0.01,
            "soc_in_mwh": 0.003,
            "flex_model": {"roundtrip_efficiency": 0.9},
        },
    ),
    Device("car-day", "EVCharger", _car("08:30", "17:00")),
    Device("car-night", "EVCharger", _car("18:00", "07:00")),
)


@dataclass(frozen=True)
class CoordinationStory:
    """A day that was coordinated, in quarter hours; power in MW, consumption positive.

    Attributes:
        day: Its local midnight.
        before: Power of each device by name, as planned before the curve came: shape ``(96,)``.
        after: As planned with it.
        seconds: From sending the curve to new plans [s].
        lines: What is paid for each slot.
        paid: Money of the user [EUR], rounded once.
    """

    day: datetime
    before: Mapping[str, Values]
    after: Mapping[str, Values]
    seconds: float
    lines: Sequence[Settlement]
    paid: Decimal


def make_curve(day: datetime) -> Curve:
    """Make the curve of a day."""
    points = [Point(day.replace(hour=hour), price) for hour, price in DELTAS.items()]
    return Curve(points, currency=CURRENCY)


def add_homes(session: Session, owner_id: int, now: datetime) -> dict[str, int]:
    """Add a market with the tariff and the devices of the homes; the caller commits.

    Returns:
        Ids of the assets by the names that the operator has for them.
    """
    market = create_market(
        session, NewMarket("tariff", "Tariff", "day_ahead", "EUR/MWh", HOUR, ZONE, ("ex_ante", {}))
    )
    midnight = next_midnight(now, ZONE) - timedelta(days=1)
    prices = np.tile(load_site().prices, 3) + FEES
    store_series(session, market.sensor, midnight, prices, timedelta(days=7), "script")
    place: dict[str, Any] = {"latitude": 49.61, "longitude": 6.13, "timezone": ZONE}
    known: dict[str, Any] = {"soc_datetime": now, "soc_udi_event_id": 1}
    return {
        one.resource_name: create_asset(
            session,
            NewAsset(
                name=one.resource_name,
                event_resolution=QUARTER,
                owner_id=owner_id,
                market_id=market.id,
                **place,
                **(known if "soc_in_mwh" in one.fields else {}),
                **one.fields,
            ),
        ).id
        for one in DEVICES
    }


def _by_hour(powers: Mapping[str, Values]) -> Values:
    """Return the energy of all devices in each hour [kWh]."""
    total: Values = np.sum(list(powers.values()), axis=0).reshape(24, 4).sum(axis=1) * 250
    return total


def tabulate_coordination(story: CoordinationStory) -> Table:
    """Show the hours of the curve: what was planned before and after, what was reported and what is paid for it."""
    table = Table(
        box=SIMPLE_HEAD, title=f"{story.day:%A %d %B %Y}, all devices together", title_justify="left"
    )
    for heading in (
        "Hour",
        "Difference\nEUR/kWh",
        "Before\nkWh",
        "With the curve\nkWh",
        "Reported\nkWh",
        "Paid\nEUR",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    before, after = _by_hour(story.before), _by_hour(story.after)
    for hour, delta in DELTAS.items():
        lines = [line for line in story.lines if line.slot_start == story.day.replace(hour=hour)]
        reported, paid = (
            sum((getattr(line, field) for line in lines), Decimal(0))
            for field in ("kilowatt_hours", "amount")
        )
        cells = (
            f"{delta:+.2f}",
            f"{before[hour]:.1f}",
            f"{after[hour]:.1f}",
            f"{reported:.1f}",
            f"{paid:.4f}",
        )
        table.add_row(f"{hour:02d}:00", *cells)
    return table


def draw_coordination(story: CoordinationStory, path: Path) -> None:
    """Draw the curve and both plans into a page that needs no other file."""
    from bokeh.embed import file_html  # noqa: PLC0415 - slow to load
    from bokeh.layouts import column  # noqa: PLC0415
    from bokeh.plotting import figure  # noqa: PLC0415
    from bokeh.resources import INLINE  # noqa: PLC0415

    hours = np.arange(24)
    common = {"sizing_mode": "stretch_width", "x_range": (0, 24)}
    deltas = figure(title="The operator's price differences", y_axis_label="EUR/kWh", height=200, **common)
    deltas.vbar([hour + 0.5 for hour in DELTAS], 0.95, list(DELTAS.values()), color="#e6a700")
    slots = np.arange(97) / 4
    plots = [deltas]
    for name in story.after:
        plot = figure(title=name, y_axis_label="kW (consumption is positive)", height=220, **common)
        for power, colour, label in (
            (story.before[name], "#9aa5b1", "Before"),
            (story.after[name], "#0b6e4f", "With the curve"),
        ):
            values = [*(power * KW_PER_MW), power[-1] * KW_PER_MW]
            plot.step(slots, values, mode="after", color=colour, line_width=2.5, legend_label=label)
        plot.legend.location = "top_left"
        plots.append(plot)
    plots.append(figure(title="All devices by the hour", y_axis_label="kWh", height=240, **common))
    for shift, powers, colour, label in (
        (0.3, story.before, "#9aa5b1", "Before"),
        (0.7, story.after, "#0b6e4f", "With the curve"),
    ):
        plots[-1].vbar(hours + shift, 0.38, _by_hour(powers), color=colour, legend_label=label)
    plots[-1].xaxis.axis_label = f"Hour of {story.day:%d %B %Y} ({ZONE})"
    for plot in plots:
        plot.toolbar.logo = None
    path.write_text(
        file_html(column(*plots, sizing_mode="stretch_width"), INLINE, "FlexMeasures: a coordinated day")
    )
