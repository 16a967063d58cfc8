"""The version, in a module of its own so that it can be read without loading anything.

A build knows its version, see ``setup.py``. A checkout is named after the commit that it is at, found by reading small
files of git.
"""

from __future__ import annotations

import os

__all__ = ["BASE", "__version__"]

BASE = "0.4.0"
"""The version whose API, command line and plugins are kept; versions are named after it until the next tag."""


def _find() -> str:
    try:
        from flexmeasures._build import VERSION  # type: ignore[import-not-found] # noqa: PLC0415 - only in builds
    except ImportError:
        here = os.path.abspath(__file__)
        commit = _commit(os.path.dirname(os.path.dirname(os.path.dirname(here))))
        return f"{BASE}+g{commit[:8]}" if commit else BASE
    return str(VERSION)


def _commit(root: str) -> str | None:
    """Read which commit a checkout is at; None outside of one."""
    try:
        git = os.path.join(root, ".git")
        if os.path.isfile(git):  # a worktree, whose folder is elsewhere
            git = os.path.join(root, _read(git).removeprefix("gitdir:").strip())
        head = _read(git, "HEAD")
        if not head.startswith("ref: "):
            return head
        shared = git
        if os.path.isfile(os.path.join(git, "commondir")):
            shared = os.path.join(git, _read(git, "commondir"))
        ref = head.removeprefix("ref: ")
        if os.path.isfile(os.path.join(shared, ref)):
            return _read(shared, ref)
        packed = _read(shared, "packed-refs").splitlines()
        return next(line.split()[0] for line in packed if line.endswith(f" {ref}"))
    except (OSError, StopIteration, UnicodeDecodeError):
        return None


def _read(*parts: str) -> str:
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read().strip()


__version__ = _find()
