"""The one way in which pages hand series to charts, tables and downloads."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import orjson
from flask import Response

from flexmeasures.domain.time import Instants

__all__ = ["Chart", "Line", "charts_response", "download"]

Values = np.ndarray[Any, np.dtype[np.float64]]
Style = Literal["measured", "forecast", "schedule", "band", "area"]

_SCALES = ((1.0, "MW"), (1e3, "kW"), (1e6, "W"))


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        label: Its name.
        values: Shape ``(n,)``, NaN where nothing is known; states at n + 1 boundaries lack the last one.
        style: How it is drawn.
        colour: Name of the token of its colour.
        is_state: Whether it is a state at an instant, drawn as a line, rather than a mean of a slot, drawn as a step.
        high: Upper edge of a band, of which `values` are the lower one.
    """

    label: str
    values: Values
    style: Style = "measured"
    colour: str = "measured"
    is_state: bool = False
    high: Values | None = None


@dataclass(frozen=True)
class Chart:
    """Lines over time in one unit.

    Attributes:
        name: Of the figure on the page.
        title: What it shows, with its subject.
        unit: Of the values; powers in MW are shown in the unit that suits people.
        edges: Where steps start, and where the last one ends (n+1,), UTC.
        zone: IANA name of the time zone of its clock.
        empty: What to say if there is nothing to show.
        now: Where the past ends.
    """

    name: str
    title: str
    unit: str
    edges: Instants
    lines: Sequence[Line]
    zone: str
    now: datetime
    empty: str = "Nothing is known for this window."


def _scale(chart: Chart) -> tuple[float, str]:
    """Choose the unit in which the largest value has one to four digits before its point."""
    if chart.unit not in ("MW", "MWh"):
        return 1.0, chart.unit
    sizes = [np.nanmax(np.abs(one.values)) for one in chart.lines if np.isfinite(one.values).any()]
    largest = max(sizes, default=0.0)
    factor, unit = next(((factor, unit) for factor, unit in _SCALES if largest * factor >= 1), (1e3, "kW"))
    return factor, unit + chart.unit.removeprefix("MW")


def as_data(chart: Chart) -> dict[str, Any]:
    """Give a chart as plain lists, ready for JSON: values are `null` where nothing is known."""
    factor, unit = _scale(chart)
    seconds = chart.edges.astype("datetime64[s]").astype(np.int64)
    lines = []
    for one in chart.lines:
        if not np.isfinite(one.values).any():
            continue
        line: dict[str, Any] = {
            "label": one.label,
            "style": one.style,
            "colour": one.colour,
            "state": one.is_state,
            "values": _rounded(one.values * factor),
        }
        if one.high is not None:
            line["high"] = _rounded(one.high * factor)
        lines.append(line)
    return {
        "name": chart.name,
        "title": chart.title,
        "unit": unit,
        "zone": chart.zone,
        "now": int(chart.now.timestamp()),
        "times": seconds[:-1].tolist(),
        "end": int(seconds[-1]),
        "lines": lines,
        "empty": chart.empty,
    }


def _rounded(values: Values) -> list[float | None]:
    """Round to what a screen can show and a table should say: six significant digits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.floor(np.log10(np.abs(values)))
    digits = np.where(np.isfinite(size), 5 - size, 0)
    scale = 10.0**digits
    kept = np.where(np.isfinite(values), np.round(values * scale) / scale, np.nan)
    return [None if math.isnan(value) else value for value in kept.tolist()]


def charts_response(charts: Sequence[Chart]) -> Response:
    """Answer with the charts of a page."""
    return Response(orjson.dumps({"charts": [as_data(one) for one in charts]}), mimetype="application/json")


def download(chart: Chart, kind: str, name: str) -> Response:
    """Answer with the values of a chart as a file: times with their offset, units in the head.

    Args:
        chart: Which.
        kind: "csv" or "json".
        name: Of the file, without its ending.
    """
    if kind == "csv":
        text = io.StringIO()
        writer = csv.writer(text)
        columns = _columns(chart)
        writer.writerow(["start", *(f"{label} [{chart.unit}]" for label, _ in columns)])
        starts = np.datetime_as_string(chart.edges[:-1], unit="s")
        numbers = [
            ["" if math.isnan(value) else repr(value) for value in values.tolist()] for _, values in columns
        ]
        writer.writerows(zip((f"{one}Z" for one in starts), *numbers, strict=True))
        answer = Response(text.getvalue(), mimetype="text/csv")
    else:
        answer = Response(orjson.dumps(as_data(chart)), mimetype="application/json")
    answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.{kind}")
    return answer


def _columns(chart: Chart) -> list[tuple[str, Values]]:
    columns = []
    for one in chart.lines:
        if one.high is None:
            columns.append((one.label, one.values))
        else:
            columns += [(f"{one.label}, low", one.values), (f"{one.label}, high", one.high)]
    return columns
