"""``db-ops dump`` and ``restore``: on the embedded PostgreSQL, and on older servers that are installed here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import func, select

from flexmeasures.app import create
from flexmeasures.cli.db_ops import db_ops
from flexmeasures.data import server_tools
from flexmeasures.data.database import db
from flexmeasures.data.postgres_programs import read_version
from flexmeasures.data.tables import Asset, belief
from flexmeasures.domain.errors import StoreUnavailable
from flexmeasures.testing import make_cast

pytestmark = pytest.mark.faults

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@pytest.fixture(scope="module", params=INSTALLED or [None], ids=lambda path: path and path.parts[-3])
def installed_app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application on a server of the machine's own PostgreSQL (Debian: apt-get install postgresql)."""
    if request.param is None:
        pytest.skip("no PostgreSQL is installed on this machine (Debian: apt-get install postgresql)")
    program = request.param
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="fm-pg-", dir="/tmp"))
    if prefix:
        os.chown(folder, 65534, 65534)
    data = folder / "data"
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    initdb = [*prefix, program.with_name("initdb"), "-D", data, "-U", "flex", "--auth=trust", "--no-sync"]
    subprocess.run([*initdb, "--encoding=UTF8", "--locale=C"], check=True, **quiet)
    control = [*prefix, program.with_name("pg_ctl"), "-D", data, "-w"]
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    subprocess.run([*control, "-o", options, "start"], check=True, **quiet)
    subprocess.run([program.with_name("createdb"), "-h", folder, "-U", "flex", "flex"], check=True, **quiet)
    settings = {
        "FLEXMEASURES_INSTANCE_PATH": str(folder / "instance"),
        "SQLALCHEMY_DATABASE_URI": f"postgresql://flex@/flex?host={folder}",
    }
    try:
        app = create("testing", settings=settings)
        with app.app_context():
            flask_migrate.upgrade()
        yield app
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
        app.extensions["embedded"].services.leave()
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, **quiet)
        shutil.rmtree(folder, ignore_errors=True)


def _run(app: Flask, *words: str) -> str:
    done = app.test_cli_runner().invoke(db_ops, list(words), input="y\n")
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def _count(app: Flask) -> tuple[int, int]:
    with app.app_context():
        counted = tuple(
            db.session.scalar(select(func.count()).select_from(table)) for table in (Asset, belief)
        )
        db.session.remove()
    return counted


def _dump_and_restore(app: Flask, folder: Path, monkeypatch: Any) -> str:
    monkeypatch.chdir(folder)
    before = _count(app)
    assert min(before) > 0
    file = re.search(r"saved to (.*)", _run(app, "dump"))[1]
    _run(app, "reset")
    assert _count(app) == (0, 0)
    _run(app, "restore", file)
    assert _count(app) == before
    return file


def test_embedded_database_is_dumped_and_restored(app, cast, tmp_path, monkeypatch):
    """What was dumped, reset and restored is there again."""
    _dump_and_restore(app, tmp_path, monkeypatch)


def test_database_of_an_older_server_is_dumped_and_restored(installed_app, tmp_path, monkeypatch):
    """The programs of the server's own version are used, so that it understands what they wrote."""
    with installed_app.app_context():
        make_cast(db.session)
        db.session.commit()
    _dump_and_restore(installed_app, tmp_path, monkeypatch)


def test_without_programs_of_its_version_newer_ones_do(installed_app, tmp_path, monkeypatch):
    """Where only the embedded programs are found, what an older server does not know is left out of what it reads."""
    monkeypatch.setattr("flexmeasures.data.postgres_programs._FOLDERS", ())
    monkeypatch.setattr("flexmeasures.data.postgres_programs.shutil.which", lambda _: None)
    with installed_app.app_context():
        if not db.session.scalar(select(func.count()).select_from(Asset)):
            make_cast(db.session)
            db.session.commit()
        db.session.remove()
    _dump_and_restore(installed_app, tmp_path, monkeypatch)


def test_programs_are_those_of_the_server(app, monkeypatch):
    """Of several versions that of the server is taken, then the next newer one; older ones are refused by name."""
    there = {14: Path("14"), 15: Path("15"), 16: Path("16"), 18: Path("18")}
    monkeypatch.setattr(server_tools, "find_installed", lambda _: there)
    assert server_tools._find_programs("pg_dump", 15)[0] == Path("15")
    assert server_tools._find_programs("pg_dump", 17)[0] == Path("18")
    with pytest.raises(StoreUnavailable, match=r"(?s)PostgreSQL 19.*14, 15, 16, 18.*postgresql-client-19"):
        server_tools._find_programs("pg_dump", 19)


def test_versions_are_read():
    """The major version of a program is what it says itself."""
    for program in INSTALLED:
        assert read_version(program) == int(program.parts[-3])
