"""Install packages with pip, showing how far it has come; ``make`` calls it with the arguments of ``pip install``."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time

_PAUSE = 15.0  # between two signs of life [s]
_STEPS = re.compile(r"^\s*(Collecting|Downloading|Using cached|Installing|Building|Preparing)\b")


def main(arguments: list[str]) -> int:
    """Run pip; its own words are shown if it fails.

    Returns:
        The exit status of pip.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--progress-bar",
        "off",
        *arguments,
    ]
    began = time.monotonic()
    said: list[str] = []
    packages = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        threading.Thread(target=_tick, args=(process, began), daemon=True).start()
        for line in process.stdout:
            said.append(line)
            if not _STEPS.match(line):
                continue
            packages += line.startswith("Collecting")
            _show(f"  {time.monotonic() - began:3.0f} s, {packages} packages: {_shorten(line)}", packages)
    print(end="\r\033[K" if sys.stdout.isatty() else "", flush=True)
    if process.returncode:
        print("".join(said[-40:]), file=sys.stderr)
    return process.returncode


def _tick(process: subprocess.Popen[str], began: float) -> None:
    """Say from time to time that it goes on: pip is silent while it copies files."""
    while True:
        time.sleep(_PAUSE)
        if process.poll() is not None:
            return
        _show(f"  {time.monotonic() - began:3.0f} s, still at it", 0)


def _show(text: str, packages: int) -> None:
    """Overwrite the line of a terminal; elsewhere, where lines are kept, write every twentieth one."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)
    elif packages % 20 == 0 or "Installing collected" in text:
        print(text, flush=True)


def _shorten(line: str) -> str:
    return line.strip().removesuffix(" ...").split(" (from ")[0][:90]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
