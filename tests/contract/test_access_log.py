"""Request ids, the access log, what other origins may do, and how large a request may be."""

import json
import logging
import uuid

import pytest

from flexmeasures.api import access
from flexmeasures.app import create
from flexmeasures.logs import ContextFilter


@pytest.fixture
def make_client(app):
    """Make somebody who asks an application with other settings, on the same servers."""

    def make(**settings):
        told = {"FLEXMEASURES_INSTANCE_PATH": app.instance_path, **settings}
        return create("testing", settings=told).test_client()

    return make


@pytest.fixture
def log_file(tmp_path):
    """Where the access log goes."""
    return tmp_path / "logs" / "access.log"


@pytest.fixture
def logged(make_client, log_file):
    """Somebody whose requests are noted."""
    return make_client(FLEXMEASURES_ACCESS_LOG=str(log_file))


def lines(log_file):
    """Read the access log."""
    return [json.loads(line) for line in log_file.read_text().splitlines()]


@pytest.mark.parametrize("given", ["a", "3f2b-77", "trace/1:2=3+4", "x" * 128])
def test_a_sane_request_id_comes_back(client, given):
    """A client or proxy names its request, and finds the name on the answer."""
    assert client.get("/api/", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "a b", "-x", "é", '{"a":1}', "<script>"])
def test_another_request_id_is_replaced(client, given):
    """What might break a log is not taken over; every request gets an id of its own."""
    ids = [client.get("/api/", headers={"X-Request-ID": given}).headers["X-Request-ID"] for _ in range(2)]
    assert len(set(ids)) == 2
    assert all(uuid.UUID(hex=one).version == 4 for one in ids)


@pytest.mark.parametrize("path", ["/nowhere", "/api/v2_0/getConnection", "/login", "/api/v2_0/postMeterData"])
def test_errors_and_pages_have_ids(client, path):
    """Not only what went well can be asked about."""
    assert client.get(path).headers["X-Request-ID"]


def test_each_request_is_one_line(logged, log_file, cast, owner):
    """The log says who asked for what and how it ended."""
    headers = {**owner.headers, "X-Request-ID": "mine"}
    assert logged.get("/api/v2_0/getConnection", headers=headers).status_code == 200
    logged.get("/api/v2_0/nothing")
    known, unknown = lines(log_file)
    assert known.keys() == {"time", "method", "path", "status", "ms", "user", "request_id"}
    assert (known["method"], known["path"], known["status"]) == ("GET", "/api/v2_0/getConnection", 200)
    assert (known["user"], known["request_id"]) == (cast.owner_id, "mine")
    assert 0 < known["ms"] < 10_000
    assert (unknown["status"], unknown["user"]) == (404, None)


def test_the_user_is_known_after_a_post(logged, log_file, cast, owner):
    """That a request has committed does not keep the log from knowing the user."""
    message = {
        "type": "PostMeterDataRequest",
        "connection": cast.address("station"),
        "value": 1.25,
        "start": "2015-01-01T00:00:00Z",
        "duration": "PT15M",
        "unit": "MW",
    }
    answer = logged.post("/api/v2_0/postMeterData", json=message, headers=owner.headers, buffered=True)
    assert answer.status_code == 200
    assert lines(log_file)[-1]["user"] == cast.owner_id


def test_nothing_that_was_sent_is_logged(logged, log_file, cast, owner):
    """No values, query strings, tokens, passwords or links for a new password stand in the log."""
    token = owner.headers["Authorization"]
    logged.post("/api/requestAuthToken", json={"email": cast.owner_email, "password": cast.password})
    logged.get(f"/api/v2_0/getConnection?auth_token={token}&note=palaver")
    logged.get("/reset/WyIxIiwi.secret.token")
    text = log_file.read_text()
    for secret in (cast.owner_email, cast.password, token, "auth_token", "palaver", "secret"):
        assert secret not in text
    assert [line["path"] for line in lines(log_file)] == [
        "/api/requestAuthToken",
        "/api/v2_0/getConnection",
        "/reset/<token>",
    ]


def test_no_request_breaks_a_line(logged, log_file):
    """A path with a line break in it is one line of JSON all the same, and a long one is cut."""
    logged.get("/a%0a{}%22b")
    logged.get(f"/{'x' * 5000}")
    strange, long = lines(log_file)
    assert strange["path"] == '/a\n{}"b'
    assert len(long["path"]) == access.LONGEST_PATH


def test_the_log_begins_anew_when_it_is_large(make_client, log_file, monkeypatch):
    """The log of a laptop does not fill its disk; one older file is kept."""
    monkeypatch.setattr(access, "LARGEST_FILE", 1000)
    first, second = (make_client(FLEXMEASURES_ACCESS_LOG=str(log_file)) for _ in range(2))
    for _ in range(8):
        first.get("/api/")
        second.get("/api/")
    older = log_file.with_name("access.log.1")
    # two processes write whole lines into the same files
    assert 0 < len(lines(log_file)) < 16
    assert 1000 <= older.stat().st_size < 1500
    assert len(lines(older)) > 3


def test_a_log_that_cannot_be_written_stops_nobody(make_client, log_file, monkeypatch):
    """A full disk is not a reason not to answer."""
    logged = make_client(FLEXMEASURES_ACCESS_LOG=str(log_file))
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log_file.parent.rmdir()
    assert logged.get("/api/").status_code == 200
    assert make_client(FLEXMEASURES_ACCESS_LOG="no/such/folder/x").get("/api/").status_code == 200


def test_the_log_can_go_to_standard_output(make_client, capsys):
    """Where something else keeps the logs, they go to standard output."""
    make_client(FLEXMEASURES_ACCESS_LOG="-").get("/api/")
    assert json.loads(capsys.readouterr().out)["path"] == "/api/"


def test_messages_in_the_log_name_their_request(make_client, log_file, caplog):
    """What goes wrong in a request is logged with its id, and the answer tells neither why nor where."""
    client = make_client(FLEXMEASURES_ACCESS_LOG=str(log_file))

    def fail():
        raise RuntimeError("secret reason")

    client.application.add_url_rule("/api/broken", view_func=fail)
    caplog.handler.addFilter(ContextFilter())
    answer = client.get("/api/broken", headers={"X-Request-ID": "mine"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "mine")
    assert "secret reason" not in answer.text
    assert [record.request_id for record in caplog.records] == ["mine"]
    assert lines(log_file)[0]["status"] == 500
    outside = logging.makeLogRecord({})
    assert ContextFilter().filter(outside)
    assert outside.request_id == "-"


@pytest.mark.parametrize("version", ["v1", "v2_0"])
def test_bodies_have_a_largest_size(app, owner, cast, version):
    """A body over the limit is refused before it is read."""
    app.config["MAX_CONTENT_LENGTH"] = 500
    answer = owner.post("postMeterData", {"type": "PostMeterDataRequest", "values": [1] * 500}, version)
    assert (answer.status_code, answer.json["status"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    assert "MAX_CONTENT_LENGTH" in answer.json["message"]
    token = owner.client.post("/api/requestAuthToken", json={"email": "x" * 500})
    assert token.status_code == 413


@pytest.mark.parametrize("asked", ["getMeterData", "postMeterData"])
def test_values_have_a_largest_number(app, owner, cast, asked):
    """More values than the limit are refused, asked for or sent."""
    app.config["FLEXMEASURES_MAX_VALUES_PER_REQUEST"] = 10
    message = {
        "type": f"{asked[0].upper()}{asked[1:]}Request",
        "connection": cast.address("station"),
        "start": "2015-01-01T00:00:00Z",
        "duration": "P1D",
        "unit": "MW",
    }
    if asked == "postMeterData":
        answer = owner.post(asked, {**message, "values": [1.0] * 96})
    else:
        answer = owner.get(asked, **message)
    assert (answer.status_code, answer.json["status"]) == (413, "REQUEST_ENTITY_TOO_LARGE"), answer.json


ORIGIN = "https://partner.example.com"
ASK = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


def allowed(answer):
    """Collect what an answer lets other origins do."""
    prefix = "Access-Control-"
    return {name[len(prefix) :]: text for name, text in answer.headers if name.startswith(prefix)}


def test_other_origins_may_do_nothing_by_default(client):
    """A page of somebody else's cannot use the API with the cookies of its visitors."""
    assert allowed(client.options("/api/v2_0/postMeterData", headers=ASK)) == {}
    assert allowed(client.get("/api/", headers={"Origin": ORIGIN})) == {}


def test_a_named_origin_may_use_the_api(make_client):
    """A named origin may ask beforehand what it may, send tokens and cookies, and read the ids of its requests."""
    client = make_client(CORS_ORIGINS=[ORIGIN])
    asked = client.options("/api/v2_0/postMeterData", headers=ASK)
    assert asked.status_code == 200
    granted = allowed(asked)
    assert (granted["Allow-Origin"], granted["Allow-Credentials"]) == (ORIGIN, "true")
    assert "POST" in granted["Allow-Methods"]
    assert granted["Allow-Headers"] == "authorization, content-type"
    answer = client.get("/api/", headers={"Origin": ORIGIN})
    assert set(allowed(answer)["Expose-Headers"].split(", ")) == {"Retry-After", "X-Request-ID"}
    assert allowed(client.get("/api/", headers={"Origin": "https://else.example.com"})) == {}
    assert allowed(client.get("/login", headers={"Origin": ORIGIN})) == {}


def test_refusals_may_be_read_by_a_named_origin(make_client):
    """A page can tell its visitor why a request was refused."""
    answer = make_client(CORS_ORIGINS=[ORIGIN]).get("/api/v2_0/getConnection", headers={"Origin": ORIGIN})
    assert (answer.status_code, allowed(answer)["Allow-Origin"]) == (401, ORIGIN)


@pytest.mark.parametrize("origins", ["*", ["*"]])
def test_all_origins_may_not_send_cookies(make_client, origins):
    """If everybody may use the API, then with tokens: a cookie would act for whoever happens to be logged in."""
    client = make_client(CORS_ORIGINS=origins)
    granted = allowed(client.options("/api/v2_0/postMeterData", headers=ASK))
    assert "Allow-Credentials" not in granted
    assert granted["Allow-Origin"] in ("*", ORIGIN)


def test_credentials_can_be_switched_off(make_client):
    """The setting keeps cookies from being sent."""
    client = make_client(CORS_ORIGINS=[ORIGIN], CORS_SUPPORTS_CREDENTIALS=False)
    assert "Allow-Credentials" not in allowed(client.options("/api/", headers=ASK))
