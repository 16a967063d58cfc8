"""Signals of the grid: those that hold for assets or for what they are parts of, many assets at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from flexmeasures.domain.coordination import Claim, GridSignals, SignalKind, Span

__all__ = ["SignalRow", "flexible_parts", "read_signals", "signal_rows"]

# An asset has to keep what is asked of itself and of all that it is a part of.
_SIGNALS = text("""
with recursive line as (
    select id as asset_id, id as holder_id, parent_id, capacity_in_mw from asset where id = any(:ids)
    union all
    select line.asset_id, asset.id, asset.parent_id, line.capacity_in_mw
    from line join asset on asset.id = line.parent_id)
select line.asset_id, line.holder_id, line.capacity_in_mw, signal.kind, signal.source, signal.event_id,
    signal.version, signal.priority, signal.value, signal.starts_at, signal.ends_at
from line join grid_signal as signal on signal.asset_id = line.holder_id
where signal.released_at is null and signal.starts_at < :end and (signal.ends_at is null or signal.ends_at > :start)
""")

_CAPACITIES = text("""
with recursive tree as (
    select id as holder_id, id from asset where id = any(:ids)
    union all
    select tree.holder_id, asset.id from tree join asset on asset.parent_id = tree.id)
select tree.holder_id, sum(asset.capacity_in_mw) from tree join asset using (id)
    join asset_type on asset_type.name = asset.asset_type_name
where asset.power_sensor_id is not null
    and (asset.flex_model is not null or asset_type.flex_model is not null or asset_type.name = any(:types))
group by 1
""")


@dataclass(frozen=True)
class SignalRow:
    """A signal of a holder as it concerns an asset; of a limit for a whole the asset has the share of its capacity."""

    asset_id: int
    holder_id: int
    kind: SignalKind
    source: str
    claim: Claim


def read_signals(
    session: Session,
    asset_ids: Sequence[int],
    window: tuple[datetime, datetime],
    flexible: Collection[str],
    own: bool = False,
) -> dict[int, GridSignals]:
    """Read what is asked of assets in a window.

    A limit of an asset that has parts is shared among its flexible parts by their capacity: whatever is planned for
    each of them, together they keep it.

    Args:
        session: For reading.
        asset_ids: The assets.
        window: Its start and end.
        flexible: Names of the asset types that are flexible without a flex model of their own.
        own: Only what is asked of the assets themselves, not of what they are parts of.

    Returns:
        By asset; only of those of which anything is asked.
    """
    rows: dict[int, list[tuple[SignalKind, str, Claim]]] = defaultdict(list)
    for row in signal_rows(session, asset_ids, window, flexible):
        if own and row.holder_id != row.asset_id:
            continue
        rows[row.asset_id].append((row.kind, row.source, row.claim))
    return {asset_id: GridSignals.of(claims) for asset_id, claims in rows.items()}


def signal_rows(
    session: Session, asset_ids: Sequence[int], window: tuple[datetime, datetime], flexible: Collection[str]
) -> Iterator[SignalRow]:
    """Read signals that touch a window, each as it concerns one asset; see `read_signals`."""
    start, end = window
    found = session.execute(_SIGNALS, {"ids": list(asset_ids), "start": start, "end": end}).all()
    holders = sorted({row.holder_id for row in found if row.holder_id != row.asset_id})
    capacities: dict[int, float] = {}
    if holders:
        wanted = {"ids": holders, "types": sorted(flexible)}
        capacities = {holder: float(total or 0) for holder, total in session.execute(_CAPACITIES, wanted)}
    for row in found:
        kind, share = SignalKind(row.kind), 1.0
        if row.holder_id != row.asset_id and kind is not SignalKind.PRICE_DELTA:
            total = capacities.get(row.holder_id, 0.0)
            share = (row.capacity_in_mw or 0.0) / total if total else 0.0
        span = Span(row.starts_at, row.ends_at, row.value * share, 0)
        # One source may limit an asset and what it is a part of: both hold, neither outranks the other.
        source = f"{row.source} {row.holder_id}"
        yield SignalRow(
            row.asset_id, row.holder_id, kind, source, Claim(span, row.event_id, row.version, row.priority)
        )


_PARTS = text("""
with recursive tree as (
    select id from asset where id = :id
    union all
    select asset.id from tree join asset on asset.parent_id = tree.id)
select asset.id, asset.power_sensor_id from tree join asset using (id)
    join asset_type on asset_type.name = asset.asset_type_name
where asset.power_sensor_id is not null
    and (asset.flex_model is not null or asset_type.flex_model is not null or asset_type.name = any(:types))
order by asset.id
""")


def flexible_parts(session: Session, asset_id: int, flexible: Collection[str]) -> dict[int, int]:
    """List an asset and its parts as far as they can be planned: the sensor of its power by asset."""
    rows = session.execute(_PARTS, {"id": asset_id, "types": sorted(flexible)})
    return {row.id: row.power_sensor_id for row in rows}
