"""Benchmarks: one self-registering file a subject; run them with ``make bench`` or ``python -m benchmarks [NAME]``.

A benchmark is a function ``f(report)``. It measures ours and, where one is installed, a peer beside it in the same
run, and hands its figures to ``report``. Targets are printed beside the figures; nothing here fails on time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["REGISTRY", "Report", "benchmark", "calibrate", "median", "time_calls"]

CALIBRATION_STEPS = 2_000_000
CALIBRATION_REFERENCE = 0.28
"""Seconds that the loop of `calibrate` takes on the machine for which the targets were set."""

REGISTRY: dict[str, Callable[[Report], None]] = {}


def benchmark(name: str) -> Callable[[Callable[[Report], None]], Callable[[Report], None]]:
    """Register a benchmark under the name by which ``python -m benchmarks NAME`` finds it."""

    def register(function: Callable[[Report], None]) -> Callable[[Report], None]:
        REGISTRY[name] = function
        return function

    return register


def calibrate() -> float:
    """Time a plain Python loop of two million steps, as in a script [s]: how fast this machine is."""
    loop = compile(f"steps = 0\nwhile steps < {CALIBRATION_STEPS}:\n    steps += 1", "calibration", "exec")
    start = time.perf_counter()
    # In a function the loop would be compiled to faster code.
    exec(loop, {})
    return time.perf_counter() - start


@dataclass
class Report:
    """Collects and prints the figures of one run.

    Targets are times on a machine of reference speed. A time that exceeds one is compared once more, at the speed that
    this machine had around the measurement: that of a shared one changes by a factor of two within minutes.
    """

    lines: list[str] = field(default_factory=list)
    calibration: float = field(default_factory=calibrate)

    def __call__(
        self, name: str, seconds: float, *, per: int = 1, target: float | None = None, note: str = ""
    ) -> None:
        """Print a duration; with ``per`` > 1 also the number of things done a second.

        Args:
            name: What was measured.
            seconds: The median time of one call [s].
            per: How many things one call does.
            target: What the time should not exceed on a machine of reference speed [s].
            note: What a reader should know, for example a 95th percentile.
        """
        text = f"{name:<62} {format_seconds(seconds):>10}"
        if per > 1:
            text += f"  {per / seconds:>12,.0f}/s"
        if target is not None:
            text += f"  target {format_seconds(target)}: {self._verdict(seconds, target)}"
        self._line(f"{text}  {note}".rstrip())

    def _verdict(self, seconds: float, target: float) -> str:
        before, self.calibration = self.calibration, calibrate()
        slowness = (before + self.calibration) / 2 / CALIBRATION_REFERENCE
        if seconds <= target:
            return "met"
        at_reference = f"at reference speed: {format_seconds(seconds / slowness)}"
        return f"met {at_reference}" if seconds <= target * slowness else f"MISSED, {at_reference}"

    def ratio(self, name: str, ours: float, floor: float, target: float | None = None) -> None:
        """Print our time as a multiple of a peer's (or of a floor) measured in the same run."""
        text = f"{name:<62} {ours / floor:>9.2f}x"
        if target is not None:
            text += f"  target {target:g}x {'met' if ours <= target * floor else 'MISSED'}"
        self._line(text)

    def figure(self, name: str, value: float, unit: str, target: str = "") -> None:
        """Print a figure that is not a duration, such as memory."""
        self._line(f"{name:<62} {value:>10,.1f} {unit}  {target}".rstrip())

    def _line(self, text: str) -> None:
        self.lines.append(text)
        print("  " + text, flush=True)


def time_calls(function: Callable[[], object], repeat: int = 15, warm_up: int = 2) -> list[float]:
    """Time calls one by one [s], after some that do not count."""
    for _ in range(warm_up):
        function()
    durations = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return durations


def median(function: Callable[[], object], repeat: int = 15, warm_up: int = 2) -> float:
    """Time a function: the median of its calls [s]."""
    return statistics.median(time_calls(function, repeat, warm_up))


def format_seconds(seconds: float) -> str:
    """Write a duration in the unit that suits its size.

    >>> format_seconds(0.0123), format_seconds(2.5), format_seconds(0.00004)
    ('12.3 ms', '2.50 s', '40.0 µs')
    """
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
