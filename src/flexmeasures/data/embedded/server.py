"""The common part of the two embedded servers: start or find again, wait, stop."""

from __future__ import annotations

import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from flexmeasures.data.embedded import processes
from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["Server"]

PATIENCE = 180.0  # longest wait for a server; recovery after a crash may read a lot [s]
DEAF_PATIENCE = 10.0  # how long a server may run without a socket before it is replaced [s]
MAX_LAUNCHES = 3
_PAUSE = 0.01
_LOG_LIMIT = 10 * 1024 * 1024  # a larger log is put aside at the next start [bytes]


class Server(ABC):
    """One server of one instance.

    Args:
        folder: Where its data are.
        run_folder: Where its socket is.
        log_file: Where its messages go.
        fast: Whether it may forget the last writes if the machine crashes; for tests.
    """

    title: ClassVar[str]
    program_name: ClassVar[str]
    remedy: ClassVar[str]
    stop_steps: ClassVar[Sequence[tuple[signal.Signals, float]]]

    def __init__(self, folder: Path, run_folder: Path, log_file: Path, fast: bool) -> None:
        self.folder = folder
        self.run_folder = run_folder
        self.log_file = log_file
        self.fast = fast

    @property
    def _stop_note(self) -> Path:
        """A file that says that the server has been, or is about to be, told to end."""
        return self.run_folder / f"{self.program_name}.stopping"

    @property
    @abstractmethod
    def socket(self) -> Path:
        """The socket on which it listens."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether it answers and has all that its users need."""

    @abstractmethod
    def find(self) -> int | None:
        """Find its process, whoever started it."""

    @abstractmethod
    def prepare(self) -> None:
        """Make its folders, at first use."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command that runs it in the foreground."""

    @abstractmethod
    def clear_remains(self) -> None:
        """Remove what a killed server left behind and what would hinder its successor."""

    def is_listening(self) -> bool:
        """Tell whether a process listens on its socket, within microseconds; whether it answers, `is_ready` tells."""
        if not hasattr(socket, "AF_UNIX"):
            return self.socket.exists()
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.setblocking(False)
                probe.connect(str(self.socket))
        except BlockingIOError:  # so many wait already that the queue is full
            return True
        except OSError:
            return False
        return True

    def start(self) -> None:
        """Make it answer: take over the one that runs, wait for one that starts or stops, or start one.

        Raises:
            StoreUnavailable: If that does not succeed.
        """
        if self._stop_note.exists():
            self.stop()  # whoever began that was killed; until it hears the signal such a server still answers
        if self.is_ready():
            return
        self.prepare()
        launches = 0
        deadline = time.monotonic() + PATIENCE
        deaf_since = time.monotonic()
        pid = self.find()
        while time.monotonic() < deadline:
            if pid is None or not processes.runs(pid, self.program_name, self.folder):
                if launches == MAX_LAUNCHES:
                    break
                self.clear_remains()
                pid = self._launch()
                launches, deaf_since = launches + 1, time.monotonic()
            if self.is_ready():
                return
            if self.socket.exists():
                deaf_since = time.monotonic()
            elif time.monotonic() - deaf_since > DEAF_PATIENCE:
                self.end(pid)
            time.sleep(_PAUSE)
        raise StoreUnavailable(f"{self._complaint()}\n{self.remedy}")

    def stop(self) -> None:
        """End it, with everything written to disk."""
        if self.run_folder.is_dir():  # somebody may have removed the instance folder while it was in use
            self._stop_note.touch()
        pid = self.find()
        if pid is not None:
            self.end(pid)
        self.socket.unlink(missing_ok=True)
        self._stop_note.unlink(missing_ok=True)

    def end(self, pid: int) -> None:
        """End one process of it.

        Raises:
            StoreUnavailable: If it does not end.
        """
        if not processes.end(pid, self.program_name, self.folder, self.stop_steps):
            raise StoreUnavailable(f"The embedded {self.title} (process {pid}) does not end.")

    def _launch(self) -> int:
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_LIMIT:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        return processes.launch(self.command(), self.log_file, self.run_folder)

    def _complaint(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        last = "\n".join(f"    {line}" for line in lines[-8:])
        return f"The embedded {self.title} does not start. The last lines of {self.log_file}:\n{last}"
