"""The check: what was measured of late is looked at, and alerts are raised, kept up or ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores import alerts as store
from flexmeasures.data.stores.portfolio import PortfolioWindow, read_newest_event, read_series
from flexmeasures.data.tables import Alert, Asset, Sensor
from flexmeasures.domain.monitoring import (
    LOOK_BACK,
    REFERENCE,
    AlertKind,
    Finding,
    KnownAlert,
    WatchRule,
    inspect,
    reconcile,
)
from flexmeasures.services.monitoring.rules import ATTRIBUTE, rule_of

__all__ = ["Checked", "check_alerts"]

_AT_ONCE = 200
"""The series of so many sensors are held in memory together."""


@dataclass(frozen=True)
class Checked:
    """Outcome of a check: how many sensors were looked at, and how many alerts are new or over."""

    sensors: int
    raised: int
    ended: int


@dataclass(frozen=True)
class _Watched:
    sensor: Sensor
    asset: Asset
    rule: WatchRule


def check_alerts(session: Session, now: datetime) -> Checked:
    """Look at what all watched sensors measured of late, and raise, keep up and end alerts; the caller commits.

    Args:
        session: Within its transaction.
        now: The present; measurements of later events are not looked at.
    """
    known = store.lock_current_alerts(session, now - LOOK_BACK)
    watched = [
        _Watched(sensor, asset, rule)
        for sensor, asset in store.watched_sensors(session, ATTRIBUTE)
        if (rule := rule_of(sensor, asset)) is not None
    ]
    found: list[tuple[int, Finding]] = []
    for first in range(0, len(watched), _AT_ONCE):
        found += _inspect(session, watched[first : first + _AT_ONCE], now)
    changes = reconcile([_known(alert) for alert in known], found)
    rows = {alert.id: alert for alert in known}
    for alert_id, finding in changes.seen:
        _follow(rows[alert_id], finding)
    for alert_id in changes.ended:
        rows[alert_id].ended_at = max(now, rows[alert_id].started_at)
    session.add_all(
        Alert(
            sensor_id=sensor_id,
            kind=str(finding.kind),
            started_at=finding.start,
            ended_at=finding.end,
            value=finding.value,
            limit=finding.limit,
            found_at=now,
        )
        for sensor_id, finding in changes.new
    )
    session.flush()
    return Checked(len(watched), len(changes.new), len(changes.ended))


def _inspect(session: Session, watched: Sequence[_Watched], now: datetime) -> list[tuple[int, Finding]]:
    """Read and judge the measurements of some sensors, in two queries."""
    sensors = [one.sensor for one in watched]
    newest = read_newest_event(session, sensors, now)
    window = PortfolioWindow(now - REFERENCE, now, scheduled=False, max_horizon=timedelta(0))
    series = read_series(session, sensors, window)
    found = []
    for one in watched:
        sensor = one.sensor
        last = newest.get(sensor.id)
        last_end = None if last is None else last[0] + sensor.event_resolution
        found += [(sensor.id, finding) for finding in inspect(series[sensor.id], one.rule, now, last_end)]
    return found


def _known(alert: Alert) -> KnownAlert:
    key = (alert.sensor_id, AlertKind(alert.kind))
    return KnownAlert(alert.id, key, alert.started_at, alert.ended_at)


def _follow(alert: Alert, finding: Finding) -> None:
    """Bring an alert up to what was found this time; its start stays, because what lies far back is not looked at."""
    alert.started_at = min(alert.started_at, finding.start)
    alert.ended_at = finding.end
    if finding.value is not None and (
        alert.value is None
        or abs(finding.value - (finding.limit or 0.0)) > abs(alert.value - (alert.limit or 0.0))
    ):
        alert.value, alert.limit = finding.value, finding.limit
