"""What an upstream is told: whether its limits will be kept, and how much energy was used during its events."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.grid_signals import flexible_parts, read_signals
from flexmeasures.data.stores.plans import latest_device_plans
from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.tables import Asset, GridSignal, Upstream, UpstreamReport, UpstreamTarget
from flexmeasures.domain.coordination import SignalKind
from flexmeasures.domain.scheduling.flex_model import DOCUMENTED_FLEX_MODELS
from flexmeasures.domain.time import format_instant, to_datetime64
from flexmeasures.domain.units import KWH_PER_MWH
from flexmeasures.services.power import read_power
from flexmeasures.services.upstreams.received import ReceivedEvent, concerns

__all__ = ["ACKNOWLEDGEMENT", "USAGE", "acknowledge", "due_reports", "note_answer", "report_usage"]

ACKNOWLEDGEMENT, USAGE = "acknowledgement", "usage"

_TOLERANCE_MW = 1e-6
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=10), timedelta(hours=1)


def acknowledge(session: Session, upstream: Upstream, event_ids: Sequence[str], now: datetime) -> None:
    """Say of new limits which assets will keep them: those whose plans do, in each slot. The caller commits."""
    for event_id in event_ids:
        query = select(GridSignal.asset_id).where(
            GridSignal.source == upstream.name,
            GridSignal.event_id == event_id,
            GridSignal.released_at.is_(None),
        )
        asset_ids = sorted(set(session.scalars(query)))
        targets = _targets(session, upstream, asset_ids)
        promised = {one.resource_name: _keeps_limits(session, one.asset_id, now) for one in targets}
        if promised:
            _file(session, upstream, event_id, ACKNOWLEDGEMENT, {"promised": promised}, now)


def _targets(session: Session, upstream: Upstream, asset_ids: Sequence[int]) -> Sequence[UpstreamTarget]:
    query = select(UpstreamTarget).where(
        UpstreamTarget.upstream_id == upstream.id, UpstreamTarget.asset_id.in_(asset_ids)
    )
    return session.scalars(query.order_by(UpstreamTarget.resource_name)).all()


def _keeps_limits(session: Session, asset_id: int, now: datetime) -> bool:
    """Tell whether the plans of an asset, or of all its flexible parts, keep every limit from now on."""
    sensors = flexible_parts(session, asset_id, DOCUMENTED_FLEX_MODELS)
    plans = latest_device_plans(session, list(sensors.values()))
    if not sensors or len(plans) < len(sensors):
        return False
    for part_id, sensor_id in sensors.items():
        device = plans[sensor_id]
        plan, power = device.plan, np.asarray(device.power_mw, dtype=float)
        end = plan.start + power.size * plan.resolution
        if not plan.start <= now < end:
            return False
        signals = read_signals(session, [part_id], (plan.start, end), DOCUMENTED_FLEX_MODELS).get(part_id)
        if signals is None:
            continue
        slots = (plan.start, plan.resolution, power.size)
        high = signals.limit(SignalKind.IMPORT_LIMIT, *slots) + _TOLERANCE_MW
        low = -signals.limit(SignalKind.EXPORT_LIMIT, *slots) - _TOLERANCE_MW
        if np.any(power > high) or np.any(power < low):
            return False
    return True


def report_usage(session: Session, upstream: Upstream, event: ReceivedEvent, now: datetime) -> None:
    """Build the report about an event that has ended, and file it if it differs from what was sent.

    Energy is what was measured in each interval [kWh, consumption positive]; intervals with gaps are left out. When
    readings are corrected or completed the report changes, and is sent again. The caller commits.
    """
    spans = next(iter(event.spans.values()), ())
    if not spans or any(span.end is None or span.end > now for span in spans):
        return
    query = select(UpstreamTarget).where(UpstreamTarget.upstream_id == upstream.id)
    rows = session.scalars(query.order_by(UpstreamTarget.resource_name))
    targets = [target for target in rows if concerns(event, target)]
    assets = {
        one.id: one
        for one in session.scalars(select(Asset).where(Asset.id.in_([t.asset_id for t in targets])))
        if one.power_sensor_id is not None
    }
    window = PortfolioWindow(
        min(span.start for span in spans),
        max(span.end for span in spans if span.end is not None),
        scheduled=False,
        max_horizon=timedelta(0),
    )
    measured = read_power(session, [asset.sensor for asset in assets.values()], window)
    resources = {}
    for target in targets:
        asset = assets.get(target.asset_id)
        if asset is None:
            continue
        series = measured[asset.sensor.id]
        energies = [
            [span.interval_id, format_instant(span.start), energy]
            for span in spans
            if (energy := _energy_kwh(series.starts, series.values, asset.sensor.event_resolution, span))
            is not None
        ]
        if energies:
            resources[target.resource_name] = energies
    if resources:
        lasts = (spans[0].end or now) - spans[0].start
        content = {"resources": resources, "seconds": int(lasts.total_seconds())}
        _file(session, upstream, event.id, USAGE, content, now)


def _energy_kwh(starts: Any, values: Any, resolution: timedelta, span: Any) -> float | None:
    """Add up what was measured in an interval [kWh]; None if anything of it is missing."""
    count = (span.end - span.start) // resolution
    inside = (starts >= to_datetime64(span.start)) & (starts < to_datetime64(span.end)) & np.isfinite(values)
    if count < 1 or int(inside.sum()) < count:
        return None
    return round(float(values[inside].sum() * (resolution / timedelta(hours=1)) * KWH_PER_MWH), 6)


def _file(
    session: Session, upstream: Upstream, event_id: str, kind: str, content: dict[str, Any], now: datetime
) -> None:
    """Have a report sent, unless the upstream has it as it is."""
    query = select(UpstreamReport).where(
        UpstreamReport.upstream_id == upstream.id,
        UpstreamReport.event_id == event_id,
        UpstreamReport.kind == kind,
    )
    report = session.scalar(query)
    if report is None:
        report = UpstreamReport(upstream_id=upstream.id, event_id=event_id, kind=kind)
        session.add(report)
    elif report.content == content:
        return
    report.content, report.due_at, report.attempts, report.answer = content, now, 0, None
    session.flush()


def due_reports(session: Session, upstream: Upstream, now: datetime) -> Sequence[UpstreamReport]:
    """List what is to be sent, acknowledgements first."""
    query = (
        select(UpstreamReport)
        .where(UpstreamReport.upstream_id == upstream.id, UpstreamReport.due_at <= now)
        .order_by(UpstreamReport.kind, UpstreamReport.id)
    )
    return session.scalars(query).all()


def note_answer(
    report: UpstreamReport, now: datetime, answer: Mapping[str, Any] | None, problem: str | None
) -> None:
    """Note that a report was taken, or why not: then it is sent again, later each time."""
    report.attempts = (report.attempts or 0) + 1
    if problem is not None:
        report.answer = problem[:500]
        report.due_at = now + min(_FIRST_WAIT * int(2 ** min(report.attempts - 1, 12)), _LONGEST_WAIT)
        return
    report.digest = hashlib.sha256(orjson.dumps(report.content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    report.remote_id = str(answer["id"])[:128] if answer and answer.get("id") else report.remote_id
    report.due_at, report.sent_at, report.answer = None, now, None
