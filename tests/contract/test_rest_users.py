"""Users over REST: who may see and change whom, and the reset of a password with real mails."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flexmeasures.data.database import db
from flexmeasures.data.stores.users import find_user


def send(caller: Any, method: str, path: str, **kwargs: Any) -> Any:
    """Send a request to the current version."""
    return caller.client.open(f"/api/v2_0/{path}", method=method, headers=caller.headers, **kwargs)


@pytest.fixture
def ids(admin: Any) -> dict[str, int]:
    """Ids of users by name."""
    return {user["username"]: user["id"] for user in send(admin, "GET", "users").json}


def test_admin_lists_users(admin, owner, cast):
    """Admins list active users, or all of them; a user is shown with the documented fields, and no password."""
    listed = send(admin, "GET", "users").json
    assert len(listed) == 5
    assert listed[0].keys() == {
        "id", "email", "username", "active", "timezone", "flexmeasures_roles", "last_login_at",
    }  # fmt: skip
    assert send(admin, "PATCH", f"user/{cast.owner_id}", json={"active": False}).status_code == 200
    assert len(send(admin, "GET", "users").json) == 4
    assert len(send(admin, "GET", "users?include_inactive=true").json) == 5
    answer = send(admin, "GET", "users?include_inactive=perhaps")
    assert answer.json["message"] == {"query": {"include_inactive": ["Not a valid boolean."]}}


def test_others_do_not_list_users(owner, client):
    """The list is forbidden to all others, and closed without a token."""
    answer = send(owner, "GET", "users")
    assert (answer.status_code, answer.json["status"]) == (403, "FORBIDDEN")
    assert client.get("/api/v2_0/users").status_code == 401


def test_user_sees_oneself_only(owner, admin, cast, ids):
    """One sees one's own account; whether another exists is told to admins only."""
    own = send(owner, "GET", f"user/{cast.owner_id}").json
    assert (own["username"], own["status"]) == ("owner", 200)
    foreign, missing = (send(owner, "GET", f"user/{i}") for i in (ids["stranger"], 9999))
    assert foreign.status_code == missing.status_code == 403
    assert foreign.json == missing.json
    assert send(admin, "GET", f"user/{ids['stranger']}").status_code == 200
    answer = send(admin, "GET", "user/9999")
    assert (answer.status_code, answer.json["message"]) == (404, "User 9999 not found")
    assert send(admin, "GET", "user/somebody").json["status"] == "REQUIRED_INFO_MISSING"


def test_user_changes_own_address_name_and_zone(owner, cast):
    """One changes one's own address, name and time zone; an id is ignored."""
    answer = send(
        owner,
        "PATCH",
        f"user/{cast.owner_id}",
        json={"email": "New.Owner@Seita.NL", "username": "New owner", "timezone": "Asia/Seoul", "id": 77},
    )
    assert answer.status_code == 200, answer.json
    assert answer.json["email"] == "New.Owner@seita.nl"
    assert (answer.json["username"], answer.json["timezone"]) == ("New owner", "Asia/Seoul")
    assert answer.json["id"] == cast.owner_id


@pytest.mark.parametrize("changes", [{"active": False}, {"active": True}, {"flexmeasures_roles": [1]}])
@pytest.mark.parametrize("who", ["owner", "admin"])
def test_nobody_changes_own_rights(request, ids, who, changes):
    """Own roles and activation cannot be changed, not even by admins, and nothing else of the request is done."""
    caller = request.getfixturevalue(who)
    answer = send(caller, "PATCH", f"user/{ids[who]}", json={**changes, "timezone": "Asia/Seoul"})
    assert (answer.status_code, answer.json["status"]) == (403, "FORBIDDEN")
    assert send(caller, "GET", f"user/{ids[who]}").json["timezone"] == "Europe/Amsterdam"


def test_user_cannot_change_others(owner, ids):
    """Another's account is closed to those who are no admin."""
    assert send(owner, "PATCH", f"user/{ids['stranger']}", json={"timezone": "UTC"}).status_code == 403


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"email": "no address"}, "email", "not a valid email"),
        ({"email": None}, "email", "may not be null"),
        ({"timezone": "Mars/Olympus"}, "timezone", "unknown"),
        ({"username": ""}, "username", "Shorter"),
        ({"flexmeasures_roles": [999, 10**12]}, "flexmeasures_roles", "No role found with id 999"),
        ({"flexmeasures_roles": "admin"}, "flexmeasures_roles", "Not a valid list."),
        ({"active": "maybe"}, "active", "Not a valid boolean."),
        ({"password": "secret"}, "password", "Unknown field."),
    ],
)
def test_wrong_changes_are_explained(admin, cast, changes, field, text):
    """A wrong field is refused by its name, and no role is made up."""
    answer = send(admin, "PATCH", f"user/{cast.owner_id}", json=changes)
    assert answer.status_code == 422, answer.json
    assert text in answer.json["message"]["json"][field][0]


def test_taken_names_clash(admin, cast):
    """An address or name that somebody else has is refused; one's own is fine."""
    for changes in ({"email": cast.stranger_email.upper()}, {"username": "stranger"}):
        answer = send(admin, "PATCH", f"user/{cast.owner_id}", json=changes)
        assert answer.status_code == 400
        assert answer.json.keys() == {"message", "detail", "status"}
    own = {"email": cast.owner_email, "username": "owner"}
    assert send(admin, "PATCH", f"user/{cast.owner_id}", json=own).status_code == 200


def test_admin_gives_and_takes_roles(admin, cast):
    """The list of role ids becomes the user's roles."""
    path = f"user/{cast.owner_id}"
    before = send(admin, "GET", path).json["flexmeasures_roles"]
    roles = sorted(
        {
            *before,
            *next(u for u in send(admin, "GET", "users").json if u["username"] == "supplier")[
                "flexmeasures_roles"
            ],
        }
    )
    assert send(admin, "PATCH", path, json={"flexmeasures_roles": roles}).json["flexmeasures_roles"] == roles
    assert send(admin, "PATCH", path, json={"flexmeasures_roles": []}).json["flexmeasures_roles"] == []


def test_deactivation_ends_tokens_and_cookies(admin, owner, cast, app):
    """Whoever is deactivated is out at once, and stays out with the old token after coming back."""
    browser = app.test_client()
    browser.post("/login", data={"email": cast.owner_email, "password": cast.password})
    assert browser.get("/api/v2_0/assets").status_code == 200
    assert send(admin, "PATCH", f"user/{cast.owner_id}", json={"active": False}).json["active"] is False
    assert send(owner, "GET", "assets").status_code == 401
    assert browser.get("/api/v2_0/assets").status_code == 401
    send(admin, "PATCH", f"user/{cast.owner_id}", json={"active": True})
    assert send(owner, "GET", "assets").status_code == 401


@pytest.mark.parametrize("who", ["admin", "owner"])
def test_password_reset_sends_two_mails_and_ends_everything(request, cast, app, postbox, client, who):
    """After a reset the password, tokens and cookies are dead, and a mail leads to a page for a new password."""
    owner = request.getfixturevalue("owner")
    caller = request.getfixturevalue(who)
    answer = send(caller, "PATCH", f"user/{cast.owner_id}/password-reset")
    assert (answer.status_code, answer.json) == (200, {"status": 200}), answer.json
    assert send(owner, "GET", "assets").status_code == 401
    login = {"email": cast.owner_email, "password": cast.password}
    assert client.post("/api/requestAuthToken", json=login).status_code == 401

    notice, instructions = postbox.mails
    assert "has been reset" in notice["Subject"]
    assert "reset instructions" in instructions["Subject"]
    assert notice["To"] == instructions["To"] == cast.owner_email
    assert notice["From"] == "FlexMeasures <no-reply@example.com>"
    text = instructions.get_body(("plain",)).get_content()
    assert "Hello owner," in text
    assert "{{" not in text + notice.get_body(("plain",)).get_content()
    (link,) = re.findall(r"^http://localhost(/reset/\S+)\r?$", text, re.MULTILINE)
    chosen = {"password": "a new horse", "password_confirm": "a new horse"}
    assert app.test_client().post(link, data=chosen).status_code == 302
    assert client.post("/api/requestAuthToken", json={**login, "password": "a new horse"}).status_code == 200
    # The link works once: after that it leads back to the page that asks for another one.
    app.test_client().post(link, data={"password": "mine all mine", "password_confirm": "mine all mine"})
    assert client.post("/api/requestAuthToken", json={**login, "password": "a new horse"}).status_code == 200


def test_reset_is_for_oneself_and_admins(owner, client, ids):
    """A stranger's password cannot be reset, and without a token nobody's."""
    assert send(owner, "PATCH", f"user/{ids['stranger']}/password-reset").status_code == 403
    assert client.patch(f"/api/v2_0/user/{ids['stranger']}/password-reset").status_code == 401


def test_reset_changes_nothing_if_mails_cannot_be_sent(admin, cast, app):
    """Without a mail server the old password stays, so that nobody is locked out without knowing why."""
    app.config["MAIL_SERVER"], app.config["MAIL_PORT"] = "127.0.0.1", 9
    with app.app_context():
        before = find_user(db.session, email=cast.owner_email).password
    answer = send(admin, "PATCH", f"user/{cast.owner_id}/password-reset")
    assert (answer.status_code, answer.json["status"]) == (503, "SERVICE_UNAVAILABLE")
    assert "MAIL_SERVER" in answer.json["message"]
    with app.app_context():
        assert find_user(db.session, email=cast.owner_email).password == before
