"""The audit log: who changed what, which logins failed, and that no secret is written anywhere."""

from __future__ import annotations

import json
import logging

import pytest
from sqlalchemy import select, text

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, User
from flexmeasures.services.audit import AuditQuestion, list_readable_audit_entries


@pytest.fixture
def log(command):
    """Read the audit log as the command writes it, the newest entry first."""

    def read(*words: str) -> list[dict]:
        return json.loads(command("show", "audit-log", "--limit", "1000", *words, "--json"))

    return read


def events(rows):
    """List what was done, the oldest first."""
    return [row["event"] for row in reversed(rows)]


def test_a_life_of_an_asset_is_noted(app, cast, admin, log):
    """Creation, changes with old and new values, sensors and deletion are noted, with who did it."""
    fields = {
        "name": "new battery",
        "display_name": "new battery",
        "asset_type_name": "battery",
        "unit": "MW",
        "capacity_in_mw": 1,
        "event_resolution": 15,
        "latitude": 52,
        "longitude": 4,
        "owner_id": cast.owner_id,
        "market_id": cast.market,
    }
    made = admin.client.post("/api/v2_0/assets", json=fields, headers=admin.headers)
    assert made.status_code == 201, made.json
    number = made.json["id"]
    path = f"/api/v2_0/asset/{number}"
    assert admin.client.patch(path, json={"latitude": 51.5}, headers=admin.headers).status_code == 200
    assert admin.client.delete(path, headers=admin.headers).status_code == 204
    rows = log("--asset", str(number))
    assert events(rows) == [
        f"Created asset 'new battery': {number}",
        f"Created sensor 'new battery': {number}",
        "Updated: latitude, From: 52.0, To: 51.5",
        f"Deleted asset 'new battery': {number}",
    ]
    assert {row["active_user_id"] for row in rows} == {cast.admin_id}
    assert rows[0]["active_user_name"] == "admin"


def test_users_roles_and_passwords_are_noted(app, command, log):
    """A user's creation, roles, activation, password and deletion are noted; the password itself is not."""
    command(
        *("add", "user", "--username", "me", "--email", "me@example.com", "--roles", "Prosumer"),
        typed="Secret-1\n",
    )
    command("roles", "create", "ESCo")
    command("roles", "add", "me@example.com", "ESCo")
    command("roles", "remove", "me@example.com", "Prosumer")
    command("users", "deactivate", "me@example.com")
    command("users", "change_password", "me@example.com", "--password", "Quite-another-2")
    command("delete", "user", "--email", "me@example.com", "--yes")
    rows = log("--user", "1")
    assert events(rows) == [
        "Created user 'me': 1",
        "Roles of user 'me': 1 added: Prosumer",
        "Roles of user 'me': 1 added: ESCo",
        "Roles of user 'me': 1 removed: Prosumer",
        "Updated: active, From: True, To: False",
        "Changed the password of user 'me': 1",
        "Deleted user 'me': 1",
    ]
    assert {row["active_user_id"] for row in rows} == {None}
    assert "Created role 'ESCo': 2" in events(log())


def test_failed_and_locked_logins_are_noted(app, cast, client, log):
    """A wrong password is noted at both entrances, and that the login is locked is noted once."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    wrong = {"email": cast.owner_email, "password": "a wrong guess"}
    assert client.post("/api/requestAuthToken", json=wrong).status_code == 401
    assert client.post("/login", data=wrong).status_code == 200
    for _ in range(3):
        assert client.post("/api/requestAuthToken", json=wrong).status_code == 429
    failed = f"Login of user 'owner': {cast.owner_id} failed: wrong password"
    locked = f"Login of user 'owner': {cast.owner_id} is locked for a while: too many attempts have failed"
    assert [one for one in events(log("--user", str(cast.owner_id))) if "Login" in one] == [
        failed,
        failed,
        locked,
    ]
    unknown = {"email": "nobody@example.com", "password": "a wrong guess"}
    assert client.post("/api/requestAuthToken", json=unknown).status_code == 404
    assert not any("nobody" in one for one in events(log()))


def test_what_is_undone_is_not_noted(app, cast, log):
    """An entry belongs to the transaction of its change: both are there, or none."""
    with app.app_context():
        db.session.get_one(Asset, cast.assets["battery"]).latitude = 1.0
        db.session.flush()
        db.session.rollback()
    assert not any("latitude" in one for one in events(log("--asset", str(cast.assets["battery"]))))


def test_readers_see_what_concerns_them(app, cast):
    """Admins read everything, an account's admin what concerns the account, others what they did or what is theirs."""
    with app.app_context():
        session = db.session()
        by_name = {user.username: user for user in session.scalars(select(User))}
        everything = len(list_readable_audit_entries(session, by_name["admin"], AuditQuestion(), 10_000))
        assert everything == session.scalar(text("select count(*) from audit_log"))
        own = list_readable_audit_entries(session, by_name["owner"], AuditQuestion(), 10_000)
        assert own
        assert {entry.user_id for entry in own} == {cast.owner_id}
        session.execute(text("insert into role (name) values ('account-admin')"))
        session.execute(
            text("insert into roles_users select :user, id from role where name = 'account-admin'"),
            {"user": cast.owner_id},
        )
        session.expire_all()
        led = list_readable_audit_entries(session, by_name["owner"], AuditQuestion(), 10_000)
        assert {entry.asset_id for entry in led} >= set(cast.assets.values())
        others = {user.id for user in by_name.values()} - {cast.owner_id}
        assert not {entry.user_id for entry in led} & others
        session.rollback()


def test_attributes_are_named_without_their_values(app, cast, command, log):
    """Attributes may hold anything, so the log names the field alone."""
    battery = str(cast.assets["battery"])
    command("edit", "attribute", "--asset", battery, "--attribute", "key", "--str", "a-secret-of-the-device")
    assert events(log("--asset", battery))[-1] == "Updated: attributes"


PASSWORDS = ("Secret-password-1", "Another-password-2", "A-wrong-password-3")


def test_no_secret_is_written(app, client, command, postbox, caplog, log):
    """A scenario with passwords, tokens and keys leaves none of them in the log, the audit log or what commands say."""
    caplog.set_level(logging.DEBUG)
    good, other, wrong = PASSWORDS
    said = [
        command(
            *("add", "user", "--username", "me", "--email", "me@example.com", "--roles", "admin"),
            typed=f"{good}\n",
        ),
        command("users", "change_password", "me@example.com", "--password", other),
        command("users", "create", "you@example.com", "--password", good, "--active"),
        command("show", "users"),
    ]
    refused = client.post("/api/requestAuthToken", json={"email": "me@example.com", "password": wrong})
    answer = client.post("/api/requestAuthToken", json={"email": "me@example.com", "password": other})
    token = answer.json["auth_token"]
    client.get("/api/v2_0/users", headers={"Authorization": token})
    client.post("/login", data={"email": "me@example.com", "password": wrong})
    client.post("/reset", data={"email": "me@example.com"})
    with app.app_context():
        hashes = list(db.session.scalars(text("select password from fm_user")))
        uniquifiers = list(db.session.scalars(text("select fs_uniquifier from fm_user")))
        log_rows = [str(tuple(row)) for row in db.session.execute(text("select * from audit_log"))]
    written = "\n".join([*said, refused.text, caplog.text, *log_rows, json.dumps(log())])
    secrets = [*PASSWORDS, token, app.config["SECRET_KEY"], *hashes, *uniquifiers]
    assert len(secrets) > 8
    assert [secret for secret in secrets if secret in written] == []
