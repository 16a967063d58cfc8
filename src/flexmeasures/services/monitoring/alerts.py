"""Alerts for people: which there are, what they say, and that somebody took note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from flexmeasures.data.stores import alerts as store
from flexmeasures.data.tables import Alert, Asset, User
from flexmeasures.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from flexmeasures.domain.monitoring import AlertKind, describe
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.rights import OWNER_RULES, Action
from flexmeasures.services.rights import may_with, owner_scope

__all__ = [
    "STATES",
    "AlertLine",
    "State",
    "acknowledge_alert",
    "acknowledge_all",
    "count_waiting",
    "list_alerts",
    "list_unmailed",
]

State = Literal["waiting", "ongoing", "all"]

STATES: tuple[State, ...] = ("waiting", "ongoing", "all")
"""Which alerts can be asked for: those nobody took note of, those that go on, or all."""

LONGEST_NOTE = 500
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class AlertLine:
    """An alert, with what people want to know of it.

    Attributes:
        kind: What it is about.
        unit: Of `value` and `limit`.
        acknowledged_at: When somebody took note; None: nobody has.
    """

    id: int
    kind: AlertKind
    asset_id: int
    asset_name: str
    sensor_id: int
    sensor_name: str
    unit: str
    started_at: datetime
    ended_at: datetime | None
    value: float | None
    limit: float | None
    acknowledged_at: datetime | None
    note: str | None

    @property
    def is_ongoing(self) -> bool:
        """Tell whether it goes on."""
        return self.ended_at is None

    @property
    def words(self) -> str:
        """Description of the finding for people."""
        return describe(self.kind, self.value, self.limit, self.unit)


def list_alerts(
    session: Session, user: User | None, state: str = "waiting", kind: str | None = None, most: int = 500
) -> list[AlertLine]:
    """List alerts that a user may see; first those that nobody took note of and that go on, the newest first.

    Args:
        session: For reading.
        user: Who asks; None: a command, which sees all.
        state: One of `STATES`.
        kind: Only of this kind.
        most: How many at most.

    Raises:
        InvalidInput: If there is no such state or kind.
    """
    if state not in STATES:
        raise InvalidInput(f"Alerts are never {quote(state)}. They are {', '.join(STATES)}.")
    if kind is not None and kind not in list(AlertKind):
        raise InvalidInput(f"There are no alerts of kind {quote(kind)}. Kinds are {', '.join(AlertKind)}.")
    conditions: list[ColumnElement[bool]] = []
    if state == "waiting":
        conditions.append(Alert.acknowledged_at.is_(None))
    elif state == "ongoing":
        conditions.append(Alert.ended_at.is_(None))
    if kind is not None:
        conditions.append(Alert.kind == kind)
    rows = store.read_alerts(session, _scope(user), *conditions, most=most)
    return [_line(alert, asset) for alert, asset in rows]


def count_waiting(session: Session, user: User) -> int:
    """Count the alerts of a user's assets that nobody took note of."""
    return store.count_waiting(session, _scope(user))


def acknowledge_alert(
    session: Session, user: User | None, alert_id: int, now: datetime, note: str = ""
) -> None:
    """Note that somebody took note of an alert; the caller commits.

    Raises:
        NotFound: If there is no such alert that the user may see.
        NotAllowed: If the user may see the asset, but not change it.
        Conflict: If somebody took note of it already.
        InvalidInput: If the note is too long.
    """
    if len(note) > LONGEST_NOTE:
        raise InvalidInput(f"The note has {len(note)} characters. Write at most {LONGEST_NOTE}.")
    found = store.find_alert(session, alert_id, _scope(user)) if 0 < alert_id <= MAX_ID else None
    if found is None:
        raise NotFound(f"There is no alert {alert_id}.")
    alert, asset = found
    if user is not None and not may_with(user, Action.UPDATE, asset, OWNER_RULES):
        raise NotAllowed("You may look at this alert, but not acknowledge it.")
    session.refresh(alert, with_for_update=True)
    if alert.acknowledged_at is not None:
        raise Conflict(f"Alert {alert_id} was acknowledged already.")
    _acknowledge(alert, user, now, note.strip())


def acknowledge_all(session: Session, user: User, now: datetime) -> int:
    """Note that a user took note of all alerts of assets that the user may change; the caller commits.

    Returns:
        How many there were.
    """
    rows = store.read_alerts(session, _scope(user), Alert.acknowledged_at.is_(None), lock=True)
    mine = [alert for alert, asset in rows if may_with(user, Action.UPDATE, asset, OWNER_RULES)]
    for alert in mine:
        _acknowledge(alert, user, now, "")
    return len(mine)


def _acknowledge(alert: Alert, user: User | None, now: datetime, note: str) -> None:
    alert.acknowledged_at, alert.note = now, note or None
    alert.acknowledged_by = None if user is None else user.id


def list_unmailed(session: Session, since: datetime) -> Sequence[tuple[Alert, Asset]]:
    """List alerts found after an instant that nobody took note of, and of which the owner was not told by mail."""
    conditions = (Alert.mailed_at.is_(None), Alert.acknowledged_at.is_(None), Alert.found_at >= since)
    return store.read_alerts(session, None, *conditions)


def _scope(user: User | None) -> int | None:
    return None if user is None else owner_scope(user)


def _line(alert: Alert, asset: Asset) -> AlertLine:
    return AlertLine(
        alert.id,
        AlertKind(alert.kind),
        asset.id,
        asset.display_name or asset.name,
        alert.sensor_id,
        alert.sensor.name or "power",
        alert.sensor.unit,
        alert.started_at,
        alert.ended_at,
        alert.value,
        alert.limit,
        alert.acknowledged_at,
        alert.note,
    )
