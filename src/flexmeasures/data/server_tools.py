"""PostgreSQL's own programs for whole databases: ``pg_dump``, ``pg_restore`` and ``psql``."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from flexmeasures.data.postgres_programs import find_installed
from flexmeasures.domain.errors import StoreUnavailable, UpstreamFailure

__all__ = ["dump_database", "restore_database"]

_SECRET_PARAMETERS = ("password", "sslpassword")
"""Parameters of a connection to PostgreSQL that nobody else may see."""

_SETTING = re.compile(r"^SET (\w+) = .*;$")


@dataclass(frozen=True)
class _Server:
    """The server of a database.

    Attributes:
        version: Its major version.
        settings: Names of the settings that it knows.
    """

    version: int
    settings: frozenset[str]


def dump_database(uri: str, file: Path) -> None:
    """Write the data of a database, but not its schema, into a file in PostgreSQL's custom format.

    Raises:
        UpstreamFailure: If the program is missing or fails.
    """
    options = ["--data-only", "--format=custom", "--no-owner", "--no-privileges"]
    draft = file.with_name(f".{file.name}.draft")
    program = _find_programs("pg_dump", _ask_server(uri).version)[0]
    try:
        # It holds the hashes of passwords: only its owner may read it, from the first byte on.
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        draft.chmod(0o600)
        _run_on(uri, program, [*options, "--exclude-table-data=alembic_version", f"--file={draft}"])
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def restore_database(uri: str, file: Path) -> None:
    """Read the data of such a file into a database whose tables are empty: all of it, or nothing.

    Raises:
        UpstreamFailure: If the program is missing or fails.
    """
    server = _ask_server(uri)
    program, listed = _list_dump(_find_programs("pg_restore", server.version), file)
    with tempfile.TemporaryDirectory() as folder:
        script = _write_script(program, file, listed, Path(folder) / "data")
        _drop_unknown_settings(script, server.settings)
        options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        _run_on(uri, program.with_name("psql"), [*options, f"--file={script}"])


def _ask_server(uri: str) -> _Server:
    """Ask a server for its version and settings.

    Raises:
        StoreUnavailable: If it does not answer.
    """
    try:
        with psycopg.connect(**_read_address(uri)) as connection:
            names = connection.execute("SELECT name FROM pg_settings").fetchall()
            return _Server(connection.info.server_version // 10_000, frozenset(name for (name,) in names))
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"The database does not answer: {error}") from error


def _find_programs(name: str, version: int) -> list[Path]:
    """Find the programs that can work with a server: that of its own version first, then newer ones.

    An old program refuses a newer server; what a newer one writes may say what an older server does not understand.

    Raises:
        StoreUnavailable: If there is none.
    """
    found = find_installed(name)
    fitting = [found[number] for number in sorted(found) if number >= version]
    if not fitting:
        there = (
            f"those found are of version {', '.join(map(str, sorted(found)))}" if found else "none was found"
        )
        raise StoreUnavailable(
            f"There is no program {name} for the server's PostgreSQL {version} ({there}). Install PostgreSQL's client "
            f"programs of that version; on Debian: apt-get install postgresql-client-{version}",
            retryable=False,
        )
    return fitting


def _list_dump(programs: Sequence[Path], file: Path) -> tuple[Path, list[str]]:
    """List the entries of a dump with the first program that can read it: one of a newer server has a newer format.

    Raises:
        UpstreamFailure: If none can.
    """
    for program in programs[:-1]:
        try:
            return program, _run([str(program), "--list", str(file)]).splitlines()
        except UpstreamFailure as error:
            if "unsupported version" not in error.message:
                raise
    return programs[-1], _run([str(programs[-1]), "--list", str(file)]).splitlines()


def _drop_unknown_settings(script: Path, known: frozenset[str]) -> None:
    """Remove the lines before the data that set what only newer servers know."""
    draft = script.with_suffix(".known")
    with script.open("rb") as lines, draft.open("wb") as kept:
        for line in lines:
            found = _SETTING.match(line.decode(errors="replace").rstrip())
            if found is None or found[1] in known:
                kept.write(line)
            if line.startswith(b"COPY "):
                kept.writelines(lines)  # from here on there are data, which may look like anything
    draft.replace(script)


def _write_script(program: Path, file: Path, listed: Sequence[str], place: Path) -> Path:
    """Write the SQL that restores some entries of a dump."""
    order, script = place.with_suffix(".list"), place.with_suffix(".sql")
    order.write_text("\n".join(listed) + "\n")
    always = ["--data-only", "--no-owner", "--no-privileges", f"--use-list={order}", f"--file={script}"]
    _run([str(program), *always, str(file)])
    return script


def _read_address(uri: str) -> dict[str, Any]:
    """Read the parameters of a connection, as libpq names them, out of an address."""
    url = make_url(uri).set(drivername="postgresql+psycopg")
    _, parameters = url.get_dialect()().create_connect_args(url)
    return dict(parameters)


def _run_on(uri: str, program: Path, options: list[str]) -> None:
    """Run a program on a database.

    Command lines can be read by every user of the machine, so nothing secret stands there: the password goes through
    the environment, and that of a client certificate's key through a service file that only we may read.
    """
    parameters = _read_address(uri)
    secrets = {name: str(parameters.pop(name)) for name in _SECRET_PARAMETERS if parameters.get(name)}
    environment = {"PGPASSWORD": secrets["password"]} if "password" in secrets else {}
    with tempfile.TemporaryDirectory() as folder:
        if "sslpassword" in secrets:
            file = Path(folder) / "service.conf"
            file.write_text(f"[flexmeasures]\nsslpassword={secrets['sslpassword']}\n")
            file.chmod(0o600)
            environment |= {"PGSERVICEFILE": str(file), "PGSERVICE": "flexmeasures"}
        _run([str(program), f"--dbname={make_conninfo(**parameters)}", *options], environment)


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UpstreamFailure(f"{Path(command[0]).name} failed: {done.stderr.strip()}", retryable=False)
    return done.stdout
