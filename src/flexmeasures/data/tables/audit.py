"""The audit log: changes of accounts, users, roles, assets and sensors are noted in the transaction that makes them.

A listener of the session sees each changed row, whoever changed it: a service, a library's command or a plugin. What a
statement changes without loading rows, such as a deletion with all that belongs to an asset, is noted by its service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app, has_app_context
from sqlalchemy import event, insert, inspect, select
from sqlalchemy.orm import Session

from flexmeasures.data.tables.accounts import Account, AccountRole
from flexmeasures.data.tables.assets import Asset
from flexmeasures.data.tables.notes import AuditLog
from flexmeasures.data.tables.sensors import Sensor
from flexmeasures.data.tables.users import Role, User

__all__ = ["ACTING_USER", "AuditSubject", "note_change"]

ACTING_USER = "acting_user"
"""Key of the app's extensions under which a door puts a function that finds who is acting: a user's row, or None."""

_LONGEST_EVENT = 500
_LONGEST_VALUE = 100

_SHOWN = {
    Account: ("name", "consultancy_account_id"),
    User: ("email", "username", "active", "timezone", "account_id"),
    Role: ("name", "description", "permissions"),
    AccountRole: ("name", "description"),
    Asset: (
        *(
            "name",
            "display_name",
            "asset_type_name",
            "unit",
            "capacity_in_mw",
            "min_soc_in_mwh",
            "max_soc_in_mwh",
        ),
        *("latitude", "longitude", "owner_id", "account_id", "parent_id", "market_id", "power_sensor_id"),
        *("description", "external_id"),
    ),
    Sensor: ("name", "unit", "event_resolution", "timezone", "asset_id", "knowledge_horizon_fnc"),
}
"""Fields whose old and new values are noted."""

_NAMED = {
    Asset: ("attributes", "flex_model", "flex_context", "sensors_to_show", "sensors_to_show_as_kpis"),
    Sensor: ("attributes", "knowledge_horizon_par"),
}
"""Fields of which only the change is noted: their values are long, and may be anything."""


@dataclass(frozen=True)
class AuditSubject:
    """Rows that an entry concerns, by id."""

    account_id: int | None = None
    user_id: int | None = None
    asset_id: int | None = None
    sensor_id: int | None = None


def note_change(session: Session, text: str, about: AuditSubject, now: datetime | None = None) -> None:
    """Write an entry of the audit log, within the session's transaction.

    Args:
        session: Within its transaction.
        text: What was done, as a sentence without secrets.
        about: What it concerns.
        now: When; the present if left out.
    """
    _write(session, [(text, about)], now or datetime.now(UTC))


def _write(session: Session, entries: list[tuple[str, AuditSubject]], now: datetime) -> None:
    user_id, name = _find_acting_user(session)
    rows = [
        {
            "event_datetime": now,
            "event": text[:_LONGEST_EVENT],
            "active_user_id": user_id,
            "active_user_name": name,
            **asdict(about),
        }
        for text, about in entries
    ]
    session.connection().execute(insert(AuditLog), rows)


def _find_acting_user(session: Session) -> tuple[int | None, str | None]:
    """Find the id and the name of who is acting; neither for a command or a program."""
    find = current_app.extensions.get(ACTING_USER) if has_app_context() else None
    user = find() if find is not None else None
    identity = None if user is None else inspect(user).identity
    if identity is None:
        return None, None
    query = select(User.username).where(User.id == identity[0])
    return identity[0], session.connection().scalar(query)


@event.listens_for(Session, "after_flush")
def _note_changes(session: Session, _context: Any) -> None:
    """Note what a flush has stored of the rows that the log is about."""
    entries = [
        *(entry for row in session.new if type(row) in _SHOWN for entry in _describe_new(row)),
        *(entry for row in session.dirty if type(row) in _SHOWN for entry in _describe_changes(row)),
        *((f"Deleted {_name(row)}", _subject(row)) for row in session.deleted if type(row) in _SHOWN),
    ]
    if entries:
        _write(session, entries, datetime.now(UTC))


def _describe_new(row: Any) -> Iterator[tuple[str, AuditSubject]]:
    yield f"Created {_name(row)}", _subject(row)
    names = [role.name for role in row.roles] if isinstance(row, User | Account) else []
    if names:
        yield f"Roles of {_name(row)} added: {', '.join(names)}", _subject(row)


def _describe_changes(row: Any) -> Iterator[tuple[str, AuditSubject]]:
    state = inspect(row)
    about = _subject(row)
    for field in _SHOWN[type(row)]:
        history = state.attrs[field].history
        if history.has_changes() and history.deleted:
            old, new = (_shown(values[0] if values else None) for values in (history.deleted, history.added))
            yield f"Updated: {field}, From: {old}, To: {new}", about
        elif history.has_changes():
            yield f"Updated: {field}, To: {_shown(history.added[0])}", about
    for field in _NAMED.get(type(row), ()):
        if state.attrs[field].history.has_changes():
            yield f"Updated: {field}", about
    if isinstance(row, User) and state.attrs.password.history.has_changes():
        yield f"Changed the password of {_name(row)}", about
    if isinstance(row, User | Account):
        history = state.attrs.roles.history
        for verb, roles in (("added", history.added), ("removed", history.deleted)):
            if roles:
                yield f"Roles of {_name(row)} {verb}: {', '.join(role.name for role in roles)}", about


def _name(row: Any) -> str:
    """Name a row as people do: its kind, its name and its id.

    >>> _name(Asset(id=5, name="battery"))
    "asset 'battery': 5"
    """
    kinds = {
        Account: "account",
        User: "user",
        Role: "role",
        AccountRole: "account role",
        Asset: "asset",
        Sensor: "sensor",
    }
    name = row.username if isinstance(row, User) else row.name
    return f"{kinds[type(row)]} '{_shown(name)}': {row.id}"


def _subject(row: Any) -> AuditSubject:
    if isinstance(row, Account):
        return AuditSubject(account_id=row.id)
    if isinstance(row, User):
        return AuditSubject(account_id=row.account_id, user_id=row.id)
    if isinstance(row, Asset):
        return AuditSubject(account_id=row.account_id, asset_id=row.id)
    if isinstance(row, Sensor):
        return AuditSubject(asset_id=row.asset_id, sensor_id=row.id)
    return AuditSubject()


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
