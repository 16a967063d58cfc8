"""Make the environments of independent OpenADR 3 clients, one each: two of them have modules of the same name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(".venv-peers")


@dataclass(frozen=True)
class Peer:
    """A client from the package index.

    Attributes:
        name: Of its environment.
        requirement: As pip has it.
        oldest_minor: Of the oldest Python 3 that it runs on.
    """

    name: str
    requirement: str
    oldest_minor: int = 11


PEERS = (
    Peer("toadr3", "toadr3>=0.29"),
    Peer("python-oa3-client", "python-oa3-client[mqtt,webhooks]>=0.5"),
    Peer("openadr3-client", "openadr3-client>=2.4.2", 12),
)


def find_python(oldest_minor: int) -> str | None:
    """Find a Python 3 that is new enough: our own, or one of the search path."""
    if sys.version_info[:2] >= (3, oldest_minor):
        return sys.executable
    for minor in range(14, oldest_minor - 1, -1):
        python = shutil.which(f"python3.{minor}")
        if python and subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0:
            return python
    return None


def main() -> None:
    """Make what is not there yet; say which client is left out, and why."""
    for peer in PEERS:
        folder = FOLDER / peer.name
        if (folder / ".installed").exists():
            continue
        python = find_python(peer.oldest_minor)
        if python is None:
            print(
                f"{peer.name} is left out: it needs Python 3.{peer.oldest_minor} or newer on the search path"
            )
            continue
        print(f"Installing {peer.requirement} into {folder} ...")
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", peer.requirement]
        subprocess.run([str(folder / "bin" / "python"), *install], check=True)
        (folder / ".installed").touch()


if __name__ == "__main__":
    main()
