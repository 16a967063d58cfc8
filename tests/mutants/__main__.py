"""Run the tests against code with one deliberate fault each: a fault that no test notices is a gap in the tests.

``make mutants`` runs the list of ``mutants.toml``; ``make mutants ONLY=money`` those whose name holds a word. Printed
are the survivors; the status is 1 if there are any, or if the text of one stands no longer in its file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from rich.console import Console
from rich.progress import track

ROOT = Path(__file__).resolve().parents[2]
WORKERS = os.cpu_count() or 1
LONGEST = 600  # seconds for the tests of one mutant; a fault that makes them hang is noticed, too

_TESTS_FAILED = 1


@dataclass(frozen=True)
class Mutant:
    """One deliberate fault.

    Attributes:
        name: Subject and what goes wrong.
        file: Module, below ``src``.
        old: Text that stands once in it.
        new: What it is replaced by.
        tests: Test files that must notice, below ``tests``.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def mutated(self, source: Path) -> str:
        """Give the module's text with the fault in it.

        Raises:
            ValueError: If the text to replace does not stand in the module exactly once.
        """
        text = (source / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} stands {text.count(self.old)} times in {self.file}.")
        return text.replace(self.old, self.new)


def read_mutants() -> list[Mutant]:
    """Read the list."""
    path = Path(__file__).with_name("mutants.toml")
    return [
        Mutant(**(row | {"tests": tuple(row["tests"])})) for row in tomllib.loads(path.read_text())["mutant"]
    ]


def is_noticed(mutant: Mutant, copy: Path) -> bool:
    """Run a mutant's tests on a copy of the source with the fault in it."""
    module = copy / mutant.file
    sound = module.read_text()
    module.write_text(mutant.mutated(copy))
    try:
        outcome = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
            + [f"tests/{one}" for one in mutant.tests],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        module.write_text(sound)
    if outcome.returncode not in {0, _TESTS_FAILED} and "Error" not in outcome.stdout:
        raise RuntimeError(f"{mutant.name}: the tests could not run.\n{outcome.stdout}{outcome.stderr}")
    return outcome.returncode != 0


def main(only: str = "") -> int:
    """Run all mutants whose name holds a word; give the exit status."""
    mutants = [mutant for mutant in read_mutants() if only in mutant.name]
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            copies.put(Path(shutil.copytree(ROOT / "src", Path(folder, str(number)))))

        def run(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                return is_noticed(mutant, copy)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(WORKERS) as pool:
            noticed = list(track(pool.map(run, mutants), "Mutants", total=len(mutants)))
    console = Console(soft_wrap=True, highlight=False)
    survivors = [mutant for mutant, seen in zip(mutants, noticed, strict=True) if not seen]
    for mutant in survivors:
        console.print(f"survived: {mutant.name} ({mutant.file})")
    console.print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants were noticed.")
    return bool(survivors) or not mutants


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
