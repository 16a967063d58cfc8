"""Reading the audit log, and noting logins that fail; changes of rows are noted by `data.tables.audit`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, AuditLog, AuditSubject, User, note_change
from flexmeasures.domain.rights import ACCOUNT_RULES, Action, Kind, Thing, may
from flexmeasures.services.rights import actor_of

__all__ = [
    "AuditEntry",
    "AuditQuestion",
    "list_audit_entries",
    "list_readable_audit_entries",
    "note_failed_login",
    "note_locked_login",
]


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the audit log.

    Attributes:
        at: When it was done.
        event: What was done, as a sentence.
        active_user_id: Who did it; None: a command, a program, or somebody who was not logged in.
    """

    at: datetime
    event: str
    active_user_id: int | None
    active_user_name: str | None
    account_id: int | None
    user_id: int | None
    asset_id: int | None
    sensor_id: int | None


@dataclass(frozen=True)
class AuditQuestion:
    """Selection of entries; what is None does not limit it.

    Attributes:
        account_id: About this account, its users, its assets and their sensors.
        asset_id: About this asset and its sensors.
        start: From this instant on ...
        end: ... and before this one.
    """

    account_id: int | None = None
    user_id: int | None = None
    asset_id: int | None = None
    sensor_id: int | None = None
    start: datetime | None = None
    end: datetime | None = None


def list_audit_entries(
    session: Session, question: AuditQuestion, limit: int = 100, offset: int = 0
) -> list[AuditEntry]:
    """List entries, the newest first; for operators, who may read all of them."""
    return _list(session, question, true(), limit, offset)


def list_readable_audit_entries(
    session: Session, reader: User, question: AuditQuestion, limit: int = 100, offset: int = 0
) -> list[AuditEntry]:
    """List entries that a user may read, the newest first.

    Admins and readers for admins read everything, admins and consultants of an account what concerns it, and everybody
    what concerns or was done by themselves.
    """
    actor = actor_of(reader)
    if may(actor, Action.READ, Thing(Kind.LOG), ACCOUNT_RULES):
        return _list(session, question, true(), limit, offset)
    led = [
        account_id
        for account_id in {actor.account_id, *actor.client_ids}
        if may(actor, Action.READ, Thing(Kind.LOG, account_id), ACCOUNT_RULES)
    ]
    readable = or_(
        *(_about_account(account_id) for account_id in sorted(led)),
        AuditLog.user_id == actor.user_id,
        AuditLog.active_user_id == actor.user_id,
    )
    return _list(session, question, readable, limit, offset)


def _list(
    session: Session, question: AuditQuestion, readable: ColumnElement[bool], limit: int, offset: int
) -> list[AuditEntry]:
    query = select(AuditLog).where(readable)
    if question.account_id is not None:
        query = query.where(_about_account(question.account_id))
    if question.start is not None:
        query = query.where(AuditLog.event_datetime >= question.start)
    if question.end is not None:
        query = query.where(AuditLog.event_datetime < question.end)
    named = {"user_id": question.user_id, "asset_id": question.asset_id, "sensor_id": question.sensor_id}
    query = query.filter_by(**{name: number for name, number in named.items() if number is not None})
    newest = query.order_by(AuditLog.event_datetime.desc(), AuditLog.id.desc()).limit(limit).offset(offset)
    return [
        AuditEntry(
            at=row.event_datetime,
            event=row.event,
            active_user_id=row.active_user_id,
            active_user_name=row.active_user_name,
            account_id=row.account_id,
            user_id=row.user_id,
            asset_id=row.asset_id,
            sensor_id=row.sensor_id,
        )
        for row in session.scalars(newest)
    ]


def _about_account(account_id: int) -> ColumnElement[bool]:
    """Find what concerns an account, its users or its assets; entries of sensors name their asset only."""
    assets = select(Asset.id).where(Asset.account_id == account_id)
    return or_(AuditLog.account_id == account_id, AuditLog.asset_id.in_(assets))


def note_failed_login(session: Session, user_id: int, now: datetime) -> None:
    """Note that somebody gave a wrong password for a user; the caller commits."""
    _note_login(session, "Login of user {} failed: wrong password", user_id, now)


def note_locked_login(session: Session, user_id: int, now: datetime) -> None:
    """Note that nobody may try to log in as a user for a while, after too many attempts; the caller commits."""
    _note_login(
        session, "Login of user {} is locked for a while: too many attempts have failed", user_id, now
    )


def _note_login(session: Session, text: str, user_id: int, now: datetime) -> None:
    user = session.get(User, user_id)
    if user is not None:
        named = f"'{user.username}': {user.id}"
        note_change(session, text.format(named), AuditSubject(user.account_id, user.id), now)
