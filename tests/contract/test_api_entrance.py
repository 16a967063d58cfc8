"""The entrance of the API: versions, tokens, listings, roles and wrong methods."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from flexmeasures.api.usef.versions import ALL_ROLES, SERVICES, VERSIONS
from flexmeasures.data.database import db
from flexmeasures.data.tables import User
from flexmeasures.services.users import create_user

EVERY_SERVICE = [(version, service) for service in SERVICES for version in service.versions]


def test_versions_are_listed(client):
    """The entrance names the versions, the package's version and what to do next."""
    answer = client.get("/api/")
    assert answer.json["versions"] == ["v1", "v1_1", "v1_2", "v1_3", "v2_0"]
    assert answer.json["status"] == 200
    assert "getService" in answer.json["message"]
    assert "requestAuthToken" in answer.json["message"]
    assert client.get("/api").status_code == 308


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({}, 400, id="nothing"),
        pytest.param({"email": "owner@seita.nl"}, 400, id="no password"),
        pytest.param({"email": "nobody@seita.nl", "password": "x"}, 404, id="unknown address"),
        pytest.param({"email": "owner@seita.nl", "password": "wrong"}, 401, id="wrong password"),
        pytest.param({"email": ["owner@seita.nl"], "password": "x"}, 400, id="address of a wrong type"),
        pytest.param({"email": "owner@seita.nl", "password": 7}, 400, id="password of a wrong type"),
        pytest.param({"email": "%@seita.nl", "password": "correct horse"}, 404, id="wildcard in the address"),
        pytest.param([], 400, id="a list"),
        pytest.param({"email": "a\u0000@seita.nl", "password": "x"}, 422, id="NUL character"),
    ],
)
def test_tokens_are_refused(client, cast, body, status):
    """Who does not identify themselves gets no token, and is told why."""
    answer = client.post("/api/requestAuthToken", json=body)
    assert answer.status_code == status
    assert answer.json.get("errors") or answer.json["message"]


def test_tokens_need_json(client, cast):
    """Form data and malformed JSON are refused."""
    assert client.post("/api/requestAuthToken", data={"email": "owner@seita.nl"}).status_code == 400
    broken = client.post("/api/requestAuthToken", data="{", content_type="application/json")
    assert broken.status_code == 400


def test_a_token_names_its_user(client, cast):
    """A token comes with the id of its user, and addresses are compared without case."""
    answer = client.post("/api/requestAuthToken", json={"email": "OWNER@seita.nl", "password": cast.password})
    assert answer.json["user_id"] == cast.owner_id
    assert answer.json["auth_token"]


def test_an_inactive_user_gets_no_token(app, client, owner, cast):
    """An account that was closed gives no token, and its old token opens nothing."""
    with app.app_context():
        db.session.get(User, cast.owner_id).active = False
        db.session.commit()
    body = {"email": cast.owner_email, "password": cast.password}
    assert client.post("/api/requestAuthToken", json=body).status_code == 401
    assert owner.get("getConnection").status_code == 401


def test_tokens_expire(app, owner):
    """A token older than the limit opens nothing."""
    app.config["SECURITY_TOKEN_MAX_AGE"] = timedelta(seconds=1)
    assert owner.get("getConnection").status_code == 200
    time.sleep(2.1)
    assert owner.get("getConnection").status_code == 401


def test_a_new_uniquifier_ends_all_tokens(app, owner, cast):
    """Resetting what tokens hold makes them invalid."""
    with app.app_context():
        db.session.get(User, cast.owner_id).fs_uniquifier = "something else"
        db.session.commit()
    assert owner.get("getConnection").status_code == 401


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "ä"])
def test_a_wrong_token_opens_nothing(client, cast, token):
    """A token that we did not sign is as good as none."""
    headers = {"Authorization": token.encode("latin-1").decode("latin-1")}
    assert client.get("/api/v2_0/getConnection", headers=headers).status_code == 401


def test_a_token_may_stand_in_the_query(owner):
    """Programs that cannot set headers may send the token as a query parameter."""
    token = owner.headers["Authorization"]
    answer = owner.client.get("/api/v2_0/getConnection", query_string={"auth_token": token})
    assert answer.status_code == 200


@pytest.mark.parametrize(("version", "service"), EVERY_SERVICE, ids=lambda part: getattr(part, "name", part))
def test_services_are_closed_to_others(client, cast, version, service):
    """Without a token every service but the listing answers 401, in its own type, as JSON."""
    if service.public:
        pytest.skip("open to all")
    for method in service.methods:
        answer = client.open(f"/api/{version}/{service.name}", method=method)
        assert (answer.status_code, answer.json["status"]) == (401, "UNAUTHORIZED")
        assert answer.json["type"] == service.response_type


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_wrong_methods_are_named(client, cast, version, method):
    """A method that a service does not have is refused with INVALID_METHOD, and the right one is named."""
    answer = client.open(f"/api/{version}/postMeterData", method=method)
    assert (answer.status_code, answer.json["status"]) == (405, "INVALID_METHOD")
    assert "POST" in answer.json["message"]
    assert "POST" in answer.headers["Allow"]


def test_unknown_paths_answer_in_json(client, cast):
    """Under /api every answer is JSON."""
    answer = client.get("/api/v2_0/getNothing")
    assert (answer.status_code, answer.json["status"]) == (404, 404)


@pytest.mark.parametrize("version", VERSIONS.values(), ids=list(VERSIONS))
def test_services_are_listed(client, cast, version):
    """Each version lists its own services; a role lists those that it may use."""
    answer = client.get(f"/api/{version.prefix}/getService")
    assert (answer.json["type"], answer.json["version"]) == ("GetServiceResponse", version.number)
    assert answer.json["status"] == "PROCESSED"
    listed = {service["name"] for service in answer.json["services"]}
    assert {s.name for s in SERVICES if version.prefix in s.versions and not s.public} <= listed
    for role in ALL_ROLES:
        by_role = client.get(f"/api/{version.prefix}/getService", query_string={"access": role}).json
        assert all(role in service["access"] for service in by_role["services"])
    refused = client.get(f"/api/{version.prefix}/getService", query_string={"access": "Nobody"})
    assert (refused.status_code, refused.json["status"]) == (400, "INVALID_ROLE")


def test_connections_are_listed_newest_first(owner, admin, stranger, cast):
    """Everybody sees their own connections, an admin all of them."""
    own = owner.get("getConnection").json
    ids = [int(address.rsplit(":", 1)[1]) for address in own["connections"]]
    assert ids == sorted(cast.assets.values(), reverse=True)
    assert own["names"][-1] == "Test battery"
    assert own["type"] == "GetConnectionResponse"
    assert stranger.get("getConnection").json["names"] == ["Foreign battery"]
    assert len(admin.get("getConnection").json["connections"]) == len(cast.assets) + 1


@pytest.mark.parametrize(
    ("person", "service", "method", "told"),
    [
        pytest.param("roleless", "getMeterData", "GET", "no role", id="no role at all"),
        pytest.param("supplier", "postUdiEvent", "POST", "a Supplier", id="another role"),
        pytest.param("supplier", "getDeviceMessage", "GET", "Prosumers", id="names the roles that may"),
    ],
)
def test_roles_are_checked(client, cast, person, service, method, told):
    """Who lacks a role is refused as sender, and told their own roles and those that are needed."""
    email = getattr(cast, f"{person}_email")
    token = client.post("/api/requestAuthToken", json={"email": email, "password": cast.password}).json
    headers = {"Authorization": token["auth_token"]}
    answer = client.open(f"/api/v2_0/{service}", method=method, headers=headers, json={})
    assert (answer.status_code, answer.json["status"]) == (403, "INVALID_SENDER")
    assert told in answer.json["message"]


@pytest.mark.parametrize("role", ALL_ROLES)
def test_each_role_may_use_its_services(app, client, cast, role):
    """All roles exchange data; only Prosumers tell of devices, and only they and ESCos are told what devices do."""
    with app.app_context():
        user = create_user(db.session, email="one@seita.nl", password_hash="none", roles=[role])
        db.session.flush()
        headers = {"Authorization": user.get_auth_token()}
        db.session.commit()
    narrow = {"postUdiEvent": ["Prosumer"], "getDeviceMessage": ["Prosumer", "ESCo"]}
    for version, service in EVERY_SERVICE:
        for method in service.methods:
            path = f"/api/{version}/{service.name}"
            answer = client.open(path, method=method, json={}, headers=headers)
            if role in narrow.get(service.name, ALL_ROLES):
                assert answer.status_code in (200, 400), path
            else:
                assert (answer.status_code, answer.json["status"]) == (403, "INVALID_SENDER"), path


def test_anonymous_users_are_refused(app, owner, cast):
    """The role "anonymous" closes what other roles open."""
    with app.app_context():
        user = db.session.scalar(select(User).where(User.id == cast.owner_id))
        app.extensions["user_datastore"].add_role_to_user(
            user, app.extensions["user_datastore"].find_or_create_role("anonymous")
        )
        db.session.commit()
    answer = owner.get("getConnection")
    assert (answer.status_code, answer.json["status"]) == (403, "INVALID_SENDER")
    assert "anonymous user" in answer.json["message"]


def test_bugs_are_not_explained_to_strangers(app, owner, monkeypatch, caplog):
    """An error of our own is answered with a number that is in the log, and nothing else."""

    def stumble(*_):
        raise IndexError("list index out of range")

    monkeypatch.setattr("flexmeasures.api.usef.listing_views.visible_assets", stumble)
    answer = owner.get("getConnection")
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "index" not in answer.text
    number = answer.json["message"].split(": ")[1].rstrip(".")
    assert number in caplog.text


def test_a_browser_session_opens_the_api(app, client, cast):
    """Who has logged in with a browser may use the API, and get a token without a password."""
    logged_in = client.post("/login", data={"email": cast.owner_email, "password": cast.password})
    assert logged_in.status_code == 302
    assert client.get("/api/v2_0/getConnection").status_code == 200
    token = client.post("/api/requestAuthToken", json={"email": cast.owner_email})
    assert token.json["user_id"] == cast.owner_id
    assert client.get("/").status_code == 200
