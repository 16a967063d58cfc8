"""Say which installed versions differ from the locked ones: what ``pip freeze`` writes is read from standard input."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")


def read_pins(text: str) -> dict[str, str]:
    """Read versions by the normalised name of their package."""
    found = (_PIN.match(line) for line in text.splitlines())
    return {re.sub(r"[-_.]+", "-", pin[1]).lower(): pin[2] for pin in found if pin}


def main(lock: Path) -> None:
    """Print one line for each package whose version differs."""
    locked, installed = read_pins(lock.read_text()), read_pins(sys.stdin.read())
    changed = [
        (name, locked[name], there)
        for name, there in sorted(installed.items())
        if locked.get(name, there) != there
    ]
    print(
        f"{len(changed)} of {len(installed)} packages are not of the locked version{':' if changed else '.'}"
    )
    for name, before, now in changed:
        print(f"  {name} {before} -> {now}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
