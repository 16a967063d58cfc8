"""Server processes which outlive the command that starts them: how to start, find and end one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from flexmeasures.instance import open_private_file

__all__ = ["abandon_children", "end", "find", "launch", "runs"]

_PAUSE = 0.01  # between two looks at a process [s]

# What stands between two arguments where the system shows a command line.
_SEPARATOR = "\0" if sys.platform == "linux" else " "

# Servers started by this process. While we live they are our children: once dead they stay in the process
# table until we ask how they ended.
_children: dict[int, subprocess.Popen[bytes]] = {}


def launch(command: Sequence[str], log_file: Path, folder: Path) -> int:
    """Start a server in a session of its own, so that Ctrl-C in the terminal does not reach it.

    Args:
        command: The program and its arguments.
        log_file: Where its output is appended.
        folder: Its working folder.

    Returns:
        Its process id.
    """
    # The variables of a user's own PostgreSQL (PGDATA, PGPORT, ...) would change what ours does.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with open(log_file, "ab", opener=open_private_file) as log:
        process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**environment, "LC_ALL": "C"},
            start_new_session=True,
            umask=0o077,
        )
    _children[process.pid] = process
    return process.pid


def abandon_children() -> None:
    """Let go of the servers that others still use: they go on when this process ends."""
    for process in _children.values():
        if process.poll() is None:
            process.returncode = 0  # otherwise Popen warns at exit that its process still runs
    _children.clear()


def runs(pid: int, name: str, folder: Path) -> bool:
    """Tell whether a process is the named server of this folder, and no stranger with a number used again."""
    child = _children.get(pid)
    if child is not None:
        return child.poll() is None  # its number is not used again before we have asked
    command = _commands(pid).get(pid, "")
    return _is_server(command, name, folder)


def find(name: str, folder: Path) -> int | None:
    """Find the named server of this folder among all processes."""
    for child in _children.values():
        child.poll()
    # A server forks copies of itself; the first one is the server.
    return min(
        (pid for pid, command in _commands().items() if _is_server(command, name, folder)), default=None
    )


def end(pid: int, name: str, folder: Path, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """End a server, with ever less patience.

    Args:
        pid: Its process id.
        name: Its name.
        folder: Its folder.
        steps: Signals to send, each with the seconds to wait for its effect.

    Returns:
        Whether it is gone.
    """
    for step, patience in steps:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, step)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not runs(pid, name, folder):
                _children.pop(pid, None)
                return True
            time.sleep(_PAUSE)
    return not runs(pid, name, folder)


def _is_server(command: str, name: str, folder: Path) -> bool:
    padded = f"{_SEPARATOR}{command}{_SEPARATOR}"
    return f"/{name}{_SEPARATOR}" in padded and f"{_SEPARATOR}{folder}{_SEPARATOR}" in padded


def _commands(pid: int | None = None) -> dict[int, str]:
    """Read the command lines of one process or all; a dead one has none."""
    if sys.platform == "linux":
        pids = [pid] if pid is not None else [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        commands = {}
        for number in pids:
            with contextlib.suppress(OSError):
                commands[number] = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace")
        return commands
    chosen = ["-p", str(pid)] if pid is not None else ["-ax"]
    listing = subprocess.run(  # noqa: S603 - our own command, no shell
        ["/bin/ps", "-ww", "-o", "pid=,command=", *chosen], capture_output=True, text=True, check=False
    ).stdout
    pairs = (line.split(None, 1) for line in listing.splitlines())
    return {int(pair[0]): pair[1] for pair in pairs if len(pair) == 2}
