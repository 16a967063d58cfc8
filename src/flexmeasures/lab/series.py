"""Series of numbers in evenly spaced steps, from a CSV file or from pandas."""

from __future__ import annotations

import csv
import gzip
import importlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadValues, InvalidTime, NotEnoughData
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.time import format_instant, parse_instant

__all__ = ["Series", "read_series"]


@dataclass(frozen=True)
class Series:
    """Values of consecutive steps.

    Args:
        start: Start of the first step, with its time zone.
        resolution: Length of a step.
        values: One a step (n,); nan where nothing is known.
        unit: In which they are: kW (the mean of a step) or currency/MWh.

    Raises:
        InvalidTime: The start has no time zone, or a step no length.
        BadValues: There are no values, or one is infinite.
    """

    start: datetime
    resolution: timedelta
    values: FloatArray
    unit: str = "kW"

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise InvalidTime(f"The start {self.start.isoformat()} has no time zone: give it one.")
        if self.resolution <= timedelta(0):
            raise InvalidTime(f"A step lasts {self.resolution}: give it a length above 0.")
        numbers = np.asarray(self.values, dtype=float)
        if numbers.ndim != 1 or numbers.size == 0 or np.isinf(numbers).any():
            raise BadValues("A series needs one finite number a step (or nan where nothing is known).")
        object.__setattr__(self, "values", numbers)
        # Differences of local times forget that clocks change.
        object.__setattr__(self, "start", self.start.astimezone(UTC))

    @property
    def end(self) -> datetime:
        """End of the last step."""
        return self.start + self.values.size * self.resolution

    @property
    def hours(self) -> float:
        """Length of a step [h]."""
        return self.resolution / timedelta(hours=1)

    def at(self, start: datetime, count: int) -> FloatArray:
        """Give the values of some steps (count,).

        Raises:
            InvalidTime: The start lies between two steps.
            NotEnoughData: The series does not cover them, or has gaps there; says where.
        """
        first, rest = divmod(start.astimezone(UTC) - self.start, self.resolution)
        if rest:
            raise InvalidTime(f"{format_instant(start)} lies within a step: take a start of one.")
        if first < 0 or first + count > self.values.size:
            raise NotEnoughData(
                f"The series goes from {format_instant(self.start)} to {format_instant(self.end)}, and lacks some of "
                f"the {count} steps from {format_instant(start)}: choose others, or read more."
            )
        window = self.values[first : first + count]
        gaps = np.flatnonzero(np.isnan(window))
        if gaps.size:
            raise NotEnoughData(
                f"{gaps.size} of {count} values are missing, the first at "
                f"{format_instant(start + int(gaps[0]) * self.resolution)}: fill them first, for example by filled()."
            )
        return window

    def filled(self) -> Series:
        """Fill gaps in a straight line between the values beside them.

        Raises:
            NotEnoughData: No value is known at all.
        """
        known = np.flatnonzero(~np.isnan(self.values))
        if not known.size:
            raise NotEnoughData("The series has no value that is known: read another column.")
        values = np.interp(np.arange(self.values.size), known, self.values[known])
        return Series(self.start, self.resolution, values, self.unit)

    def resampled(self, resolution: timedelta) -> Series:
        """Give the means of longer steps, or repeat the values in shorter ones.

        Raises:
            InvalidTime: One resolution is not a multiple of the other, or the series does not fill the last step.
        """
        if resolution > timedelta(0) and not self.resolution % resolution:
            values = np.repeat(self.values, self.resolution // resolution)
        elif resolution > timedelta(0) and not resolution % self.resolution:
            width = resolution // self.resolution
            if self.values.size % width:
                raise InvalidTime(
                    f"{self.values.size} steps are not a multiple of {width}: cut the series first."
                )
            values = self.values.reshape(-1, width).mean(axis=1)
        else:
            raise InvalidTime(
                f"Steps of {self.resolution} cannot become steps of {resolution}: take a multiple."
            )
        return Series(self.start, resolution, values, self.unit)

    def to_frame(self, name: str = "value") -> Any:
        """Give a pandas DataFrame with one column, indexed by the start of each step in UTC."""
        return frame_of(self, {name: self.values})


def read_series(
    source: Any, column: str | None = None, *, unit: str, time_column: str = "time_utc"
) -> Series:
    """Read a series from a CSV file (also .gz) or a pandas Series.

    Args:
        source: Path of the file, whose times are ISO 8601 instants with Z or an offset and say when a step starts; or a
            pandas Series with an index of such times.
        column: Which column of the file.
        unit: Of its values: W, kW or MW (means of the steps), Wh, kWh or MWh (energy of each step), or a price such as
            EUR/MWh or EUR/kWh. Powers and energies become kW, prices currency/MWh.
        time_column: Which column of the file has the times.

    Raises:
        BadValues: A column does not exist, or a value is not a number.
        InvalidTime: A time has no zone, or the steps are not even; says where.
    """
    if isinstance(source, str | Path):
        if column is None:
            raise BadValues("Say which column of the file is meant.")
        starts, values = _read_csv(Path(source), column, time_column)
    elif hasattr(source, "index") and hasattr(source, "to_numpy"):
        starts = [_aware(instant) for instant in source.index.to_pydatetime()]
        values = source.to_numpy(dtype=float)
    else:
        raise BadValues("A series is read from the path of a CSV file or from a pandas Series.")
    resolution = _even_step(starts)
    factor, kept = _conversion(unit, resolution / timedelta(hours=1))
    return Series(starts[0], resolution, np.asarray(values, dtype=float) * factor, kept)


def frame_of(like: Series, columns: dict[str, ArrayLike]) -> Any:
    """Make a pandas DataFrame of values on the steps of a series."""
    count = len(np.atleast_1d(next(iter(columns.values()))))
    index = pandas().date_range(like.start, periods=count, freq=like.resolution).tz_convert("UTC")
    return pandas().DataFrame(columns, index=index.rename("start"))


def pandas() -> Any:
    """Load pandas, which only frames need.

    Raises:
        BadValues: It is not installed; says how to.
    """
    try:
        return importlib.import_module("pandas")
    except ModuleNotFoundError:
        raise BadValues("pandas makes frames. Install it: pip install 'flexmeasures[lab]'") from None


def _read_csv(path: Path, column: str, time_column: str) -> tuple[list[datetime], list[float]]:
    starts, values = [], []
    with ExitStack() as opened:
        if path.suffix == ".gz":
            file: TextIO = opened.enter_context(gzip.open(path, "rt", encoding="utf-8-sig"))
        else:
            file = opened.enter_context(path.open(encoding="utf-8-sig"))
        reader = csv.DictReader(file)
        for name in (time_column, column):
            if name not in (reader.fieldnames or ()):
                there = ", ".join(reader.fieldnames or ())
                raise BadValues(f"{path.name} has no column {name}: choose one of {there}.")
        for row in reader:
            text = row[column]
            try:
                starts.append(parse_instant(row[time_column], time_column).astimezone(UTC))
                values.append(float(text) if text else np.nan)
            except ValueError:
                raise BadValues(
                    f"Line {reader.line_num} of {path.name}: {text!r} is not a number; leave it empty if unknown."
                ) from None
    return starts, values


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise InvalidTime(
            f"{instant.isoformat()} has no time zone: localise the index first, with tz_localize."
        )
    return instant.astimezone(UTC)


def _even_step(starts: Iterable[datetime]) -> timedelta:
    known = list(starts)
    if len(known) < 2:
        raise InvalidTime("A series needs two steps or more, so that their length is known.")
    step = known[1] - known[0]
    for before, after in pairwise(known):
        if after - before != step or step <= timedelta(0):
            raise InvalidTime(
                f"After {format_instant(before)} comes {format_instant(after)}, though steps last {step}: let steps be "
                "even, with empty values where nothing is known."
            )
    return step


_KILO = {"W": 1e-3, "kW": 1.0, "MW": 1e3}


def _conversion(unit: str, hours: float) -> tuple[float, str]:
    """Give the factor to kW or currency/MWh, and the unit that is kept."""
    if unit in _KILO:
        return _KILO[unit], "kW"
    if unit.endswith("Wh") and unit[:-1] in _KILO:
        return _KILO[unit[:-1]] / hours, "kW"
    money, _, energy = unit.partition("/")
    if money and energy.endswith("Wh") and energy[:-1] in _KILO:
        return 1e3 / _KILO[energy[:-1]], f"{money}/MWh"
    raise BadValues(
        f"The unit {unit!r} is neither a power, an energy nor a price: use one like kW, kWh or EUR/MWh."
    )
