"""Names of processes that are never used again, so that a dead one is told from a living one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

__all__ = ["identify_process", "is_dead", "is_elsewhere"]


def identify_process(pid: int) -> str:
    """Name a process so that no other one ever has the same name, here or elsewhere; empty if it is dead.

    Process numbers are used again, and mean something in their own machine and container only.
    """
    try:
        # The name of the program, in brackets, may contain blanks and brackets.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except FileNotFoundError:
        return _identify_by_number(pid) if not Path("/proc/self/stat").exists() else ""
    except OSError:
        return ""
    return "" if state in "ZX" else f"{boot} {namespace} {pid} {fields[18]}"


def is_elsewhere(identity: str) -> bool:
    """Tell whether a process belongs to another machine or container, where its life cannot be seen from here."""
    return _place(identity) != _place(identify_process(os.getpid()))


def is_dead(identity: str) -> bool:
    """Tell whether a process is certainly dead; of one elsewhere nothing is known."""
    return not is_elsewhere(identity) and identify_process(int(identity.rsplit(" ", 2)[1])) != identity


def _place(identity: str) -> str:
    return identity.rsplit(" ", 2)[0]


def _identify_by_number(pid: int) -> str:
    """Name a process where the system does not say when it began."""
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return f"{socket.gethostname()} - {pid} -"
