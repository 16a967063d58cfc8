"""Tables and images for notebooks, as HTML and SVG that need no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape

import numpy as np

from flexmeasures.domain.scheduling.linear import FloatArray

__all__ = ["draw_bars", "draw_lines", "write_table"]

_COLOURS = ("#444444", "#e6a700", "#0b6e4f", "#1f77b4", "#c0392b", "#7d5ba6")
_WIDTH, _HEIGHT, _LEFT = 760, 170, 60
_MOST_POINTS = 2000
"""Steps that are drawn one by one; of more, means are drawn."""


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as HTML."""
    head = "".join(f"<th>{escape(one)}</th>" for one in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def draw_lines(panels: Mapping[str, Mapping[str, FloatArray]], start: datetime, resolution: timedelta) -> str:
    """Draw series below each other, a panel for each unit.

    Args:
        panels: Unit → name → values (n,).
        start: Start of the first step.
        resolution: Length of a step.
    """
    drawn, top = [], 10
    count = len(next(iter(next(iter(panels.values())).values())))
    for unit, series in panels.items():
        drawn.append(_panel(unit, series, top))
        top += _HEIGHT + 30
    end = start + count * resolution
    drawn.append(_text(_LEFT, top, f"{start:%Y-%m-%d %H:%M %Z} to {end:%Y-%m-%d %H:%M %Z}"))
    return _image(top + 12, drawn)


def draw_bars(values: Mapping[str, float], unit: str) -> str:
    """Draw numbers as bars."""
    most = max([abs(one) for one in values.values()] + [1e-9])
    drawn = [_text(10, 16, unit)]
    for number, (name, value) in enumerate(values.items()):
        top, width = 26 + 26 * number, 360 * abs(value) / most
        colour = "#0b6e4f" if value >= 0 else "#c0392b"
        drawn.append(_text(10, top + 14, name))
        drawn.append(f'<rect x="160" y="{top}" width="{width:.1f}" height="18" fill="{colour}"/>')
        drawn.append(_text(166 + width, top + 14, f"{value:.2f}"))
    return _image(34 + 26 * len(values), drawn)


def _panel(unit: str, series: Mapping[str, FloatArray], top: float) -> str:
    thinned = {name: _thin(values) for name, values in series.items()}
    everything = np.concatenate([*thinned.values(), [0.0]])
    low, high = float(everything.min()), float(everything.max())
    span = (high - low) or 1.0
    drawn = [
        _text(4, top + 12, f"{high:.3g}"),
        _text(4, top + _HEIGHT, f"{low:.3g}"),
        _text(4, top + 30, unit),
    ]
    zero = top + _HEIGHT * (high - 0.0) / span
    drawn.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="#bbbbbb"/>')
    for number, (name, values) in enumerate(thinned.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        across = np.linspace(_LEFT, _WIDTH, values.size + 1)
        down = top + _HEIGHT * (high - values) / span
        points = " ".join(
            f"{left:.1f},{y:.1f} {right:.1f},{y:.1f}"
            for left, right, y in zip(across, across[1:], down, strict=False)
        )
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        drawn.append(_text(_LEFT + 110 * number, top + _HEIGHT + 16, name, colour))
    return "".join(drawn)


def _thin(values: FloatArray) -> FloatArray:
    width = -(-values.size // _MOST_POINTS)
    whole = values[: values.size // width * width]
    return np.asarray(whole.reshape(-1, width).mean(axis=1))


def _text(x: float, y: float, text: str, colour: str = "#444444") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(text)}</text>'


def _image(height: float, drawn: Sequence[str]) -> str:
    inside = "".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 10} {height:.0f}" width="{_WIDTH + 10}" '
        f'font-family="sans-serif" font-size="12">{inside}</svg>'
    )
