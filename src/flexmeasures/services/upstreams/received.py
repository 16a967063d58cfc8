"""Events of an upstream: what is new becomes signals of the grid, what is gone releases them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, GridSignal, Market, Upstream, UpstreamEvent, UpstreamTarget
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.coordination import Claim, Rule, SignalKind, Span, least_dimmed_power_kw, overlay
from flexmeasures.domain.scheduling.flex_model import DOCUMENTED_FLEX_MODELS
from flexmeasures.domain.time import event_grid, next_event_start
from flexmeasures.domain.units import KW_PER_MW, conversion_factor

__all__ = ["PRICE", "Changes", "ReceivedEvent", "concerns", "load_first_receipts", "receive_events"]

PRICE = "price"
"""Absolute prices, beside the kinds of signals."""

_SECTION_14A = "14a"
_MOST_PRICES = 100_000
_LONGEST_PRICES = timedelta(days=14)
"""Prices without end are believed for so long."""


@dataclass(frozen=True, kw_only=True)
class ReceivedEvent:
    """An event as an upstream lists it, read into what it means.

    Attributes:
        version: When it was changed last.
        content: As it came.
        targets: Words that mean assets; None: all assets of the upstream.
        spans: What is asked: of `SignalKind` or `PRICE`, in MW and currency/MWh.
        problem: Why it cannot be read; it then asks nothing.
    """

    id: str
    version: datetime
    content: Mapping[str, Any]
    targets: frozenset[str] | None = None
    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    priority: int | None = None
    problem: str | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When the last of what it asks ends; None: without end, or nothing is asked."""
        ends = [span.end for spans in self.spans.values() for span in spans]
        return None if not ends or None in ends else max(end for end in ends if end is not None)


@dataclass(frozen=True)
class Changes:
    """What new events changed.

    Attributes:
        asset_ids: Assets that are to be planned anew.
        limiting: Events with limits that are to be acknowledged.
    """

    asset_ids: tuple[int, ...] = ()
    limiting: tuple[str, ...] = ()


def load_first_receipts(session: Session, upstream: Upstream) -> dict[tuple[str, datetime], datetime]:
    """Read when each version was received first, which is when an event "now" started."""
    query = select(UpstreamEvent.event_id, UpstreamEvent.version, UpstreamEvent.received_at)
    rows = session.execute(query.where(UpstreamEvent.upstream_id == upstream.id))
    return {(row.event_id, row.version): row.received_at for row in rows}


def receive_events(
    session: Session, upstream: Upstream, listed: Sequence[ReceivedEvent], now: datetime
) -> Changes:
    """Take the events that an upstream lists; the caller commits.

    Repeats and versions older than the known one change nothing; an event that is not listed any more releases what it
    asked.

    Args:
        session: Within its transaction.
        upstream: Who lists them, locked.
        listed: All of its events.
        now: When they came.
    """
    known = {
        row.event_id: row
        for row in session.scalars(select(UpstreamEvent).where(UpstreamEvent.upstream_id == upstream.id))
    }
    targets = session.scalars(select(UpstreamTarget).where(UpstreamTarget.upstream_id == upstream.id)).all()
    ids = {event.id for event in listed}
    gone = [row for row in known.values() if row.withdrawn_at is None and row.event_id not in ids]
    fresh = [event for event in _newest(listed) if _is_news(event, known.get(event.id))]
    changed = _release(session, upstream, [*(row.event_id for row in gone), *(one.id for one in fresh)], now)
    for row in gone:
        row.withdrawn_at = now
    limiting = []
    for event in fresh:
        _store(session, upstream, event, now)
        assets = [one.asset_id for one in targets if concerns(event, one)]
        changed |= _add_signals(session, upstream, event, assets, now)
        if assets and not {SignalKind.IMPORT_LIMIT, SignalKind.EXPORT_LIMIT}.isdisjoint(event.spans):
            limiting.append(event.id)
    if any(PRICE in event.spans for event in fresh):
        changed |= _believe_prices(session, upstream, listed, [one.asset_id for one in targets], now)
    return Changes(tuple(sorted(changed)), tuple(limiting))


def _newest(listed: Iterable[ReceivedEvent]) -> list[ReceivedEvent]:
    newest: dict[str, ReceivedEvent] = {}
    for event in listed:
        if event.id not in newest or event.version > newest[event.id].version:
            newest[event.id] = event
    return list(newest.values())


def _is_news(event: ReceivedEvent, row: UpstreamEvent | None) -> bool:
    return row is None or event.version > row.version or row.withdrawn_at is not None


def concerns(event: ReceivedEvent, target: UpstreamTarget) -> bool:
    """Tell whether an event is about an asset."""
    words = {target.resource_name, target.target, target.location_id, target.meter_point_id}
    return event.targets is None or not event.targets.isdisjoint(words - {None})


def _store(session: Session, upstream: Upstream, event: ReceivedEvent, now: datetime) -> None:
    values = {
        "version": event.version,
        "content": dict(event.content),
        "ends_at": event.ends_at,
        "received_at": now,
        "withdrawn_at": None,
        "problem": event.problem,
    }
    statement = insert(UpstreamEvent).values(upstream_id=upstream.id, event_id=event.id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["upstream_id", "event_id"], set_=values))


def _release(session: Session, upstream: Upstream, event_ids: Sequence[str], now: datetime) -> set[int]:
    """End what events ask; what has ended by itself stays as it was."""
    if not event_ids:
        return set()
    released = session.execute(
        update(GridSignal)
        .where(
            GridSignal.source == upstream.name,
            GridSignal.event_id.in_(event_ids),
            GridSignal.released_at.is_(None),
            or_(GridSignal.ends_at.is_(None), GridSignal.ends_at > now),
        )
        .values(released_at=now)
        .returning(GridSignal.asset_id)
    )
    return set(released.scalars())


def _add_signals(
    session: Session, upstream: Upstream, event: ReceivedEvent, asset_ids: Sequence[int], now: datetime
) -> set[int]:
    floors = _floors(session, upstream, asset_ids)
    touched: set[int] = set()
    for kind, spans in event.spans.items():
        for span in spans if kind != PRICE else ():
            if span.end is not None and span.end <= now:
                continue
            for asset_id in asset_ids:
                floor = floors.get(asset_id, 0.0) if kind == SignalKind.IMPORT_LIMIT else -np.inf
                session.add(
                    GridSignal(
                        asset_id=asset_id,
                        kind=str(kind),
                        value=max(span.value, floor),
                        starts_at=span.start,
                        ends_at=span.end,
                        source=upstream.name,
                        event_id=event.id,
                        version=event.version,
                        priority=event.priority,
                        legal_basis=upstream.legal_basis,
                        received_at=now,
                    )
                )
                touched.add(asset_id)
    session.flush()
    return touched


_COUNTS = text("""
with recursive tree as (
    select id as holder_id, id from asset where id = any(:ids)
    union all
    select tree.holder_id, asset.id from tree join asset on asset.parent_id = tree.id)
select tree.holder_id, count(*) as devices from tree join asset using (id)
    join asset_type on asset_type.name = asset.asset_type_name
where asset.power_sensor_id is not null
    and (asset.flex_model is not null or asset_type.flex_model is not null or asset_type.name = any(:types))
group by 1
""")


def _floors(session: Session, upstream: Upstream, asset_ids: Sequence[int]) -> dict[int, float]:
    """Find what must remain to each asset [MW] under § 14a EnWG, by the number of its controllable devices."""
    if _SECTION_14A not in (upstream.legal_basis or "") or not asset_ids:
        return {}
    wanted = {"ids": list(asset_ids), "types": sorted(DOCUMENTED_FLEX_MODELS)}
    counts = {row.holder_id: row.devices for row in session.execute(_COUNTS, wanted)}
    return {one: least_dimmed_power_kw(max(1, counts.get(one, 1))) / KW_PER_MW for one in asset_ids}


def _believe_prices(
    session: Session,
    upstream: Upstream,
    listed: Sequence[ReceivedEvent],
    asset_ids: Sequence[int],
    now: datetime,
) -> set[int]:
    """Store absolute prices as beliefs about the market; gives the assets of the upstream that pay its prices."""
    market = session.get(Market, upstream.market_id) if upstream.market_id is not None else None
    if market is None:
        return set()
    claims = [
        Claim(span, event.id, event.version, event.priority)
        for event in listed
        for span in event.spans.get(PRICE, ())
    ]
    sensor = market.sensor
    resolution = sensor.event_resolution
    origin = next_event_start(min(claim.span.start for claim in claims), resolution)
    last = max(claim.span.end or now + _LONGEST_PRICES for claim in claims)
    count = max(0, min((last - origin) // resolution, _MOST_PRICES))
    averages = overlay(claims, Rule.NEWEST).averages(origin, resolution, count)
    known = ~np.isnan(averages)
    starts = event_grid(origin, resolution, count)[known]
    currency = sensor.unit.partition("/")[0]
    values = averages[known] * conversion_factor(f"{currency}/MWh", sensor.unit)
    times = belief_times(starts, resolution, now)
    horizons = belief_horizons(sensor.knowledge_rule, starts, resolution, times)
    source = get_or_create_source(session, upstream.name, "crawler")
    beliefs = Beliefs(starts, values, horizons, np.full(len(starts), source.id, dtype=np.int32))
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)], InsertPolicy.REPLACE)
    query = select(Asset.id).where(Asset.id.in_(asset_ids), Asset.market_id == market.id)
    return set(session.scalars(query))
