"""What a model has learned: predictions, and how to keep them in a file or a database."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.forecasting.case import Case
from flexmeasures.domain.forecasting.history import Integers, Values

__all__ = ["Learned", "Prediction", "pack", "unpack"]


@dataclass(frozen=True)
class Prediction:
    """Forecasts of m events.

    Attributes:
        middle: Medians: shape ``(m,)``.
        width: How far measurements usually lie from them, on any scale: shape ``(m,)``; None: no band is given.
    """

    middle: Values
    width: Values | None = None


class Learned(Protocol):
    """A fitted model."""

    def predict(self, case: Case, events: Integers) -> Prediction:
        """Forecast events, by their positions on the grid: shape ``(m,)``."""

    def dump(self) -> bytes:
        """Write it down, for its model to load."""


def pack(arrays: Mapping[str, Any]) -> bytes:
    """Write arrays and texts by name into bytes that hold data only, never code."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(value) for name, value in arrays.items()})
    return zlib.compress(buffer.getvalue(), 6)


def unpack(data: bytes) -> dict[str, Any]:
    """Read what `pack` wrote.

    Raises:
        BadValues: If it is something else.
    """
    try:
        with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zlib.error, ValueError, OSError, KeyError) as error:
        raise BadValues("A kept model cannot be read; it will be fitted anew.") from error
