"""Files and command lines that hold secrets: nobody but their owner can read them."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from flexmeasures.app import create
from flexmeasures.data import server_tools
from flexmeasures.data.database import db
from flexmeasures.data.embedded.postgres import _SUPERUSER
from flexmeasures.data.server_tools import dump_database
from flexmeasures.domain.errors import StoreUnavailable
from flexmeasures.services.backups import BackupTables, save_backup
from flexmeasures.testing import CAST_DAY

PASSWORD = "a b'c\"d\\e@f:g/h?i=j%k&l#é"
"""A password with the signs that mean something in addresses, in shells and in connection strings."""


def mode(path: Path) -> int:
    """Read the mode of a path."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    """A program in the place of pg_dump that notes its arguments and environment."""
    noted = tmp_path / "noted.json"
    program = tmp_path / "pg_dump"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "service = os.environ.get('PGSERVICEFILE')\n"
        f"json.dump([sys.argv, dict(os.environ), service and open(service).read()], open({str(noted)!r}, 'w'))\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(server_tools, "_ask_server", lambda _: server_tools._Server(18, frozenset()))
    monkeypatch.setattr(server_tools, "_find_programs", lambda *_: [program])
    return lambda: json.loads(noted.read_text())


@pytest.mark.parametrize("where", ["address", "query"])
def test_a_password_is_in_no_command_line(recorder, tmp_path, where):
    """However an address carries the password, pg_dump gets it whole, and not as an argument."""
    secret = quote(PASSWORD, safe="")
    uri = (
        f"postgresql://me:{secret}@db.example.com:5433/the%20data?sslmode=require&sslpassword=key+word"
        if where == "address"
        else f"postgresql+psycopg://me@db.example.com:5433/the%20data?password={secret}&sslpassword=key+word"
    )
    dump_database(uri, tmp_path / "file.dump")
    words, environment, service = recorder()
    assert environment["PGPASSWORD"] == PASSWORD
    assert "sslpassword=key word" in service
    (target,) = (word.removeprefix("--dbname=") for word in words if word.startswith("--dbname="))
    parts = psycopg.conninfo.conninfo_to_dict(target)
    assert {name: parts[name] for name in ("host", "port", "user", "dbname")} == {
        "host": "db.example.com", "port": "5433", "user": "me", "dbname": "the data",
    }  # fmt: skip
    assert not {"password", "sslpassword"} & parts.keys()


def test_a_dump_belongs_to_its_owner_alone(app, cast, tmp_path):
    """A dump holds hashes of passwords: its mode is 0600, whatever the umask."""
    before = os.umask(0)
    try:
        dump_database(app.config["SQLALCHEMY_DATABASE_URI"], tmp_path / "file.dump")
    finally:
        os.umask(before)
    assert mode(tmp_path / "file.dump") == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file.dump"]


def test_a_database_with_a_password_of_signs_can_be_dumped(app, cast, tmp_path):
    """A role whose password holds spaces and signs dumps its database."""
    db_uri = app.config["SQLALCHEMY_DATABASE_URI"]
    # The platform's own role may not make others.
    superuser = make_url(db_uri).set(drivername="postgresql", username=_SUPERUSER)
    with psycopg.connect(superuser.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create role signs superuser login password {}").format(sql.Literal(PASSWORD))
        )
    uri = db_uri.replace("flexmeasures@", f"signs:{quote(PASSWORD, safe='')}@", 1)
    assert uri != db_uri
    try:
        dump_database(uri, tmp_path / "file.dump")
        assert (tmp_path / "file.dump").stat().st_size > 1000
    finally:
        with psycopg.connect(superuser.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute("drop role signs")


def test_a_failing_dump_says_no_password(app, tmp_path):
    """What pg_dump complains about a server that is away names no password, and no half file stays."""
    with pytest.raises(StoreUnavailable) as refused:
        dump_database("postgresql://me:geheim@127.0.0.1:1/x", tmp_path / "file.dump")
    assert "geheim" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_belongs_to_its_owner_alone(app, cast, tmp_path):
    """Folder and files of a backup are for their owner only."""
    before = os.umask(0)
    try:
        with app.app_context():
            save_backup(db.session, tmp_path / "backups", "mine", BackupTables(), CAST_DAY)
    finally:
        os.umask(before)
    folder = tmp_path / "backups" / "mine"
    assert [mode(path) for path in (folder.parent, folder)] == [0o700, 0o700]
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_logs_belong_to_their_owner_alone(app, monkeypatch, tmp_path):
    """Logs and their folder are for their owner only, whatever the umask."""
    log = logging.getLogger("flexmeasures")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "level", log.level)
    before = os.umask(0)
    try:
        made = create(
            "development",
            settings={
                "FLEXMEASURES_INSTANCE_PATH": str(tmp_path),
                "SQLALCHEMY_DATABASE_URI": app.config["SQLALCHEMY_DATABASE_URI"],
                "FLEXMEASURES_REDIS_URL": app.extensions["embedded"].services.redis_url,
                "SECRET_KEY": "0123456789abcdefghij",
            },
        )
        made.test_client().get("/api/")
        log.error("Something")
    finally:
        os.umask(before)
        for handler in (*log.handlers, *made.extensions["access_log"].handlers):
            handler.close()
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"access.log", "flexmeasures.log"}
    assert mode(tmp_path / "logs") == 0o700
    assert {mode(path) for path in (tmp_path / "logs").iterdir()} == {0o600}
