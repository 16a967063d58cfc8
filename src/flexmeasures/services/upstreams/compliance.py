"""How limits of the grid were kept: minute by minute, with when each was received, applied and released."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.tables import Asset, GridSignal
from flexmeasures.domain.coordination import SignalKind
from flexmeasures.domain.errors import InvalidTime, NotFound
from flexmeasures.domain.time import event_grid, format_instant
from flexmeasures.domain.units import KW_PER_MW
from flexmeasures.services.power import read_power

__all__ = ["Kept", "count_kept", "limit_report"]

_MINUTE = timedelta(minutes=1)
_LONGEST = timedelta(days=32)
_TOLERANCE_KW = 1e-6
COLUMNS = (
    "minute",
    "limit_kw",
    "measured_kw",
    "kept",
    "source",
    "event",
    "legal_basis",
    "received_at",
    "applied_at",
    "released_at",
)


def limit_report(session: Session, asset_id: int, start: datetime, end: datetime) -> str:
    """Write how an asset kept the import limits of a period, as CSV: a row for each minute with a limit.

    Of several limits in a minute the strictest is shown, as it held for any instant of it. What was measured is left
    empty where nothing is known, and so is whether the limit was kept.

    Args:
        session: For reading.
        asset_id: The asset that was limited.
        start: Inclusive; rounded down to a minute.
        end: Exclusive.

    Raises:
        NotFound: If there is no such asset.
        InvalidTime: If the period is empty or longer than 32 days.
    """
    found = _read_limits(session, asset_id, start, end)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for minute in np.flatnonzero(found.chosen >= 0).tolist():
        signal, kw = found.signals[found.chosen[minute]], found.measured[minute]
        limit_kw = round(float(found.strictest[minute]) * KW_PER_MW, 6)
        is_known = bool(np.isfinite(kw))
        writer.writerow(
            (
                format_instant(found.start + minute * _MINUTE),
                f"{limit_kw:g}",
                f"{kw:.6g}" if is_known else "",
                ("yes" if kw <= limit_kw + _TOLERANCE_KW else "no") if is_known else "",
                signal.source,
                signal.event_id,
                signal.legal_basis or "",
                format_instant(signal.received_at),
                "" if signal.applied_at is None else format_instant(signal.applied_at),
                _released(signal),
            )
        )
    return text.getvalue()


@dataclass(frozen=True)
class Kept:
    """Minutes with a limit; of these, minutes that were measured; of these, minutes in which it was kept."""

    limited: int
    measured: int
    kept: int


def count_kept(session: Session, asset_id: int, start: datetime, end: datetime) -> Kept:
    """Count the minutes of a period in which an asset had an import limit, and in how many it kept it.

    Raises:
        NotFound: If there is no such asset.
        InvalidTime: If the period is empty or longer than 32 days.
    """
    found = _read_limits(session, asset_id, start, end)
    limited = found.chosen >= 0
    measured = limited & np.isfinite(found.measured)
    with np.errstate(invalid="ignore"):
        kept = measured & (found.measured <= found.strictest * KW_PER_MW + _TOLERANCE_KW)
    return Kept(int(limited.sum()), int(measured.sum()), int(kept.sum()))


@dataclass(frozen=True)
class _Minutes:
    """The minutes of a period.

    Attributes:
        strictest: Limit of each [MW], infinite where there is none: shape ``(n,)``.
        chosen: Index of the signal that it is of, -1 where there is none.
        measured: Power measured in each [kW], not a number where nothing is known.
    """

    start: datetime
    signals: list[GridSignal]
    strictest: np.ndarray
    chosen: np.ndarray
    measured: np.ndarray


def _read_limits(session: Session, asset_id: int, start: datetime, end: datetime) -> _Minutes:
    """Read the strictest import limit of each minute, as it held for any instant of it, and what was measured."""
    asset = session.get(Asset, asset_id)
    if asset is None:
        raise NotFound(f"There is no asset with id {asset_id}.")
    if not start < end <= start + _LONGEST:
        raise InvalidTime("Give a period of up to 32 days that ends after its start.")
    start = start.replace(second=0, microsecond=0)
    count = -((start - end) // _MINUTE)
    minutes = event_grid(start, _MINUTE, count)
    strictest, chosen = np.full(count, np.inf), np.full(count, -1)
    signals = _limits(session, asset_id, start, end)
    for number, signal in enumerate(signals):
        until = min(one for one in (signal.ends_at, signal.released_at, end) if one is not None)
        first = max(0, (signal.starts_at - start) // _MINUTE)
        last = min(count, -((start - until) // _MINUTE))
        stricter = strictest[first:last] > signal.value
        strictest[first:last][stricter] = signal.value
        chosen[first:last][stricter] = number
    measured = _measured_kw(session, asset, minutes, start, end)
    return _Minutes(start, signals, strictest, chosen, measured)


def _limits(session: Session, asset_id: int, start: datetime, end: datetime) -> list[GridSignal]:
    query = select(GridSignal).where(
        GridSignal.asset_id == asset_id,
        GridSignal.kind == str(SignalKind.IMPORT_LIMIT),
        GridSignal.starts_at < end,
        or_(GridSignal.ends_at.is_(None), GridSignal.ends_at > start),
        or_(GridSignal.released_at.is_(None), GridSignal.released_at > GridSignal.starts_at),
    )
    return list(session.scalars(query.order_by(GridSignal.starts_at, GridSignal.id)))


def _released(signal: GridSignal) -> str:
    """When it ended: as it was withdrawn, or by itself; empty while it may still hold."""
    ended = signal.released_at or signal.ends_at
    return "" if ended is None else format_instant(ended)


def _measured_kw(
    session: Session, asset: Asset, minutes: np.ndarray, start: datetime, end: datetime
) -> np.ndarray:
    """Power measured in each minute [kW], as the reading that covers it says; nan where there is none."""
    power = np.full(len(minutes), np.nan)
    if asset.power_sensor_id is None:
        return power
    window = PortfolioWindow(start, end, scheduled=False, max_horizon=timedelta(0))
    series = read_power(session, [asset.sensor], window)[asset.sensor.id]
    if not len(series.starts):
        return power
    lasts = np.timedelta64(max(asset.sensor.event_resolution, _MINUTE) // timedelta(microseconds=1), "us")
    before = np.searchsorted(series.starts, minutes, side="right") - 1
    covered = (before >= 0) & (minutes < series.starts[np.maximum(before, 0)] + lasts)
    power[covered] = series.values[before[covered]] * KW_PER_MW
    return power
