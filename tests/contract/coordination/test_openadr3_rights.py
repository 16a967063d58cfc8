"""The OpenADR 3.1.0 face: tokens, scopes, privacy of objects, target hiding, environments."""

import base64

import pytest
from tests.contract.coordination.conftest import SECRET
from tests.contract.coordination.test_openadr3_objects import event, report_of, resource_of, ven_of

BASE = "/openadr3/3.1.0"


def token_form(**more):
    """A request for a token."""
    return {"grant_type": "client_credentials", "client_id": "ven-1", "client_secret": SECRET, **more}


def test_tokens_by_form_and_by_basic(client, clients):
    """Both ways to send the secret give a bearer token for an hour; Basic is percent-encoded."""
    by_form = client.post(f"{BASE}/auth/token", data=token_form())
    basic = base64.b64encode(b"ven%2D1:" + SECRET.replace(" ", "+").encode()).decode()
    by_basic = client.post(
        f"{BASE}/auth/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {basic}"},
    )
    for answer in (by_form, by_basic):
        assert answer.status_code == 200, answer.json
        assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
        assert answer.headers["Cache-Control"] == "no-store"


def test_read_bl_is_another_word_for_read_all(as_client):
    """The business logic may ask for the scope that paths of MQTT topics have; a VEN gets nothing by it."""
    assert as_client("bl", scope="read_bl").get("/vens").status_code == 200
    reader = as_client("ven-1", scope="read_bl read_targets")
    assert reader.get("/vens").status_code == 403
    assert reader.get("/events").status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "write_events"}, 400, "invalid_scope"),
    ],
)
def test_refused_tokens_are_oauth_errors(client, clients, form, status, error):
    """A wrong or missing secret, another grant and scopes beyond the client's are refused as RFC 6749 says."""
    answer = client.post(f"{BASE}/auth/token", data=token_form(**form))
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_a_token_is_asked_for_with_a_form(client, clients):
    """JSON is not a form: 415."""
    assert client.post(f"{BASE}/auth/token", json=token_form()).status_code == 415


def test_guessing_secrets_is_slowed_down(app, client, clients):
    """After too many wrong secrets even the right one has to wait."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "3 per minute"
    wrong = [
        client.post(f"{BASE}/auth/token", data=token_form(client_secret="x")).status_code for _ in range(4)
    ]
    assert wrong == [401, 401, 401, 429]
    assert client.post(f"{BASE}/auth/token", data=token_form()).status_code == 429


def test_auth_server_names_the_token_endpoint(client, clients):
    """/auth/server needs no token and says where tokens are issued."""
    answer = client.get(f"{BASE}/auth/server")
    assert answer.json == {"tokenURL": "http://localhost/openadr3/3.1.0/auth/token"}


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x.y.z", "Basic abc", "nonsense"])
def test_without_a_valid_token_there_is_401(client, clients, header):
    """A missing or bad token is 401 with WWW-Authenticate and a problem object, before anything else is looked at."""
    headers = {"Authorization": header} if header else {}
    for method, path in (("GET", "/programs"), ("POST", "/events"), ("GET", "/events/unknown")):
        answer = client.open(BASE + path, method=method, headers=headers, data=b"x" * 10)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json["status"] == 401


def test_large_bodies_need_a_token(client, bl):
    """A body of more than 64 kB is read of clients with a token only."""
    body = b'{"programName": "' + b"x" * 200_000 + b'"}'
    kind = {"Content-Type": "application/json"}
    assert client.post(f"{BASE}/programs", data=body, headers=kind).status_code == 401
    answer = client.post(f"{BASE}/programs", data=body, headers=kind | bl.headers)
    assert answer.status_code == 400


def test_errors_of_http_are_problem_objects(client, bl):
    """Another media type is 415, another method 405 with Allow, an unknown path 404, broken JSON 400."""
    cases = [
        (client.post(f"{BASE}/programs", data="x", headers=bl.headers), 415),
        (
            client.post(f"{BASE}/programs", data="<a/>", content_type="application/xml", headers=bl.headers),
            415,
        ),
        (client.patch(f"{BASE}/programs", headers=bl.headers), 405),
        (client.get(f"{BASE}/nothing", headers=bl.headers), 404),
        (client.get("/openadr3/9.9.9/programs", headers=bl.headers), 404),
        (client.post(f"{BASE}/programs", data="{", content_type="application/json", headers=bl.headers), 400),
        (client.post(f"{BASE}/programs", json=[1], headers=bl.headers), 400),
    ]
    for answer, status in cases:
        assert answer.status_code == status, answer.data
        assert answer.mimetype == "application/json"
        assert answer.json["status"] == status
        assert {"type", "title", "detail", "instance"} <= answer.json.keys()
    assert "GET" in cases[2][0].headers["Allow"]


def test_health(client):
    """The health route answers without a token."""
    assert client.get(f"{BASE}/health").status_code == 200


def test_notifiers_say_webhook(bl, ven):
    """/notifiers answers everybody with a token, and webhooks are there."""
    assert bl.get("/notifiers").json["WEBHOOK"] is True
    assert ven.get("/notifiers").status_code == 200


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/programs", "read_targets"),
        ("/events", "read_targets"),
        ("/vens", "read_ven_objects"),
        ("/resources", "read_ven_objects"),
        ("/reports", "read_ven_objects"),
        ("/subscriptions", "read_ven_objects"),
    ],
)
def test_reading_needs_a_reading_scope(as_client, path, scope):
    """Without it a list and a single object are 403; with it they are found."""
    without = as_client("ven-1", scope="write_vens")
    assert without.get(path).status_code == 403
    assert without.get(f"{path}/any").status_code == 403
    having = as_client("ven-1", scope=scope)
    assert having.get(path).status_code == 200
    assert having.get(f"{path}/any").status_code == 404


def test_writing_needs_a_writing_scope_and_no_more(as_client, bl, program):
    """write_reports is enough to report; a VEN never writes programmes or events."""
    made = bl.made("/events", event(program))
    reporter = as_client("ven-1", scope="write_reports")
    reporter.made("/reports", report_of(made))
    assert reporter.ask("POST", "/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "x"}).status_code == 403
    ven = as_client("ven-1")
    for method, path, body in (
        ("POST", "/programs", {"programName": "x"}),
        ("PUT", f"/programs/{program['id']}", {"programName": "x"}),
        ("DELETE", f"/programs/{program['id']}", None),
        ("POST", "/events", event(program)),
        ("PUT", f"/events/{made['id']}", event(program)),
        ("DELETE", f"/events/{made['id']}", None),
    ):
        assert ven.ask(method, path, body).status_code == 403


def test_vens_see_untargeted_and_granted_events_only(as_client, bl, program):
    """Without a VEN or targets only untargeted ones, with a grant also those; targets of others are hidden."""
    open_event = bl.made("/events", event(program, eventName="open"))
    mine = bl.made("/events", event(program, eventName="mine", targets=["feeder-7", "feeder-8"]))
    other = bl.made("/events", event(program, eventName="other", targets=["feeder-9"]))
    ven = as_client("ven-1")

    def names(**query):
        return {one["eventName"] for one in ven.get("/events", **query).json}

    assert names() == {"open"}
    made = bl.made("/vens", ven_of("ven-1", "one"))
    assert names() == {"open"}
    bl.ask("PUT", f"/vens/{made['id']}", ven_of("ven-1", "one", targets=["feeder-7"]))
    assert names() == {"open", "mine"}
    shown = ven.get(f"/events/{mine['id']}")
    assert shown.json["targets"] == ["feeder-7"]
    assert bl.get(f"/events/{mine['id']}").json["targets"] == ["feeder-7", "feeder-8"]
    assert ven.get(f"/events/{other['id']}").status_code == 404
    assert ven.get(f"/events/{open_event['id']}").status_code == 200
    assert names(targets="feeder-7") == {"mine"}
    assert names(targets="feeder-8") == set()
    assert names(targets="feeder-9") == set()
    assert names(targets=["feeder-7", "feeder-9"]) == {"mine"}
    bl.ask("PUT", f"/vens/{made['id']}", ven_of("ven-1", "one", targets=["feeder-7", "feeder-8"]))
    (asked,) = ven.get("/events", targets="feeder-8").json
    assert asked["targets"] == ["feeder-8"]


def test_targets_of_resources_grant_as_well(as_client, bl, program):
    """A target that the business logic gave a resource shows its events to the VEN of the resource."""
    bl.made("/events", event(program, eventName="mine", targets=["street-3"]))
    made = bl.made("/vens", ven_of("ven-1", "one"))
    bl.made("/resources", resource_of(made, "car", targets=["street-3"]))
    assert [one["eventName"] for one in as_client("ven-1").get("/events").json] == ["mine"]
    assert as_client("ven-2").get("/events").json == []


def test_programs_are_hidden_as_events_are(as_client, bl):
    """A targeted programme is seen by whom its target was granted, by id too."""
    hidden = bl.made("/programs", {"programName": "hidden", "targets": ["a", "b"]})
    bl.made("/programs", {"programName": "open"})
    bl.made("/vens", ven_of("ven-1", "one", targets=["b"]))
    granted, stranger = as_client("ven-1"), as_client("ven-2")
    assert [one["programName"] for one in granted.get("/programs").json] == ["hidden", "open"]
    assert granted.get(f"/programs/{hidden['id']}").json["targets"] == ["b"]
    assert [one["programName"] for one in stranger.get("/programs").json] == ["open"]
    assert stranger.get(f"/programs/{hidden['id']}").status_code == 404


def test_a_ven_registers_and_edits_its_own_ven_only(as_client, bl):
    """Its client is that of the token, it has no targets, and it may not change them or look at others."""
    ven, stranger = as_client("ven-1"), as_client("ven-2")
    made = ven.made("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "one", "targets": ["everything"]})
    assert (made["clientID"], made["targets"]) == ("ven-1", [])
    assert "attributes" not in made
    bl.ask("PUT", f"/vens/{made['id']}", ven_of("ven-1", "one", targets=["a"]))
    renamed = ven.ask(
        "PUT", f"/vens/{made['id']}", {"objectType": "VEN_VEN_REQUEST", "venName": "uno", "targets": ["b"]}
    )
    assert (renamed.json["venName"], renamed.json["targets"]) == ("uno", ["a"])
    assert stranger.get("/vens").json == []
    assert stranger.get(f"/vens/{made['id']}").status_code == 404
    assert (
        stranger.ask(
            "PUT", f"/vens/{made['id']}", {"objectType": "VEN_VEN_REQUEST", "venName": "x"}
        ).status_code
        == 404
    )
    assert stranger.ask("DELETE", f"/vens/{made['id']}").status_code == 404
    assert ven.ask("DELETE", f"/vens/{made['id']}").status_code == 200


def test_each_role_uses_its_own_form(as_client, bl):
    """A VEN may not use the form of the business logic, nor the other way round."""
    ven = as_client("ven-1")
    assert ven.ask("POST", "/vens", ven_of("ven-1", "one", targets=["a"])).status_code == 403
    assert bl.ask("POST", "/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "x"}).status_code == 403
    made = ven.made("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "one"})
    assert ven.ask("PUT", f"/vens/{made['id']}", ven_of("ven-1", "one")).status_code == 403
    assert ven.ask("POST", "/resources", resource_of(made, "car", targets=["a"])).status_code == 403


def test_a_ven_makes_resources_under_its_own_ven_only(as_client, bl):
    """Without targets, under its own VEN; those of others are not there for it."""
    ven, stranger = as_client("ven-1"), as_client("ven-2")
    made = ven.made("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "one"})
    form = {"objectType": "VEN_RESOURCE_REQUEST", "venID": made["id"], "resourceName": "car"}
    car = ven.made("/resources", form | {"targets": ["a"]})
    assert (car["clientID"], car["targets"]) == ("ven-1", [])
    assert stranger.ask("POST", "/resources", form).status_code == 400
    assert stranger.get("/resources", venID=made["id"]).json == []
    for method, body in (("GET", None), ("PUT", form), ("DELETE", None)):
        assert stranger.ask(method, f"/resources/{car['id']}", body).status_code == 404
    assert [one["resourceName"] for one in bl.get("/resources").json] == ["car"]


def test_reports_are_private(as_client, bl, program):
    """A VEN sees and deletes its own; another gets empty lists and 404; the business logic sees all."""
    made = bl.made("/events", event(program))
    ven, stranger = as_client("ven-1"), as_client("ven-2")
    report = ven.made("/reports", report_of(made))
    assert stranger.get("/reports").json == []
    for method, body in (("GET", None), ("PUT", report_of(made)), ("DELETE", None)):
        assert stranger.ask(method, f"/reports/{report['id']}", body).status_code == 404
    assert bl.get("/reports").json == [report]
    assert ven.ask("DELETE", f"/reports/{report['id']}").status_code == 200


def test_one_cannot_report_about_a_hidden_event(as_client, bl, program):
    """For a VEN that does not see the event there is none."""
    hidden = bl.made("/events", event(program, targets=["a"]))
    answer = as_client("ven-1").ask("POST", "/reports", report_of(hidden))
    assert answer.status_code == 400


def test_sandbox_and_production_never_meet(as_client, bl, program):
    """What is made with a credential of one environment is not there in the other, by list, id or reference."""
    made = bl.made("/events", event(program))
    other, ven = as_client("bl-prod"), as_client("ven-prod")
    assert other.get("/events").json == []
    assert other.get(f"/events/{made['id']}").status_code == 404
    assert other.ask("POST", "/events", event(program)).status_code == 400
    assert ven.get("/programs").json == []
    other.made("/programs", {"programName": "prices"})


def test_resource_groups_nest_and_show_what_leads_to_ones_own(as_client, bl, program):
    """A VEN sees groups above its own resources, with its own branch only, and the events for their targets."""
    one, two = bl.made("/vens", ven_of("ven-1", "one")), bl.made("/vens", ven_of("ven-2", "two"))
    car, boiler = (
        bl.made("/resources", resource_of(one, "car")),
        bl.made("/resources", resource_of(two, "boiler")),
    )
    left = bl.made("/resource_groups", {"resourceGroupName": "left", "children": [{"id": car["id"]}]})
    right = bl.made("/resource_groups", {"resourceGroupName": "right", "children": [{"id": boiler["id"]}]})
    top = bl.made(
        "/resource_groups",
        {"resourceGroupName": "top", "targets": ["t"], "children": [{"id": left["id"]}, {"id": right["id"]}]},
    )
    assert top["objectType"] == "RESOURCE_GROUP"
    assert [child["type"] for child in top["children"]] == ["resource_group", "resource_group"]
    ven = as_client("ven-1")
    assert {group["resourceGroupName"] for group in ven.get("/resource_groups").json} == {"left", "top"}
    (branch,) = ven.get(f"/resource_groups/{top['id']}").json["children"]
    assert branch["ResourceGroup"]["children"][0]["VENResource"]["id"] == car["id"]
    assert ven.get(f"/resource_groups/{right['id']}").status_code == 404
    assert ven.ask("POST", "/resource_groups", {"resourceGroupName": "x"}).status_code == 403
    bl.made("/events", event(program, eventName="for all below", targets=["t"]))
    assert len(ven.get("/events").json) == len(as_client("ven-2").get("/events").json) == 1
    loop = {"resourceGroupName": "left", "children": [{"id": top["id"]}]}
    assert bl.ask("PUT", f"/resource_groups/{left['id']}", loop).status_code == 409
    assert bl.ask("DELETE", f"/resource_groups/{top['id']}").status_code == 200
    assert bl.get(f"/resources/{car['id']}").status_code == 200
