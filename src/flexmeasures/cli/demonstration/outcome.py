"""Value of the schedules: costs beside those without them, as a table and as a chart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from flexmeasures.cli.demonstration.site import (
    BATTERY,
    FEED_IN,
    ONE_WAY,
    QUARTER,
    STATION,
    SURCHARGE,
    ZONE,
    Site,
    Values,
)
from flexmeasures.domain.time import event_grid, find_zone, from_datetime64, to_datetime64
from flexmeasures.domain.units import KW_PER_MW, KWH_PER_MWH

__all__ = ["Outcome", "draw_chart", "tabulate"]

HOURS_A_SLOT = 0.25


@dataclass(frozen=True)
class Outcome:
    """Two days of the site in quarter hours; power in MW, consumption positive: shape ``(192,)`` each.

    Attributes:
        battery: As scheduled.
        station: As scheduled.
    """

    site: Site
    building: Values
    solar: Values
    battery: Values
    station: Values

    @property
    def prices(self) -> Values:
        """Prices [EUR/MWh] by quarter hour."""
        return np.repeat(self.site.prices, 4)

    @property
    def charging_at_once(self) -> Values:
        """Return the station's power without a schedule: full power from the arrival until the car has enough [MW]."""
        assert STATION.target is not None  # noqa: S101 - it is a constant
        power = np.zeros(len(self.prices))
        first = (datetime.fromisoformat(STATION.at) - self.site.start) // QUARTER
        left = (STATION.target[0] - STATION.soc_kwh) / KWH_PER_MWH
        for slot in range(first, len(power)):
            power[slot] = min(STATION.capacity_mw, left / HOURS_A_SLOT)
            left -= power[slot] * HOURS_A_SLOT
        return power

    @property
    def site_power(self) -> Values:
        """Power of the whole site with the schedules [MW]."""
        return self.building + self.solar + self.battery + self.station

    def cost_of(self, power: Values, battery: Values) -> float:
        """Cost of a power at the connection (192,) [MW], with the tariffs of the home [EUR].

        What the battery (192,) [MW] holds less at the end than at the start counts as bought at the mean price.
        """
        bought = self.prices + SURCHARGE
        energy = np.where(power > 0, bought, FEED_IN) * power
        taken = np.where(battery > 0, battery * ONE_WAY, battery / ONE_WAY).sum()
        return float(energy.sum() * HOURS_A_SLOT - taken * HOURS_A_SLOT * bought.mean())

    @property
    def cost_with(self) -> float:
        """Cost with the schedules [EUR]."""
        return self.cost_of(self.site_power, self.battery)

    @property
    def simple_rules(self) -> dict[str, float]:
        """Costs with simple rules instead [EUR]: the car always charges at once."""
        rest = self.building + self.solar + self.charging_at_once
        own = self._own_use(rest)
        return {
            "a battery that rests": self.cost_of(rest, np.zeros(len(rest))),
            "a battery for one's own sun": self.cost_of(rest + own, own),
        }

    def _own_use(self, rest: Values) -> Values:
        """Return the power of a battery that takes what would be sold and gives what would be bought (192,) [MW]."""
        held, power = BATTERY.soc_kwh / KWH_PER_MWH, []
        for one in rest.tolist():
            most = min(BATTERY.capacity_mw, (BATTERY.max_soc_mwh - held) / ONE_WAY / HOURS_A_SLOT)
            least = -min(BATTERY.capacity_mw, held * ONE_WAY / HOURS_A_SLOT)
            power.append(min(max(-one, least), most))
            held += (power[-1] * ONE_WAY if power[-1] > 0 else power[-1] / ONE_WAY) * HOURS_A_SLOT
        return np.array(power)

    @property
    def battery_soc(self) -> Values:
        """State of charge of the battery at the end of each slot [kWh]."""
        stored = np.where(self.battery > 0, self.battery * ONE_WAY, self.battery / ONE_WAY)
        return BATTERY.soc_kwh + np.cumsum(stored) * HOURS_A_SLOT * KWH_PER_MWH

    @property
    def car_soc(self) -> Values:
        """State of charge of the car at the end of each slot [kWh]; NaN before it arrives."""
        arrived = (
            np.arange(len(self.station)) >= (datetime.fromisoformat(STATION.at) - self.site.start) // QUARTER
        )
        return np.where(
            arrived, STATION.soc_kwh + np.cumsum(self.station) * HOURS_A_SLOT * KWH_PER_MWH, np.nan
        )

    @property
    def local_starts(self) -> list[datetime]:
        """Start of each slot on the site's clock, without its time zone as charts want it."""
        zone = find_zone(ZONE)
        starts = event_grid(self.site.start, QUARTER, len(self.battery))
        return [from_datetime64(start).astimezone(zone).replace(tzinfo=None) for start in starts]


def tabulate(outcome: Outcome) -> Table:
    """Lay the schedule out by the hour."""
    table = Table(
        title=f"Schedule by the hour ({ZONE}): mean power, consumption is positive; energy at the end of the hour",
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("Hour", no_wrap=True)
    units = {"Price": "EUR/MWh", "Battery holds": "kWh", "Car holds": "kWh"}
    for heading in ("Price", "House", "Solar", "Car", "Battery", "Home", "Battery holds", "Car holds"):
        table.add_column(f"{heading}\n{units.get(heading, 'kW')}", justify="right", no_wrap=True)
    kilowatts = [
        np.mean(power.reshape(-1, 4), axis=1) * KW_PER_MW
        for power in (outcome.building, outcome.solar, outcome.station, outcome.battery, outcome.site_power)
    ]
    stocks = [outcome.battery_soc[3::4], outcome.car_soc[3::4]]
    for hour, start in enumerate(outcome.local_starts[::4]):
        cells = [f"{outcome.site.prices[hour]:.2f}", *(f"{kw[hour]:.1f}" for kw in kilowatts)]
        cells += ["" if np.isnan(stock[hour]) else f"{stock[hour]:.1f}" for stock in stocks]
        table.add_row(f"{start:%a %d %b %H:%M}", *(cell.replace("-0.0", "0.0") for cell in cells))
    return table


def draw_chart(outcome: Outcome, path: Path) -> None:
    """Draw price, power and state of charge over each other into a page that needs no other file."""
    # Bokeh takes half a second to load, which only those who draw should pay.
    from bokeh.embed import file_html  # noqa: PLC0415
    from bokeh.layouts import column  # noqa: PLC0415
    from bokeh.resources import INLINE  # noqa: PLC0415

    price, power, stock = _figures(outcome)
    page = file_html(
        column(price, power, stock, sizing_mode="stretch_width"), INLINE, "FlexMeasures: schedule of the home"
    )
    path.write_text(page)


def _figures(outcome: Outcome) -> tuple[object, object, object]:
    from bokeh.models import HoverTool, Span  # noqa: PLC0415
    from bokeh.plotting import figure  # noqa: PLC0415

    starts = outcome.local_starts
    end = starts[-1] + QUARTER
    common = {
        "x_axis_type": "datetime",
        "sizing_mode": "stretch_width",
        "tools": "xpan,xwheel_zoom,reset,save",
    }
    price = figure(title="Day-ahead price", y_axis_label="EUR/MWh", height=220, **common)
    power = figure(
        title="Power (consumption is positive)",
        y_axis_label="kW",
        height=360,
        x_range=price.x_range,
        **common,
    )
    stock = figure(title="State of charge", y_axis_label="kWh", height=260, x_range=price.x_range, **common)
    lines = (
        (price, "Price", outcome.prices, "#444444", 1.5),
        (power, "House", outcome.building * KW_PER_MW, "#9aa5b1", 1.5),
        (power, "Solar roof", outcome.solar * KW_PER_MW, "#e6a700", 1.5),
        (power, "Car", outcome.station * KW_PER_MW, "#1f77b4", 1.5),
        (power, "Battery", outcome.battery * KW_PER_MW, "#0b6e4f", 1.5),
        (power, "Whole home", outcome.site_power * KW_PER_MW, "#c0392b", 2.5),
    )
    for plot, name, values, colour, width in lines:
        # The last step is drawn to the end of its slot.
        plot.step(
            [*starts, end],
            [*values, values[-1]],
            mode="after",
            legend_label=name,
            color=colour,
            line_width=width,
        )
    for name, values, first, colour in (
        ("Battery", outcome.battery_soc, BATTERY.soc_kwh, "#0b6e4f"),
        ("Car", outcome.car_soc, np.nan, "#1f77b4"),
    ):
        stock.line([*starts, end], [first, *values], legend_label=name, color=colour, line_width=2)
    for plot in (price, power, stock):
        plot.add_layout(Span(location=0, dimension="width", line_color="#bbbbbb"))
        plot.add_tools(
            HoverTool(
                tooltips=[("Time", "$x{%a %d %b %H:%M}"), ("Value", "$y{0.0}")], formatters={"$x": "datetime"}
            )
        )
        plot.add_layout(plot.legend[0], "above")
        plot.legend.update(location="top_left", padding=0, margin=2, border_line_alpha=0)
        plot.legend.orientation = "horizontal"
        plot.legend.click_policy = "hide"
        plot.toolbar.logo = None
    stock.xaxis.axis_label = f"Time ({ZONE})"
    return price, power, stock


def to_slots(outcome_start: datetime, start: datetime, power: Values, count: int) -> Values:
    """Put a schedule into the slots of the two days; what it does not cover is zero."""
    slots = np.zeros(count)
    first = int((to_datetime64(start) - to_datetime64(outcome_start)) // np.timedelta64(15, "m"))
    slots[first : first + len(power)] = power[: count - first]
    return slots
