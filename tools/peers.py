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
        python: The oldest Python that it runs on.
    """

    name: str
    requirement: str
    python: tuple[int, int] = (3, 11)


PEERS = (
    Peer("toadr3", "toadr3>=0.29"),
    Peer("python-oa3-client", "python-oa3-client[mqtt,webhooks]>=0.5"),
    Peer("openadr3-client", "openadr3-client>=2.4.2", (3, 12)),
)


def find_python(oldest: tuple[int, int]) -> str | None:
    """Find a Python that is new enough: our own, or one of the search path."""
    if sys.version_info[:2] >= oldest:
        return sys.executable
    for minor in (14, 13, 12):
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
        python = find_python(peer.python)
        if python is None:
            print(
                f"{peer.name} is left out: it needs Python {'.'.join(map(str, peer.python))} on the search path"
            )
            continue
        print(f"Installing {peer.requirement} into {folder} ...")
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", peer.requirement]
        subprocess.run([str(folder / "bin" / "python"), *install], check=True)
        (folder / ".installed").touch()


if __name__ == "__main__":
    main()
