"""The journal: every message received and every message to be sent, as signed bytes, with what became of it.

It is inbox, outbox and audit log in one table. A message answered with HTTP 200 is in it; a message handed to the
outbox is in it until it is delivered or given up; nothing is ever deleted except by `Journal.forget_before`.
Times are seconds since 1970 in UTC.
"""

# ruff: noqa: S608  the parts of statements are constants of this module; every value is a parameter

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from shapeshifter_uftp.exceptions import JournalInUse
from shapeshifter_uftp.store.database import Database, ensure_table
from shapeshifter_uftp.store.partners import Partners
from shapeshifter_uftp.uftp.enumerations import UsefRole

__all__ = ["Arrival", "Direction", "Entry", "Journal", "State", "Waiting"]


class Direction(StrEnum):
    """Direction of a message."""

    IN = "in"
    OUT = "out"


class State(StrEnum):
    """State of a message.

    Incoming: NEW is stored, DONE was handled, FAILED could not be handled. Outgoing: NEW waits, DONE was taken by the
    partner, FAILED was refused or given up, EXPIRED was no longer worth sending, or not answered in time.
    """

    NEW = "new"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class Arrival(StrEnum):
    """Novelty of an incoming message."""

    FIRST = "first"
    REPEATED = "repeated"
    CONFLICTING = "conflicting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message in the journal.

    Attributes:
        owner: Whose journal: our domain and role.
        direction: Whether it came or goes.
        partner_domain: The other side's domain.
        partner_role: The other side's role.
        message_type: XML name of the message.
        message_id: Its id.
        conversation_id: Its conversation.
        reference_id: Id of the message that it answers or follows.
        topic: What it is about, where revisions or overviews need it: place and day.
        revision: Its revision, where it has one.
        envelope: The signed bytes as they travel.
        at: When it was received, or queued.
        seq: Its number in the journal.
        state: What became of it.
        outcome: Accepted or Rejected, by whoever received it; None when not known yet.
        reason: Why it was rejected or could not be handled or sent.
        answer: The signed body with which the request was answered, for peers that want one.
        attempts: How often handling or sending was tried.
        next_at: When to try next; when it was delivered, once it is.
        expires_at: When sending is no longer worth while.
        last_status: The partner's last HTTP status.
    """

    owner: str
    direction: Direction
    partner_domain: str
    partner_role: UsefRole
    message_type: str
    message_id: str
    conversation_id: str
    reference_id: str | None = None
    topic: str | None = None
    revision: int | None = None
    envelope: bytes
    at: float
    seq: int = 0
    state: State = State.NEW
    outcome: str | None = None
    reason: str | None = None
    answer: bytes | None = None
    attempts: int = 0
    next_at: float = 0.0
    expires_at: float | None = None
    last_status: int | None = None

    @property
    def partner(self) -> tuple[str, UsefRole]:
        """The other side."""
        return self.partner_domain, self.partner_role

    @property
    def waiting(self) -> Waiting:
        """Return the key of the messages that must follow this one."""
        return Waiting(self.seq, self.conversation_id, self.message_type, self.topic, self.next_at)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits, without its bytes; the attributes are those of `Entry`."""

    seq: int
    conversation_id: str
    message_type: str
    topic: str | None
    next_at: float


_COLUMNS = [name for name in Entry.__dataclass_fields__ if name != "seq"]
_INSERT = (
    f"INSERT INTO uftp_message ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"
)
_TYPES = {
    "sqlite": {"seq": "INTEGER PRIMARY KEY AUTOINCREMENT", "blob": "BLOB"},
    "postgresql": {"seq": "BIGSERIAL PRIMARY KEY", "blob": "BYTEA"},
    "mysql": {"seq": "BIGINT AUTO_INCREMENT PRIMARY KEY", "blob": "LONGBLOB"},
}
_TABLE = """CREATE TABLE uftp_message (
    seq {seq}, owner VARCHAR(300) NOT NULL, direction VARCHAR(3) NOT NULL, partner_domain VARCHAR(255) NOT NULL,
    partner_role VARCHAR(3) NOT NULL, message_type VARCHAR(40) NOT NULL, message_id VARCHAR(36) NOT NULL,
    conversation_id VARCHAR(36) NOT NULL, reference_id VARCHAR(36), topic VARCHAR(600), revision BIGINT,
    envelope {blob} NOT NULL, at DOUBLE PRECISION NOT NULL, state VARCHAR(8) NOT NULL, outcome VARCHAR(8), reason TEXT,
    answer {blob}, attempts INTEGER NOT NULL, next_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION,
    last_status INTEGER, UNIQUE (owner, direction, message_id, partner_domain))"""
_INDEXES = (
    "CREATE INDEX uftp_message_waiting ON uftp_message (owner, state, direction, partner_domain, partner_role, seq)",
    "CREATE INDEX uftp_message_reference ON uftp_message (reference_id)",
    "CREATE INDEX uftp_message_topic ON uftp_message (topic)",
)
_DUE_INDEX = (
    "CREATE INDEX IF NOT EXISTS uftp_message_due"
    " ON uftp_message (owner, state, direction, partner_domain, partner_role, next_at)"
)
"""Tells for every partner when its next message is due; made where an earlier version did not make it."""


def _entry(row: Mapping[str, Any]) -> Entry:
    values = {name: row[name] for name in ("seq", *_COLUMNS)}
    values["direction"], values["state"] = Direction(row["direction"]), State(row["state"])
    values["partner_role"] = UsefRole(row["partner_role"])
    values["envelope"] = bytes(row["envelope"])
    return Entry(**values)


class Journal:
    """The durable memory of one participant; several may share a database."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self.owner = database, owner
        self.changed = threading.Condition()
        """Notified whenever something is stored, so that workers need not poll."""
        self.woken: dict[Direction, set[tuple[str, UsefRole] | None]] = {way: set() for way in Direction}
        """For whom something was stored since a worker looked; None: for anybody."""
        table = _TABLE.format(**_TYPES.get(database.dialect, _TYPES["postgresql"]))
        ensure_table(database, "uftp_message", (table, *_INDEXES))
        if database.dialect != "mysql":  # which does not know IF NOT EXISTS here
            with database.transaction() as run:
                run(_DUE_INDEX)
        self._claim = database.claim(owner)
        self.partners = Partners(database, owner)
        """List the faulty partners."""

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """The errors that mean that the database is away, or cannot do what it should."""
        return self._database.faults

    def claim(self) -> None:
        """Take the journal for this process: only one may handle and deliver its messages.

        Raises:
            JournalInUse: Another process, or another service of this one, has it.
        """
        if not self._claim.take():
            raise JournalInUse(
                f"The journal of {self.owner} in {self._database.place} is in use by another running service: stop that"
                " one first, or give each its own journal"
            )

    def is_claimed(self) -> bool:
        """Tell whether the journal is still ours; after a restart of the database another process may have it."""
        return self._claim.holds()

    def release(self) -> None:
        """Let another process have the journal."""
        self._claim.release()

    def close(self) -> None:
        """Close the database."""
        self._claim.release()
        self._database.close()

    def notify(self, direction: Direction | None = None, partner: tuple[str, UsefRole] | None = None) -> None:
        """Wake the workers: something waits for a partner, or, without one, it is time to look."""
        with self.changed:
            for way in Direction if direction is None else (direction,):
                self.woken[way].add(partner)
            self.changed.notify_all()

    # --- storing -----------------------------------------------------------------------------------------------------

    def add_received(self, entry: Entry) -> Arrival:
        """Keep a received message; when this returns, it survives the death of the process."""
        if not self._database.add(_INSERT, _values(entry)):
            known = self.find(Direction.IN, entry.message_id, entry.partner_domain)
            same = known is not None and known.envelope == entry.envelope
            return Arrival.REPEATED if same else Arrival.CONFLICTING
        self.notify(Direction.IN, entry.partner)
        return Arrival.FIRST

    def add_outgoing(self, entries: Iterable[Entry]) -> None:
        """Keep messages to be sent. A message that is kept already, for the same partner, is not added twice."""
        for entry in entries:
            self._database.add(_INSERT, _values(entry))
        self.notify(Direction.OUT)

    def add_sent(self, entry: Entry) -> None:
        """Keep a message that a client sends by itself, once: the outbox has nothing to do with it."""
        self._database.add(_INSERT, _values(replace(entry, state=State.DONE)))

    def finish(
        self,
        entry: Entry,
        outcome: str | None,
        reason: str | None,
        replies: Iterable[Entry] = (),
        state: State = State.DONE,
    ) -> None:
        """Mark a received message as over and keep the replies, in one transaction: neither without the other."""
        listed = list(replies)
        with self._database.transaction(lasting=False) as run:
            run(
                "UPDATE uftp_message SET state = :state, outcome = :outcome, reason = :reason WHERE seq = :seq",
                state=str(state), outcome=outcome, reason=reason, seq=entry.seq,
            )  # fmt: skip
            for reply in listed:
                run(_INSERT, **_values(reply))
        for partner in {reply.partner for reply in listed}:
            self.notify(Direction.OUT, partner)

    def remember_answer(self, message_id: str, partner_domain: str, answer: bytes, outcome: str) -> None:
        """Keep the signed body with which a received message was answered, and release the message for handling."""
        with self._database.transaction(lasting=False) as run:
            run(
                "UPDATE uftp_message SET answer = :answer, outcome = :outcome, next_at = 0 WHERE owner = :owner"
                " AND direction = 'in' AND message_id = :message_id AND partner_domain = :partner_domain",
                answer=answer, outcome=outcome, owner=self.owner, message_id=message_id,
                partner_domain=partner_domain,
            )  # fmt: skip
        self.notify()

    def mark(
        self,
        entry: Entry,
        state: State,
        *,
        status: int | None = None,
        reason: str | None = None,
        at: float | None = None,
    ) -> None:
        """Say what became of a message in the end, and when it was delivered."""
        with self._database.transaction(lasting=False) as run:
            run(
                "UPDATE uftp_message SET state = :state, last_status = :status, reason = :reason,"
                " attempts = attempts + 1, next_at = :at WHERE seq = :seq",
                state=str(state), status=status, reason=reason, at=entry.next_at if at is None else at, seq=entry.seq,
            )  # fmt: skip

    def sent_in_vain(self, message_id: str, partner_domain: str, reason: str) -> None:
        """Note that a message which a client sent by itself did not get through."""
        with self._database.transaction(lasting=False) as run:
            run(
                "UPDATE uftp_message SET state = 'failed', reason = :reason WHERE owner = :owner"
                " AND direction = 'out' AND message_id = :message_id AND partner_domain = :partner_domain",
                reason=reason, owner=self.owner, message_id=message_id, partner_domain=partner_domain,
            )  # fmt: skip

    def postpone(
        self, entry: Entry, until: float, *, status: int | None = None, reason: str | None = None
    ) -> None:
        """Try a message again later."""
        with self._database.transaction(lasting=False) as run:
            run(
                "UPDATE uftp_message SET next_at = :until, last_status = :status, reason = :reason,"
                " attempts = attempts + 1 WHERE seq = :seq",
                until=until, status=status, reason=reason, seq=entry.seq,
            )  # fmt: skip

    def hold(self, entry: Entry, until: float) -> None:
        """Let a message wait for an earlier one; that is not an attempt."""
        with self._database.transaction(lasting=False) as run:
            run("UPDATE uftp_message SET next_at = :until WHERE seq = :seq", until=until, seq=entry.seq)

    def try_again(self, direction: Direction, now: float, message_id: str | None = None) -> int:
        """Take up what failed for good, and what waits for its next attempt, as if it had just come.

        What was rejected in its failing stays as it is: the partner has been told, and sends a new message.

        Args:
            direction: Of the messages.
            now: Seconds since 1970.
            message_id: The message meant; None: all.

        Returns:
            The number of messages taken up.
        """
        condition = (
            "owner = :owner AND direction = :direction AND (state = 'new' AND attempts > 0"
            " OR state = 'failed' AND outcome IS NULL)"
            + (" AND message_id = :message_id" if message_id else "")
        )
        values: dict[str, Any] = {"owner": self.owner, "direction": str(direction)}
        values |= {"message_id": message_id.lower()} if message_id else {}
        with self._database.transaction() as run:
            count = int(run(f"SELECT COUNT(*) AS n FROM uftp_message WHERE {condition}", **values)[0]["n"])
            # When it came stays; how long sending is worth while counts anew.
            run(
                "UPDATE uftp_message SET state = 'new', attempts = 0, next_at = 0,"
                f" at = CASE WHEN direction = 'out' THEN :now ELSE at END WHERE {condition}",
                now=now, **values,
            )  # fmt: skip
            # What was held back by them is due with them.
            run(
                "UPDATE uftp_message SET next_at = 0 WHERE owner = :owner AND direction = :direction"
                " AND state = 'new' AND attempts = 0 AND answer IS NULL AND next_at > 0 AND 0 < :count",
                owner=self.owner, direction=str(direction), count=count,
            )  # fmt: skip
        self.notify(direction)
        return count

    def answered(self, message_id: str, partner_domain: str, outcome: str, reason: str | None) -> None:
        """Note what the partner answered to a message that we sent."""
        with self._database.transaction(lasting=False) as run:
            run(
                "UPDATE uftp_message SET outcome = :outcome, reason = :reason WHERE owner = :owner"
                " AND direction = 'out' AND message_id = :message_id AND partner_domain = :partner_domain",
                outcome=outcome, reason=reason, owner=self.owner, message_id=message_id,
                partner_domain=partner_domain,
            )  # fmt: skip

    def forget_before(self, at: float) -> int:
        """Delete what is finished and older than a time; give the number of messages deleted.

        References to them are then unknown, so keep at least what is not settled yet.
        """
        condition = "owner = :owner AND state <> 'new' AND at < :at"
        with self._database.transaction() as run:
            count = run(f"SELECT COUNT(*) AS n FROM uftp_message WHERE {condition}", owner=self.owner, at=at)[
                0
            ]["n"]
            run(f"DELETE FROM uftp_message WHERE {condition}", owner=self.owner, at=at)
        return int(count)

    # --- finding -----------------------------------------------------------------------------------------------------

    def _select(self, where: str, order: str = "seq", limit: int | None = None, **values: Any) -> list[Entry]:
        end = f" LIMIT {limit:d}" if limit else ""
        rows = self._database.read(
            f"SELECT * FROM uftp_message WHERE owner = :owner AND {where} ORDER BY {order}{end}",
            owner=self.owner, **values,
        )  # fmt: skip
        return [_entry(row) for row in rows]

    def waiting_partners(self, direction: Direction) -> list[tuple[str, UsefRole, float]]:
        """List partners for whom something waits: domain, role, and when the next message is due."""
        rows = self._database.read(
            "SELECT partner_domain, partner_role, MIN(next_at) AS due, MIN(seq) AS first FROM uftp_message"
            " WHERE state = 'new' AND owner = :owner AND direction = :direction"
            " GROUP BY partner_domain, partner_role ORDER BY first",
            owner=self.owner, direction=str(direction),
        )  # fmt: skip
        return [(row["partner_domain"], UsefRole(row["partner_role"]), row["due"]) for row in rows]

    def waiting(
        self, direction: Direction, partner: tuple[str, UsefRole], now: float = float("inf"), limit: int = 20
    ) -> list[Entry]:
        """List the first messages that are due for a partner, in order."""
        return self._select(
            f"{_WAITS} AND next_at <= :now",
            limit=limit, direction=str(direction), domain=partner[0], role=str(partner[1]), now=now,
        )  # fmt: skip

    def postponed(self, direction: Direction, partner: tuple[str, UsefRole], now: float) -> list[Waiting]:
        """List the messages of a partner that wait and are not due yet."""
        rows = self._database.read(
            "SELECT seq, conversation_id, message_type, topic, next_at FROM uftp_message"
            f" WHERE owner = :owner AND {_WAITS} AND next_at > :now",
            owner=self.owner, direction=str(direction), domain=partner[0], role=str(partner[1]), now=now,
        )  # fmt: skip
        return [Waiting(**row) for row in rows]

    def count(self, direction: Direction, state: State) -> int:
        """Count messages in a state."""
        rows = self._database.read(
            "SELECT COUNT(*) AS n FROM uftp_message WHERE owner = :owner AND direction = :direction"
            " AND state = :state",
            owner=self.owner, direction=str(direction), state=str(state),
        )  # fmt: skip
        return int(rows[0]["n"])

    def find(self, direction: Direction, message_id: str, partner_domain: str) -> Entry | None:
        """Find a message by its id and partner."""
        found = self._select(
            "direction = :direction AND message_id = :message_id AND partner_domain = :partner_domain",
            direction=str(direction), message_id=message_id, partner_domain=partner_domain,
        )  # fmt: skip
        return found[0] if found else None

    def referring(self, direction: Direction, message_type: str, reference_id: str) -> list[Entry]:
        """List messages of a type that answer or follow another one."""
        return self._select(
            "direction = :direction AND message_type = :message_type AND reference_id = :reference_id",
            direction=str(direction), message_type=message_type, reference_id=reference_id,
        )  # fmt: skip

    def about(self, direction: Direction, message_type: str, topic: str, partner_domain: str) -> list[Entry]:
        """List messages of a type about one place and day, exchanged with one partner."""
        return self._select(
            "topic = :topic AND direction = :direction AND message_type = :message_type"
            " AND partner_domain = :partner_domain",
            topic=topic, direction=str(direction), message_type=message_type, partner_domain=partner_domain,
        )  # fmt: skip

    def of_type(self, direction: Direction, message_type: str, partner_domain: str) -> list[Entry]:
        """List all messages of a type exchanged with one partner."""
        return self._select(
            "direction = :direction AND message_type = :message_type AND partner_domain = :partner_domain",
            direction=str(direction), message_type=message_type, partner_domain=partner_domain,
        )  # fmt: skip

    def unanswered(self, message_types: Iterable[str], first: int = 0) -> list[Entry]:
        """List what was delivered, of some types, and is not answered yet; from a number in the journal on."""
        names: dict[str, Any] = {f"type{n}": name for n, name in enumerate(message_types)}
        return self._select(
            "state = 'done' AND direction = 'out' AND seq >= :first AND outcome IS NULL"
            f" AND message_type IN ({', '.join(':' + name for name in names)})",
            first=first, **names,
        )  # fmt: skip

    def latest(self, direction: Direction, states: Iterable[State], limit: int) -> list[Entry]:
        """List the last messages in some states, the newest first."""
        names = {f"state{n}": str(state) for n, state in enumerate(states)}
        return self._select(
            f"direction = :direction AND state IN ({', '.join(':' + name for name in names)})",
            order="seq DESC", limit=limit, direction=str(direction), **names,
        )  # fmt: skip

    def unhandled(self, limit: int) -> list[Entry]:
        """List the last received messages that failed, or are tried again, the newest first."""
        return self._select(
            "direction = 'in' AND (state = 'failed' OR state = 'new' AND attempts > 0)",
            order="seq DESC", limit=limit,
        )  # fmt: skip

    def audit(self, after: int = 0, batch: int = 500) -> Iterator[Entry]:
        """Go through the whole journal in order, both ways, signed bytes included."""
        while entries := self._select("seq > :after", limit=batch, after=after):
            yield from entries
            after = entries[-1].seq


_WAITS = "state = 'new' AND direction = :direction AND partner_domain = :domain AND partner_role = :role"


def _values(entry: Entry) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(entry, name) for name in _COLUMNS}
    for name in ("direction", "partner_role", "state"):
        values[name] = str(values[name])
    return values
