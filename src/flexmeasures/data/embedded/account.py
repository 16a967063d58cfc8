"""As whom the embedded PostgreSQL runs: it refuses to run as root, so then another account must be able to.

That account may have no way into the folder of the program or of the data (``/root`` and what ``mktemp -d``
makes are closed to others). We never change the rights of anybody's folders; instead the server process keeps
the one capability it needs to pass them.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["Account", "choose_account"]

_REMEDY = (
    "Run the command as another user, or set SQLALCHEMY_DATABASE_URI to a PostgreSQL server of your own."
)

# Numbers of capabilities, from linux/capability.h.
_CAPABILITIES = {"dac_override": 1, "dac_read_search": 2, "setpcap": 8}


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine."""

    name: str
    uid: int
    gid: int

    def prefix(self, program: Path, data: Path) -> list[str]:
        """Build the words before a command that make it run as this account.

        Args:
            program: The program, which the account must be able to execute.
            data: The folder, which it must be able to enter.

        Raises:
            StoreUnavailable: If this machine has no way to do so.
        """
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise StoreUnavailable(
                f"PostgreSQL refuses to run as root, and there is no setpriv to run it as {self.name}. "
                f"{_REMEDY}",
                retryable=False,
            )
        words = [setpriv, f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        needed = self._needed_capability(program, data)
        if needed:
            # no_setuid_fixup: without it access(2) ignores capabilities, and PostgreSQL looks for its own
            # program with access(2).
            words += [f"--inh-caps=+{needed}", f"--ambient-caps=+{needed}", "--securebits=+no_setuid_fixup"]
        return [*words, "--"]

    def _needed_capability(self, program: Path, data: Path) -> str | None:
        if not self._may(program, 0o5):
            wanted = ["dac_override"]
        elif not all(self._may(parent, 0o1) for path in (program, data) for parent in path.resolve().parents):
            wanted = ["dac_read_search", "dac_override"]
        else:
            return None
        held = _held_capabilities()
        found = next((name for name in wanted if {name, "setpcap"} <= held), None)
        if found is None:
            raise StoreUnavailable(
                f"PostgreSQL refuses to run as root, and the account {self.name} has no way into "
                f"{program.parent} or {data}. {_REMEDY}",
                retryable=False,
            )
        return found

    def _may(self, path: Path, wanted: int) -> bool:
        """Tell whether the mode of a path gives this account all of 4 read, 2 write, 1 enter or execute."""
        status = path.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return (status.st_mode >> shift) & wanted == wanted


def choose_account(data: Path) -> Account | None:
    """Choose the account under which PostgreSQL runs.

    Args:
        data: Its data folder; if it exists, its owner is chosen.

    Returns:
        None for ourselves.

    Raises:
        StoreUnavailable: If we are root and there is nobody else.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - exists on POSIX only

    if data.exists() and data.stat().st_uid != 0:
        status = data.stat()
        return Account(f"with id {status.st_uid}", status.st_uid, status.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StoreUnavailable(
        f'PostgreSQL refuses to run as root, and there is no account "postgres" or "nobody". {_REMEDY}',
        retryable=False,
    )


def _held_capabilities() -> set[str]:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return set()
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return {name for name, bit in _CAPABILITIES.items() if effective >> bit & 1}
