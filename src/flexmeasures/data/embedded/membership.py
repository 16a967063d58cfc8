"""Membership of processes in an instance: locks between them, which the kernel releases when a process dies.

Each process that uses the embedded services holds ``members.lock`` shared; who finds nobody else holding it
is the last one. Starting and stopping is guarded by ``guard.lock``, held exclusively.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fasteners import InterProcessReaderWriterLock

from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["Membership"]

PATIENCE = 180.0  # longest wait for another process which starts or stops the services [s]


class Membership:
    """The share of this process in the services of one instance.

    These locks belong to a process, and closing *any* handle of a lock file releases them: there must be one
    object an instance and process. A forked child has none of its parent's locks and joins for itself.
    """

    def __init__(self, folder: Path) -> None:
        self._members = folder / "members.lock"
        self._guard = folder / "guard.lock"
        self._share: InterProcessReaderWriterLock | None = None
        self._joined_as = 0

    @property
    def joined(self) -> bool:
        """Tell whether this very process, and not its parent before a fork, is a member."""
        return self._joined_as == os.getpid()

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Be the only process of the instance that starts or stops anything."""
        lock = self._acquire_guard()
        try:
            yield
        finally:
            lock.release_write_lock()

    def join(self) -> None:
        """Become a member; only inside `guard`."""
        if not self.joined:
            self._share = InterProcessReaderWriterLock(self._members)
            self._share.acquire_read_lock()
            self._joined_as = os.getpid()

    def is_last(self) -> bool:
        """Tell whether no other process is a member; only inside `guard`, and only before `leave`."""
        return self._share is not None and self._share.acquire_write_lock(blocking=False)

    def leave(self, last: bool) -> None:
        """Be a member no longer; the last one removes the lock files; only inside `guard`."""
        if last:
            self._members.unlink(missing_ok=True)
            self._guard.unlink(missing_ok=True)
        if self._share is not None:
            self._share.release_read_lock()
        self._share = None
        self._joined_as = 0

    def _acquire_guard(self) -> InterProcessReaderWriterLock:
        while True:
            lock = InterProcessReaderWriterLock(self._guard)
            if not lock.acquire_write_lock(max_delay=0.02, timeout=PATIENCE):
                raise StoreUnavailable(
                    f"Another process has been starting or stopping the embedded services for "
                    f"{PATIENCE:.0f} s (it holds {self._guard}). End it and try again."
                )
            # The one before us may have been the last and removed the file: then our lock guards nothing.
            if _is_file_at(lock.lockfile.fileno(), self._guard):
                return lock
            lock.release_write_lock()


def _is_file_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
