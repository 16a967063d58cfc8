"""Draws a chart of power as a Bokeh item, which a web page embeds with ``Bokeh.embed.embed_item``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.models import (
    ColumnDataSource,
    CustomJSHover,
    CustomJSTickFormatter,
    DatetimeTicker,
    HoverTool,
    Label,
    Legend,
    LegendItem,
    LinearAxis,
    NumeralTickFormatter,
    PanTool,
    Plot,
    Range1d,
    ResetTool,
    SaveTool,
    Scatter,
    Step,
    Title,
    WheelZoomTool,
)
from bokeh.models.grids import Grid
from bokeh.palettes import Category10_10

from flexmeasures.domain.time import find_zone, format_duration, from_datetime64
from flexmeasures.services.power_chart import PowerChart, PowerQuestion, Trace
from flexmeasures.services.resources import Resource

__all__ = ["draw_power"]

_COLOURS = {"power": "#1f77b4", "forecasts": "#ff7f0e", "schedules": "#2ca02c"}
_DASHES = {"power": "solid", "forecasts": "dashed", "schedules": "dotdash"}

# Positions on the time axis are instants, shifted so that round hours and midnights at the start of the chart are round
# numbers; labels are worked out from the instant itself, so they stay right when clocks change.
_LABEL_TICK = """
const instant = new Date(tick - shift)
const show = (options) => new Intl.DateTimeFormat("en-GB", {timeZone: zone, ...options}).format(instant)
const day = show({day: "numeric", month: "short"})
if (ticks.length > 1 && ticks[1] - ticks[0] >= 86400000) {
    return ticks[1] - ticks[0] > 300 * 86400000 ? show({year: "numeric"}) : day
}
const time = show({hour: "2-digit", minute: "2-digit", hourCycle: "h23"})
return index == 0 || time == "00:00" ? time + "\\n" + day : time
"""

_LABEL_HOVER = """
return new Intl.DateTimeFormat("en-GB", {
    timeZone: zone, dateStyle: "medium", timeStyle: "short", hourCycle: "h23",
}).format(new Date(value - shift))
"""


def draw_power(
    resource: Resource, question: PowerQuestion, chart: PowerChart, consumption_as_positive: bool
) -> dict[str, Any]:
    """Draw a chart.

    Args:
        resource: What it is about.
        question: What was asked.
        chart: What is known.
        consumption_as_positive: The sign in which power is shown; it is stored with consumption positive.

    Returns:
        A Bokeh item, ready for JSON.
    """
    side = "consumption of" if consumption_as_positive else "production from"
    title = f"Electricity {side} {resource.display_name}"
    axis = _Axis(chart, question)
    plot = Plot(
        title=Title(text=title),
        x_range=Range1d(axis.positions[0], axis.positions[-1]),
        sizing_mode="stretch_width",
        height=400,
        min_width=300,
    )
    plot.toolbar.logo = None
    _add_axes(plot, axis, question)
    items = []
    for number, trace in enumerate(chart.traces):
        power = trace.power if consumption_as_positive else -trace.power
        items.append(_add_trace(plot, axis, trace, power, _choose_colour(trace, number), question))
    if items:
        legend = Legend(
            items=items, click_policy="hide", orientation="horizontal", location="center", spacing=16
        )
        plot.add_layout(legend, "below")
    else:
        _say_that_there_is_nothing(plot, axis, resource)
    return dict(json_item(plot))


class _Axis:
    """The time axis: where instants are on it, and how they are written."""

    def __init__(self, chart: PowerChart, question: PowerQuestion) -> None:
        self.zone = question.zone
        start = from_datetime64(chart.edges[0]).astimezone(find_zone(question.zone))
        self.shift = (start.utcoffset() or timedelta(0)) / timedelta(milliseconds=1)
        milliseconds = chart.edges.astype("datetime64[ms]").astype(np.int64)
        self.positions = milliseconds.astype(float) + self.shift

    @property
    def arguments(self) -> dict[str, Any]:
        """Values for the code that writes labels."""
        return {"zone": self.zone, "shift": self.shift}


def _add_axes(plot: Plot, axis: _Axis, question: PowerQuestion) -> None:
    times = LinearAxis(
        axis_label=f"Time ({axis.zone}, resolution of {_spell(question.resolution)})",
        ticker=DatetimeTicker(),
        formatter=CustomJSTickFormatter(args=axis.arguments, code=_LABEL_TICK),
    )
    power = LinearAxis(axis_label="Power [MW]", formatter=NumeralTickFormatter(format="0,0[.]00[0]"))
    plot.add_layout(times, "below")
    plot.add_layout(power, "left")
    plot.add_layout(Grid(dimension=0, axis=times))
    plot.add_layout(Grid(dimension=1, axis=power))
    plot.add_tools(PanTool(dimensions="width"), WheelZoomTool(dimensions="width"), ResetTool(), SaveTool())


def _add_trace(
    plot: Plot, axis: _Axis, trace: Trace, power: np.ndarray, colour: str, question: PowerQuestion
) -> LegendItem:
    # Each step holds from its start to the start of the next one; the last value once more, to draw the last step.
    source = ColumnDataSource({"when": axis.positions, "power": np.append(power, power[-1])})
    line = plot.add_glyph(
        source,
        Step(
            x="when", y="power", mode="after", line_color=colour, line_width=2, line_dash=_DASHES[trace.kind]
        ),
    )
    steps = ColumnDataSource({"when": axis.positions[:-1], "power": power})
    dots = plot.add_glyph(steps, Scatter(x="when", y="power", size=3, fill_color=colour, line_color=None))
    name = _name(trace, question)
    hover = HoverTool(
        renderers=[dots],
        tooltips=[("", name), ("From", "@when{custom}"), ("Power", "@power{0.000} MW")],
        formatters={"@when": CustomJSHover(args=axis.arguments, code=_LABEL_HOVER)},
        visible=False,
    )
    plot.add_tools(hover)
    return LegendItem(label=name, renderers=[line, dots])


def _choose_colour(trace: Trace, number: int) -> str:
    return _COLOURS[trace.kind] if trace.asset_name is None else Category10_10[number % 10]


def _name(trace: Trace, question: PowerQuestion) -> str:
    """Name a trace in the legend."""
    if trace.kind == "forecasts":
        return f"Forecast (made {_spell(question.forecast_horizon)} or more before)"
    kind = "Actual" if trace.kind == "power" else "Schedule"
    return kind if trace.asset_name is None else f"{kind}: {trace.asset_name}"


def _say_that_there_is_nothing(plot: Plot, axis: _Axis, resource: Resource) -> None:
    plot.y_range = Range1d(0, 1)
    middle = (axis.positions[0] + axis.positions[-1]) / 2
    text = f"No power of {resource.display_name} is known for this period yet."
    plot.add_layout(Label(x=middle, y=0.5, text=text, text_align="center", text_baseline="middle"))


def _spell(duration: timedelta) -> str:
    """Write a duration for people.

    >>> _spell(timedelta(minutes=15)), _spell(timedelta(hours=1)), _spell(timedelta(minutes=90))
    ('15 minutes', '1 hour', '90 minutes')
    """
    for unit, length in (
        ("day", timedelta(days=1)),
        ("hour", timedelta(hours=1)),
        ("minute", timedelta(minutes=1)),
    ):
        count, rest = divmod(duration, length)
        if count and not rest:
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return format_duration(duration)
