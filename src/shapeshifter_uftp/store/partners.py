"""Partners who are marked as faulty: who refuses what we send is left alone until an operator has looked into it."""

# ruff: noqa: S608  the parts of statements are constants of this module; every value is a parameter

from __future__ import annotations

import threading
from dataclasses import dataclass

from shapeshifter_uftp.store.database import Database, ensure_table
from shapeshifter_uftp.uftp.enumerations import UsefRole

__all__ = ["Fault", "Partners"]

_TABLE = """CREATE TABLE uftp_partner (
    owner VARCHAR(300) NOT NULL, domain VARCHAR(255) NOT NULL, role VARCHAR(3) NOT NULL, failures INTEGER NOT NULL,
    faulty_since DOUBLE PRECISION, reason TEXT, PRIMARY KEY (owner, domain, role))"""

Partner = tuple[str, UsefRole]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why nothing is sent to a partner.

    Attributes:
        domain: The partner's domain.
        role: The partner's role.
        since: When it was marked as faulty: seconds since 1970.
        reason: The last refusal.
    """

    domain: str
    role: UsefRole
    since: float
    reason: str

    def __str__(self) -> str:
        """Say what is wrong, and what to do."""
        return f"{self.role} {self.domain} is marked as faulty until it is cleared: {self.reason}"


class Partners:
    """Counts how often partners refuse messages, and remembers which of them are faulty.

    Args:
        database: Where that is kept, beside the journal.
        owner: Who we are, as in the journal.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner
        self._lock = threading.Lock()
        ensure_table(database, "uftp_partner", (_TABLE,))
        rows = database.read("SELECT domain, role FROM uftp_partner WHERE owner = :owner", owner=owner)
        self._noted: set[Partner] = {(row["domain"], UsefRole(row["role"])) for row in rows}

    def refused(self, partner: Partner, reason: str, now: float, most: int | None) -> Fault | None:
        """Count a refusal; give the fault when it was one too many.

        Args:
            partner: Who refused a message for good.
            reason: What it said.
            now: Seconds since 1970.
            most: After how many refusals in a row a partner is faulty; None: never.
        """
        if most is None:
            return None
        with self._lock, self._database.transaction(lasting=False) as run:
            key = self._key(partner)
            # Not from memory: an operator may have cleared the partner in another process.
            if run("SELECT failures FROM uftp_partner WHERE" + _IS, **key):
                run(
                    "UPDATE uftp_partner SET failures = failures + 1, reason = :reason WHERE" + _IS,
                    reason=reason, **key,
                )  # fmt: skip
            else:
                run(
                    "INSERT INTO uftp_partner (owner, domain, role, failures, reason)"
                    " VALUES (:owner, :domain, :role, 1, :reason)",
                    reason=reason, **key,
                )  # fmt: skip
            self._noted.add(partner)
            run(
                "UPDATE uftp_partner SET faulty_since = :now WHERE faulty_since IS NULL AND failures >= :most"
                " AND" + _IS,
                now=now, most=most, **key,
            )  # fmt: skip
        return self.fault_of(partner)

    def took(self, partner: Partner) -> None:
        """Note that a partner took a message: what it refused before does not count any more."""
        if partner in self._noted:
            self.clear(partner)

    def fault_of(self, partner: Partner) -> Fault | None:
        """Tell why a partner is faulty; None when it is not. Another process may have cleared it."""
        if partner not in self._noted:
            return None
        return next((fault for fault in self.faulty() if (fault.domain, fault.role) == partner), None)

    def faulty(self) -> list[Fault]:
        """List all faulty partners."""
        rows = self._database.read(
            "SELECT * FROM uftp_partner WHERE owner = :owner AND faulty_since IS NOT NULL ORDER BY faulty_since",
            owner=self._owner,
        )  # fmt: skip
        return [Fault(r["domain"], UsefRole(r["role"]), r["faulty_since"], r["reason"] or "") for r in rows]

    def clear(self, partner: Partner) -> bool:
        """Take a partner as sound again; tell whether it was faulty."""
        fault = self.fault_of(partner)
        with self._lock, self._database.transaction() as run:
            run("DELETE FROM uftp_partner WHERE" + _IS, **self._key(partner))
            self._noted.discard(partner)
        return fault is not None

    def _key(self, partner: Partner) -> dict[str, str]:
        return {"owner": self._owner, "domain": partner[0], "role": str(partner[1])}


_IS = " owner = :owner AND domain = :domain AND role = :role"
