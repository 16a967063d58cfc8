"""The embedded services of one instance, as the rest of the platform sees them."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import re
import shutil
import threading
from pathlib import Path

from flexmeasures.data.embedded import processes
from flexmeasures.data.embedded.account import choose_account
from flexmeasures.data.embedded.membership import Membership
from flexmeasures.data.embedded.postgres import DATABASE, USER, PostgresServer
from flexmeasures.data.embedded.server import Server
from flexmeasures.data.embedded.valkey import ValkeyServer
from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["EmbeddedServices"]

log = logging.getLogger(__name__)

# A socket's path may have 103 bytes on macOS and 107 on Linux; the longest that we put behind it has 17.
_MAX_RUN_FOLDER = 103 - 17


class EmbeddedServices:
    """PostgreSQL and Valkey in the instance folder, shared by all processes of the instance.

    Whoever needs one first starts it; the last process to leave stops both. If any or all of them are killed,
    the next one to need them finds a running server again or starts it anew, with all that was committed.

    Args:
        instance_path: The instance folder; made if it does not exist.
        fast: Whether a crash of the machine may lose the last writes; for tests.

    Attributes:
        database_uri: Where the database is or will be, for SQLAlchemy.
        redis_url: Where the job store is or will be.
    """

    def __init__(self, instance_path: Path, fast: bool = False) -> None:
        self.instance_path = Path(instance_path).resolve()
        self._run_folder = _choose_run_folder(self.instance_path)
        logs = self.instance_path / "logs"
        # A folder of PostgreSQL's own: started by root it runs as another account, to which this folder is given. Who
        # has the folder of a socket can put another one in its place, and the job store's holds what workers will run.
        self._postgres_folder = self._run_folder.with_name(f"{self._run_folder.name}-pg")
        self._postgres = PostgresServer(
            self.instance_path / "postgres", self._postgres_folder, logs / "postgresql.log", fast
        )
        self._valkey = ValkeyServer(
            self.instance_path / "valkey", self._run_folder, logs / "valkey.log", fast
        )
        # Nothing to quote: see _choose_run_folder.
        self.database_uri = f"postgresql+psycopg://{USER}@/{DATABASE}?host={self._postgres_folder}"
        self.redis_url = f"unix://{self._valkey.socket}"

    def ensure_postgres(self) -> None:
        """Make PostgreSQL answer: start it, also if it has died since; call it before each new connection.

        Raises:
            StoreUnavailable: If it cannot be started; the message says what to do.
        """
        self._ensure(self._postgres)

    def ensure_valkey(self) -> None:
        """Make Valkey answer: start it, also if it has died since; call it before each new connection.

        Raises:
            StoreUnavailable: If it cannot be started; the message says what to do.
        """
        self._ensure(self._valkey)

    def leave(self) -> None:
        """Say that this process needs the services no longer; the last process of the instance stops them.

        Called by itself when the process ends. A forked child leaves for itself, never for its parent.
        """
        share = _share_of(self.instance_path)
        with share.mutex:
            if not share.began:
                return
            share.began = False
            share.ready.clear()
            with share.membership.guard():
                share.membership.join()  # if we were interrupted before we came to that
                last = share.membership.is_last()
                if last:
                    self._stop()
                else:
                    processes.abandon_children()
                share.membership.leave(last)

    def _ensure(self, server: Server) -> None:
        share = _share_of(self.instance_path)
        if server.title in share.ready and server.is_listening():
            return
        with share.mutex:
            if server.title in share.ready and server.is_listening():
                return
            share.ready.discard(server.title)
            if not share.began:
                share.began = True
                atexit.register(_leave_at_exit, self)
            self._make_folders()
            with share.membership.guard():
                share.membership.join()
                self._make_folders()  # the last process of the instance may just have removed one
                # What runs for our parent runs for us.
                if server.title not in share.inherited or not server.is_listening():
                    server.start()
            share.ready.add(server.title)

    def _make_folders(self) -> None:
        try:
            self.instance_path.mkdir(parents=True, exist_ok=True)
            (self.instance_path / "logs").mkdir(mode=0o700, exist_ok=True)
            self._make_run_folders()
        except OSError as error:
            raise StoreUnavailable(
                f"The instance folder {self.instance_path} cannot be used: {error}. "
                "Choose another one with FLEXMEASURES_INSTANCE_PATH.",
                retryable=False,
            ) from error

    def _make_run_folders(self) -> None:
        """Make the folders of the sockets; in the temporary folder others could have made them, or links, before us."""
        for folder, owners in (
            (self._run_folder, _ourselves() | {self.instance_path.stat().st_uid}),
            (self._postgres_folder, _trusted_owners(self._postgres.folder)),
        ):
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.is_symlink() or folder.lstat().st_uid not in owners:
                raise StoreUnavailable(f"{folder} belongs to somebody else; remove it.", retryable=False)

    def _stop(self) -> None:
        self._valkey.stop()
        self._postgres.stop()
        for folder in (self._run_folder, self._postgres_folder):
            shutil.rmtree(folder, ignore_errors=True)


class _Share:
    """State of this process about one instance, for all objects that speak of that instance."""

    def __init__(self, folder: Path, inherited: frozenset[str] = frozenset()) -> None:
        self.mutex = threading.RLock()
        self.membership = Membership(folder)
        self.inherited = inherited  # what our parent had started before it forked us
        self.began = False  # to use the services; from then on there may be something to stop and to remove
        self.ready: set[str] = set()


_shares: dict[Path, _Share] = {}
_shares_mutex = threading.Lock()


def _share_of(folder: Path) -> _Share:
    with _shares_mutex:
        return _shares.setdefault(folder, _Share(folder))


def _forget_shares() -> None:
    """In a forked child: it holds none of its parent's locks, and a mutex of another thread stays locked."""
    global _shares_mutex  # noqa: PLW0603 - the one in the parent may be held by a thread that does not exist here
    _shares_mutex = threading.Lock()
    for folder, share in list(_shares.items()):
        _shares[folder] = _Share(folder, share.inherited | share.ready)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shares)


def _leave_at_exit(services: EmbeddedServices) -> None:
    try:
        services.leave()
    except StoreUnavailable as error:
        log.warning("%s", error)


def _choose_run_folder(instance_path: Path) -> Path:
    """Choose the folder of the sockets: a short path without signs that mean something in an address.

    It depends on the instance path alone (not on TMPDIR): all processes must come to the same answer.
    """
    beside = instance_path / "run"
    if len(os.fsencode(beside)) <= _MAX_RUN_FOLDER and re.fullmatch(r"[A-Za-z0-9/._~+-]+", str(beside)):
        return beside
    return Path("/tmp") / f"flexmeasures-{hashlib.sha256(os.fsencode(instance_path)).hexdigest()[:16]}"  # noqa: S108 - made owner-only, and its owner is checked


def _ourselves() -> set[int]:
    return {0} if os.name == "nt" else {os.geteuid()}


def _trusted_owners(data: Path) -> set[int]:
    owners = _ourselves()
    if os.name != "nt" and os.geteuid() == 0:
        account = choose_account(data)
        owners |= {account.uid} if account else set()
    return owners
