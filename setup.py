"""Name the version of a build after the commit it is made of; all else stands in pyproject.toml.

A clean checkout of the tag ``v1.2.3`` is version 1.2.3. Any other commit is a post-release of the last tag, numbered by
the time of the commit (UTC) and with its hash: ``0.4.0.post20260131123000+g0123abcd``. Changes that are not committed
add a hash of what they are. Without git the commit is known from an archive that git has made, or the version from a
source distribution; otherwise the files themselves are hashed. So two builds share a version only if they are the same.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
TAG = re.compile(r"v(\d+(?:\.\d+)+(?:(?:a|b|rc)\d+)?)")


def find_version() -> str:
    """Find out the version of this source."""
    return _from_distribution() or _from_archive() or _from_git() or f"{_base()}+src.{_hash_files()}"


def _base() -> str:
    text = (ROOT / "src/flexmeasures/_version.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^BASE = "(.+)"$', text, re.MULTILINE)
    return found


def _from_distribution() -> str | None:
    path = ROOT / "PKG-INFO"
    found = (
        re.search(r"^Version: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        if path.is_file()
        else None
    )
    return found[1] if found else None


def _from_archive() -> str | None:
    path = ROOT / ".git_archival.txt"
    if not path.is_file() or "$Format" in path.read_text(encoding="utf-8"):
        return None
    told = dict(line.split(": ", 1) for line in path.read_text(encoding="utf-8").splitlines() if ": " in line)
    return _name(told.get("describe", ""), told["commit"], int(told["time"]))


def _from_git() -> str | None:
    # A checkout of its own, not a folder within somebody else's.
    if not (ROOT / ".git").exists() or _git("rev-parse", "HEAD") is None:
        return None
    commit, seconds = str(_git("show", "--no-patch", "--format=%H %ct", "HEAD")).split()
    changes = _git("diff", "HEAD", "--binary") or ""
    new = _git("ls-files", "--others", "--exclude-standard", "src") or ""
    changed = changes + "".join(f"{name}\n{_hash(ROOT / name)}" for name in new.split())
    described = _git("describe", "--tags", "--match", "v[0-9]*") or ""
    return _name(described, commit, int(seconds), changed)


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _name(described: str, commit: str, seconds: int, changed: str = "") -> str:
    """Name a version after the last tag and the commit.

    Args:
        described: As ``git describe`` writes it; the tag alone if the commit has it; empty if there is none.
        commit: Its hash.
        seconds: Its time, since 1970.
        changed: What was changed since.
    """
    tag = TAG.match(described)
    if tag and tag[0] == described and not changed:
        return tag[1]
    at = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S")
    dirty = f".d{hashlib.sha256(changed.encode()).hexdigest()[:8]}" if changed else ""
    return f"{tag[1] if tag else _base()}.post{at}+g{commit[:8]}{dirty}"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash_files() -> str:
    files = sorted(
        path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    files = [path for path in files if ".egg-info" not in str(path)]
    told = "".join(f"{path.relative_to(ROOT)}\n{_hash(path)}\n" for path in [*files, ROOT / "pyproject.toml"])
    return hashlib.sha256(told.encode()).hexdigest()[:8]


class BuildWithVersion(build_py):
    """Lays the version down beside the package, in the build and not in the source."""

    def run(self) -> None:
        """Build the package."""
        super().run()
        if not self.editable_mode:
            path = Path(self.build_lib) / "flexmeasures" / "_build.py"
            text = f'"""The version of this build."""\n\nVERSION = "{self.distribution.get_version()}"\n'
            path.write_text(text, encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """List what is built."""
        own = [] if self.editable_mode else [str(Path(self.build_lib) / "flexmeasures" / "_build.py")]
        return [*super().get_outputs(include_bytecode), *own]


if __name__ == "__main__":
    setup(version=find_version(), cmdclass={"build_py": BuildWithVersion})
