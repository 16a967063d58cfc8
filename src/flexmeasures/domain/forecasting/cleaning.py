"""Find what no meter can have measured, before models learn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.errors import BadValues, NotEnoughData
from flexmeasures.domain.forecasting.history import Values

__all__ = ["Cleaned", "check_enough", "clean", "fill_forward"]

_SPIKE = 10.0
_SPIKE_SHARE = 0.005
_RISING_SHARE = 0.98
_FEWEST_TO_JUDGE = 48


@dataclass(frozen=True)
class Cleaned:
    """Values without outliers: shape ``(n,)``, and what was done, in sentences."""

    values: Values
    notes: tuple[str, ...]


def clean(values: Values, judged: int) -> Cleaned:
    """Take out values that are absurdly large, judged by those that were known when the forecast was made.

    A value counts as absurd if it is ten times as large as 99.5 % of those that are not zero, and seldom: a decimal
    point slipped, or a meter was reset.

    Args:
        values: Shape ``(n,)``; not a number where nothing was measured.
        judged: How many of the first ones were known; later ones do not change the judgement.

    Raises:
        BadValues: If they are readings of a meter that counts up.
    """
    known = values[:judged]
    known = known[~np.isnan(known)]
    _refuse_readings(known)
    sizes = np.abs(known[known != 0])
    if len(sizes) < _FEWEST_TO_JUDGE:
        return Cleaned(values, ())
    # At least a few values are needed to call something usual: half a per cent of few values is none.
    allowed = max(int(_SPIKE_SHARE * len(sizes)), 2)
    usual = np.sort(sizes)[-1 - allowed]
    with np.errstate(invalid="ignore"):
        absurd = np.abs(values) > _SPIKE * usual
    if not absurd.any():
        return Cleaned(values, ())
    count = int(absurd[:judged].sum())
    note = f"{count} values beyond ±{_SPIKE * usual:.6g} were left out as outliers."
    return Cleaned(np.where(absurd, np.nan, values), (note,) if count else ())


def _refuse_readings(known: Values) -> None:
    """Refuse readings of a counter: they rise for ever, but for resets."""
    if len(known) < _FEWEST_TO_JUDGE:
        return
    steps = np.diff(known)
    rising = steps > 0
    span = float(known.max() - known.min())
    # Power that rises for days on end, without ever falling, and in steps that are small beside the level it reaches.
    if (
        np.mean(steps >= 0) >= _RISING_SHARE
        and np.mean(rising) > 0.2
        and np.median(steps[rising]) < 0.05 * span
    ):
        raise BadValues(
            f"The values rise from {known[0]:.6g} to {known.max():.6g} and almost never fall: they seem to be readings "
            "of a meter. Send the power or energy of each event, which is the difference of two readings."
        )


def check_enough(values: Values, needed: int, what: str) -> None:
    """Make sure that enough was measured.

    Args:
        values: Shape ``(n,)``; not a number where nothing was measured.
        needed: The smallest number of values.
        what: The model that needs them.

    Raises:
        NotEnoughData: If there are fewer.
    """
    count = int(np.sum(~np.isnan(values)))
    if count < needed:
        raise NotEnoughData(
            f"{count} values were measured in time; {what} needs {needed}. Forecast later, or by a simpler model."
        )


def fill_forward(values: Values) -> Values:
    """Fill gaps with the last value before; what lies before the first value stays empty: shape ``(n,)``."""
    last = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(last) if len(last) else last
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan)
