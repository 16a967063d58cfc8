"""Backups: saved and loaded by command, restored over HTTP in play mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from flexmeasures.cli.db_ops import db_ops
from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, Sensor, User, belief
from flexmeasures.testing import make_sensor


@pytest.fixture
def folder(app: Any, tmp_path: Path) -> Path:
    """Where backups are kept; the platform plays."""
    app.config["FLEXMEASURES_DB_BACKUP_PATH"] = str(tmp_path)
    app.config["FLEXMEASURES_MODE"] = "play"
    return tmp_path


def run(app: Any, *arguments: str, **kwargs: Any) -> Any:
    """Run a command of the group."""
    answer = app.test_cli_runner().invoke(db_ops, list(arguments), **kwargs)
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer


def restore(caller: Any, path: str = "restoreData", **kwargs: Any) -> Any:
    """Ask for the restoration of a backup."""
    return caller.client.put(f"/api/{path}", headers=caller.headers, **kwargs)


def count_beliefs() -> int:
    """Count all beliefs; needs an app context."""
    return db.session.scalar(select(func.count()).select_from(belief))


@pytest.mark.parametrize("path", ["restoreData", "v1/restoreData", "v1_3/restoreData", "v2_0/restoreData"])
def test_restored_database_is_as_it_was(admin, owner, app, cast, folder, path):
    """A restored backup takes the place of everything: what was changed, added and removed since."""
    run(app, "save", "--name", "demo_v0", "--data")
    with app.app_context():
        beliefs = count_beliefs()
    battery = cast.assets["battery"]
    owner.client.patch(f"/api/v2_0/asset/{battery}", json={"name": "Changed"}, headers=owner.headers)
    owner.client.delete(f"/api/v2_0/asset/{cast.assets['solar']}", headers=owner.headers)
    with app.app_context():
        db.session.execute(belief.delete())
        db.session.commit()

    answer = restore(admin, path, json={"backup": "demo_v0"})
    assert answer.status_code == 200, answer.json
    assert answer.json == {
        "type": "RestoreDataResponse",
        "status": "PROCESSED",
        "message": "Request has been processed. Database restored to demo_v0.",
    }
    with app.app_context():
        assert db.session.get(Asset, battery).name == "Test battery"
        assert db.session.get(Asset, cast.assets["solar"]) is not None
        assert count_beliefs() == beliefs
        # The next sensor gets an id that none has had.
        highest = db.session.scalar(select(func.max(Sensor.id)))
        assert (
            db.session.scalar(db.text("select nextval(pg_get_serial_sequence('sensor', 'id'))"))
            == highest + 1
        )
    assert len(owner.client.get("/api/v2_0/assets", headers=owner.headers).json) == 5


def test_backup_is_text_for_its_owner_only(app, cast, folder):
    """A backup is a folder of CSV files with a list of contents, closed to others since it holds password hashes."""
    answer = run(app, "save", "--name", "all", "--data")
    assert "Successfully saved all/fm_user." in answer.output
    lines = (folder / "all" / "asset.csv").read_text().splitlines()
    assert {"id", "name", "display_name", "asset_type_name"} < set(lines[0].split(","))
    rows = len(cast.assets) + 1 + 2  # the stranger's, and two markets
    assert len(lines) == 1 + rows
    contents = json.loads((folder / "all" / "contents.json").read_text())
    assert contents["rows"]["asset"] == rows
    assert (folder / "all").stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.iterdir()] == ["all"]


@pytest.mark.usefixtures("folder")
def test_restoring_needs_a_known_backup_and_an_admin(admin, owner, client, tmp_path):
    """Without a name, with an unknown one, or one that leads elsewhere, nothing happens; others may not ask at all."""
    (tmp_path.parent / "contents.json").write_text("{}")
    for sent, status in (
        ({"json": {}}, "NO_BACKUP"),
        ({}, "NO_BACKUP"),
        ({"json": {"backup": 3}}, "NO_BACKUP"),
        ({"json": {"backup": "nothing"}}, "UNRECOGNIZED_BACKUP"),
        ({"json": {"backup": ".."}}, "UNRECOGNIZED_BACKUP"),
        ({"json": {"backup": "../x"}}, "UNRECOGNIZED_BACKUP"),
        ({"query_string": {"backup": "nothing"}}, "UNRECOGNIZED_BACKUP"),
    ):
        answer = restore(admin, **sent)
        assert (answer.status_code, answer.json["status"]) == (400, status)
    assert restore(owner, json={"backup": "x"}).status_code == 403
    assert client.put("/api/restoreData", json={"backup": "x"}).status_code == 401


def test_elsewhere_there_is_no_such_service(admin, app, folder):
    """Outside play mode nobody can restore anything over HTTP."""
    run(app, "save", "--name", "demo")
    app.config["FLEXMEASURES_MODE"] = ""
    assert restore(admin, json={"backup": "demo"}).status_code == 404


@pytest.mark.parametrize("damage", ["rows", "schema"])
def test_damaged_backup_changes_nothing(admin, app, cast, folder, damage):
    """A backup with a damaged file, or made with another schema, is refused, and all stays as it was."""
    run(app, "save", "--name", "demo")
    if damage == "rows":
        with (folder / "demo" / "asset.csv").open("a") as file:
            file.write("this,is,no,asset\n")
    else:
        contents = json.loads((folder / "demo" / "contents.json").read_text())
        (folder / "demo" / "contents.json").write_text(json.dumps({**contents, "schema": "0000"}))
    with app.app_context():
        before = count_beliefs()
    answer = restore(admin, json={"backup": "demo"})
    assert answer.status_code == 422, answer.json
    with app.app_context():
        assert count_beliefs() == before
        assert db.session.query(Asset).filter(Asset.is_connection).count() == len(cast.assets) + 1


def test_loading_keeps_what_is_not_in_the_backup(app, cast, folder):
    """Loading replaces the rows of a backup and keeps others; data are loaded only if asked for."""
    run(app, "save", "--name", "demo", "--data")
    with app.app_context():
        user = db.session.get(User, cast.owner_id)
        user.username = "changed"
        make_sensor(db.session, "new")
        db.session.execute(belief.delete())
        db.session.commit()
    answer = run(app, "load", "--name", "demo")
    assert "Successfully loaded demo/fm_user." in answer.output
    with app.app_context():
        assert db.session.get(User, cast.owner_id).username == "owner"
        assert db.session.scalar(select(Sensor).where(Sensor.name == "new")) is not None
        assert count_beliefs() == 0
    assert "demo/belief" in run(app, "load", "--name", "demo", "--data", "--no-structure").output
    with app.app_context():
        assert count_beliefs() > 0


def test_names_of_backups(app, cast, folder):
    """A backup needs a name that is a plain one, and is never written over."""
    for arguments, text in (
        (["save"], "Please name the backup"),
        (["save", "--name", "../x"], "is not a name for a backup"),
        (["load", "--name", "nothing"], "There is no backup"),
    ):
        answer = app.test_cli_runner().invoke(db_ops, arguments)
        assert answer.exit_code == 1
        assert text in f"{answer.output}{answer.exception}"
    run(app, "save", "--name", "demo")
    answer = app.test_cli_runner().invoke(db_ops, ["save", "--name", "demo"])
    assert "already exists" in str(answer.exception)


def test_dump_reset_and_restore(app, cast, tmp_path, monkeypatch):
    """What pg_dump wrote can be read back after a reset, and the reset asks first."""
    monkeypatch.chdir(tmp_path)
    with app.app_context():
        before = count_beliefs()
    assert "db dump successful" in run(app, "dump").output
    (file,) = tmp_path.glob("pgbackup_*.dump")
    assert "I did nothing." in run(app, "reset", input="n\n").output
    assert run(app, "reset", input="y\n").exit_code == 0
    with app.app_context():
        assert count_beliefs() == 0
        assert db.session.query(User).count() == 0
    assert "db restore successful" in run(app, "restore", str(file)).output
    with app.app_context():
        assert count_beliefs() == before
        assert db.session.get(Asset, cast.assets["battery"]).name == "Test battery"
