"""The OpenADR 3.1.0 face: objects, lists, names, errors. Each answer is checked against the OpenAPI document."""

import pytest

INTERVALS = [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.17]}]}]
LONG = "x" * 129


def event(program, **more):
    """An event of a programme."""
    return {"programID": program["id"], "intervals": INTERVALS, **more}


def ven_of(client_id, name, **more):
    """A VEN as the business logic describes it."""
    return {"objectType": "BL_VEN_REQUEST", "clientID": client_id, "venName": name, **more}


def resource_of(ven, name, **more):
    """A resource as the business logic describes it."""
    return {
        "objectType": "BL_RESOURCE_REQUEST",
        "clientID": ven["clientID"],
        "venID": ven["id"],
        "resourceName": name,
        **more,
    }


def report_of(event, **more):
    """A report about an event."""
    resources = [
        {"resourceName": "r", "intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": [1]}]}]}
    ]
    return {"eventID": event["id"], "clientName": "me", "resources": resources, **more}


@pytest.fixture
def objects(bl, program):
    """One object of each kind that the business logic may make, with how to make another and a change."""
    made = bl.made("/events", event(program))
    ven = bl.made("/vens", ven_of("c-1", "ven one"))
    resource = bl.made("/resources", resource_of(ven, "car"))
    report = bl.made("/reports", report_of(made))
    return {
        "/programs": (program, {"programName": "renamed"}),
        "/events": (made, event(program, eventName="renamed")),
        "/vens": (ven, ven_of("c-1", "renamed")),
        "/resources": (resource, resource_of(ven, "renamed")),
        "/reports": (report, report_of(made, reportName="renamed")),
    }


@pytest.mark.parametrize("path", ["/programs", "/events", "/vens", "/resources", "/reports"])
def test_objects_are_made_found_changed_and_deleted(bl, objects, path):
    """POST gives 201 with metadata, GET the same, PUT a newer one, DELETE the last one; after that there is 404."""
    made, change = objects[path]
    one = f"{path}/{made['id']}"
    assert bl.get(one).json == made
    assert made["createdDateTime"] == made["modificationDateTime"]
    changed = bl.ask("PUT", one, change)
    assert changed.status_code == 200, changed.json
    assert changed.json["createdDateTime"] == made["createdDateTime"]
    assert changed.json["modificationDateTime"] > made["modificationDateTime"]
    assert "renamed" in changed.json.values()
    deleted = bl.ask("DELETE", one)
    assert (deleted.status_code, deleted.json) == (200, changed.json)
    for method, body in (("GET", None), ("PUT", change), ("DELETE", None)):
        assert bl.ask(method, one, body).status_code == 404
    assert bl.get(path).json == []


@pytest.mark.parametrize(
    "path", ["/programs", "/events", "/vens", "/resources", "/reports", "/subscriptions"]
)
def test_unknown_ids_are_404_and_empty_lists_are_lists(bl, path):
    """An id of nothing, also one with characters that ids do not have, is 404; an empty list is []."""
    assert bl.get(f"{path}/fake-id").status_code == 404
    assert bl.get(f"{path}/what%20is%00this").status_code == 404
    assert bl.ask("DELETE", f"{path}/fake-id").status_code == 404
    assert bl.get(path).json == []


def test_names_of_programs_are_unique(bl, program):
    """A second programme of the name is a conflict, made or renamed; a deleted one's name is free again."""
    assert bl.ask("POST", "/programs", {"programName": "prices"}).status_code == 409
    other = bl.made("/programs", {"programName": "limits"})
    assert bl.ask("PUT", f"/programs/{other['id']}", {"programName": "prices"}).status_code == 409
    assert bl.ask("PUT", f"/programs/{other['id']}", {"programName": "limits"}).status_code == 200
    bl.ask("DELETE", f"/programs/{program['id']}")
    bl.made("/programs", {"programName": "prices"})


def test_names_of_vens_and_clients_are_unique(bl):
    """A second VEN of a name, or of a client, is a conflict; so is a rename to a taken name."""
    bl.made("/vens", ven_of("c-1", "one"))
    assert bl.ask("POST", "/vens", ven_of("c-2", "one")).status_code == 409
    assert bl.ask("POST", "/vens", ven_of("c-1", "two")).status_code == 409
    two = bl.made("/vens", ven_of("c-2", "two"))
    assert bl.ask("PUT", f"/vens/{two['id']}", ven_of("c-2", "one")).status_code == 409


def test_names_of_resources_are_unique_within_a_ven(bl):
    """The same name is free for the resource of another VEN."""
    one, two = bl.made("/vens", ven_of("c-1", "one")), bl.made("/vens", ven_of("c-2", "two"))
    bl.made("/resources", resource_of(one, "car"))
    assert bl.ask("POST", "/resources", resource_of(one, "car")).status_code == 409
    bl.made("/resources", resource_of(two, "car"))


def test_events_may_have_the_same_name(bl, program):
    """Names of events and reports are free."""
    first, second = (bl.made("/events", event(program, eventName="e")) for _ in range(2))
    assert first["id"] != second["id"]
    assert (
        bl.made("/reports", report_of(first, reportName="r"))["id"]
        != bl.made("/reports", report_of(first, reportName="r"))["id"]
    )


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/programs", {"programName": ""}, "programName"),
        ("/programs", {"programName": LONG}, "programName"),
        ("/programs", {}, "programName"),
        ("/programs", {"programName": None}, "programName"),
        ("/programs", {"programName": 7}, "programName"),
        ("/programs", {"programName": "x", "targets": [""]}, "targets[0]"),
        ("/programs", {"programName": "x", "targets": [{"type": "GROUP", "values": ["a"]}]}, "targets[0]"),
        ("/programs", {"programName": "x", "intervalPeriod": {"start": "2026-01-01T00:00:00"}}, "start"),
        ("/programs", {"programName": "x", "intervalPeriod": {"start": "tomorrow"}}, "start"),
        ("/programs", {"programName": "x", "intervalPeriod": {"duration": "an hour"}}, "duration"),
        ("/programs", {"programName": "x", "programDescriptions": [{"URL": "no address"}]}, "URL"),
        (
            "/programs",
            {"programName": "x", "payloadDescriptors": [{"payloadType": "PRICE"}]},
            "payloadDescriptors",
        ),
        ("/programs", {"programName": "a\u0000b"}, "U+0000"),
        ("/events", {"intervals": []}, "programID"),
        ("/events", {"programID": "no such"}, "programID"),
        ("/events", {"programID": "unknown"}, "program_id does not refer to an existing program"),
        ("/events", {"programID": "$", "priority": -1}, "priority"),
        ("/events", {"programID": "$", "priority": True}, "priority"),
        ("/events", {"programID": "$", "priority": 1e30}, "priority"),
        ("/events", {"programID": "$", "intervals": [{"id": 0}]}, "intervals[0].payloads"),
        ("/events", {"programID": "$", "intervals": [{"id": "0", "payloads": []}]}, "intervals[0].id"),
        ("/events", {"programID": "$", "intervals": [{"id": 0, "payloads": [{"type": "PRICE"}]}]}, "values"),
        (
            "/events",
            {"programID": "$", "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [[1]]}]}]},
            "values[0]",
        ),
        (
            "/events",
            {
                "programID": "$",
                "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [{"x": 1}]}]}],
            },
            "values[0]",
        ),
        ("/events", {"programID": "$", "duration": "-PT1H"}, "duration"),
        ("/vens", {"venName": "x"}, "objectType"),
        ("/vens", {"objectType": "VEN", "venName": "x", "clientID": "c"}, "objectType"),
        ("/vens", {"objectType": "BL_VEN_REQUEST", "venName": "x"}, "clientID"),
        ("/vens", {"objectType": "BL_VEN_REQUEST", "venName": LONG, "clientID": "c"}, "venName"),
        ("/resources", {"objectType": "BL_RESOURCE_REQUEST", "resourceName": "x", "clientID": "c"}, "venID"),
        (
            "/resources",
            {"objectType": "BL_RESOURCE_REQUEST", "resourceName": "x", "clientID": "c", "venID": "nobody"},
            "venID",
        ),
        ("/reports", {"eventID": "unknown", "clientName": "me", "resources": []}, "eventID"),
        ("/reports", {"clientName": "me", "resources": []}, "eventID"),
        ("/reports", {"eventID": "e", "clientName": "", "resources": []}, "clientName"),
        ("/subscriptions", {"clientName": "me", "objectOperations": []}, "objectOperations"),
        ("/subscriptions", {"clientName": "me"}, "objectOperations"),
    ],
)
def test_bad_bodies_are_400_and_name_the_fault(bl, program, path, body, named):
    """What is missing, of the wrong type, too long or unknown is refused with its path; nothing is stored."""
    if body.get("programID") == "$":
        body = body | {"programID": program["id"]}
    before = bl.get(path).json
    answer = bl.ask("POST", path, body)
    assert answer.status_code == 400, answer.json
    assert named in answer.json["detail"]
    assert bl.get(path).json == before


def test_nulls_and_unknown_fields_of_real_clients(bl, program):
    """Null is the same as left out and is not echoed; unknown properties are ignored; empty lists stay."""
    made = bl.made(
        "/events",
        event(
            program,
            eventName=None,
            priority=None,
            reportDescriptors=None,
            payloadDescriptors=[],
            targets=[],
            intervalPeriod=None,
            intervals=[
                {
                    "id": 0,
                    "intervalPeriod": None,
                    "payloads": [{"type": "PRICE", "values": [1, True, "a", {"x": 1, "y": 2.5}]}],
                }
            ],
            futureProperty={"a": 1},
            id="mine",
            createdDateTime="1999-01-01T00:00:00Z",
        ),
    )
    assert {name for name in made if made[name] is None} == set()
    assert (made["targets"], made["payloadDescriptors"]) == ([], [])
    assert "futureProperty" not in made
    assert made["id"] != "mine"
    assert made["intervals"][0]["payloads"][0]["values"] == [1, True, "a", {"x": 1, "y": 2.5}]
    assert "intervalPeriod" not in made["intervals"][0]


def test_durations_come_back_as_written_and_now_is_understood(bl, program):
    """PT3600S stays PT3600S; the start of year 0 or 1 means now, and P9999Y without end."""
    made = bl.made(
        "/events",
        event(
            program, intervalPeriod={"start": "0000-00-00", "duration": "PT3600S", "randomizeStart": "PT0S"}
        ),
    )
    assert made["intervalPeriod"] == {
        "start": "0001-01-01T00:00:00Z",
        "duration": "PT3600S",
        "randomizeStart": "PT0S",
    }
    bl.made("/events", event(program, intervalPeriod={"start": "0001-01-01", "duration": "P9999Y"}))


def test_events_are_listed_by_priority_then_newest_first(bl, program):
    """0 comes first, no priority last, and of equal ones the newest first."""
    made = [bl.made("/events", event(program, priority=p))["id"] for p in (0, 99, 32, 33, None, 33)]
    listed = [one["id"] for one in bl.get("/events").json]
    assert listed == [made[n] for n in (0, 2, 5, 3, 1, 4)]


def test_lists_are_paged_and_filtered(bl, program):
    """A skip and a limit cut; programID, names and all targets that are asked for filter; limit 0 shows nothing."""
    other = bl.made("/programs", {"programName": "limits", "targets": ["a"]})
    for number, targets in enumerate((["a"], ["a", "b"], ["b"])):
        bl.made("/events", event(program if number else other, targets=targets))
    assert len(bl.get("/events", skip=1).json) == 2
    assert len(bl.get("/events", limit=2).json) == 2
    assert bl.get("/events", limit=0).json == []
    assert bl.get("/events", skip=3).json == []
    assert len(bl.get("/events", programID=other["id"]).json) == 1
    assert bl.get("/events", programID="unknown").json == []
    assert len(bl.get("/events", targets="a").json) == 2
    assert len(bl.get("/events", targets=["a", "b"]).json) == 1
    assert bl.get("/events", targets="nonsense").json == []
    assert [p["programName"] for p in bl.get("/programs", targets="a").json] == ["limits"]
    ven = bl.made("/vens", ven_of("c-1", "one", targets=["a"]))
    bl.made("/vens", ven_of("c-2", "two"))
    assert [v["venName"] for v in bl.get("/vens").json] == ["one", "two"]
    assert [v["venName"] for v in bl.get("/vens", targets="a").json] == ["one"]
    assert [v["venName"] for v in bl.get("/vens", venName="two").json] == ["two"]
    bl.made("/resources", resource_of(ven, "car"))
    assert len(bl.get("/resources", venID=ven["id"], resourceName="car").json) == 1
    assert bl.get("/resources", resourceName="boat").json == []
    assert len(bl.get("/events", dateStart="2026-01-01", unheardOf="1").json) == 3


@pytest.mark.parametrize(
    "query",
    [
        {"skip": -1},
        {"skip": "many"},
        {"limit": -1},
        {"limit": 51},
        {"limit": "x"},
        {"limit": "1" * 500},
        {"targets": ""},
        {"targets": LONG},
        {"programID": "no such"},
        {"active": "perhaps"},
    ],
)
def test_bad_queries_are_400(bl, query):
    """Numbers out of range, impossible targets and ids are refused."""
    assert bl.get("/events", **query).status_code == 400


def test_active_events_are_those_that_are_not_over(bl, program):
    """Past and cancelled events are left out; running, endless and report-only ones are not."""
    hour = {"duration": "PT1H"}
    past = event(program, eventName="past", intervalPeriod={"start": "2020-01-01T00:00:00Z", **hour})
    future = event(program, eventName="future", intervalPeriod={"start": "2999-01-01T00:00:00Z", **hour})
    looped = past | {"eventName": "looped", "duration": "P9999Y"}
    endless = event(
        program, eventName="endless", intervalPeriod={"start": "2020-01-01T00:00:00Z", "duration": "P9999Y"}
    )
    cancelled = future | {"eventName": "cancelled", "duration": "PT0S"}
    reports_only = {
        "programID": program["id"],
        "eventName": "reports",
        "reportDescriptors": [{"payloadType": "USAGE"}],
    }
    repeated = past | {"eventName": "repeated", "duration": "P900Y"}
    for one in (past, future, endless, cancelled, reports_only, repeated, looped):
        bl.made("/events", one)
    assert len(bl.get("/events").json) == 7
    active = {one["eventName"] for one in bl.get("/events", active="true").json}
    assert active >= {"future", "endless", "reports"}
    assert not active & {"past", "cancelled"}
    assert len(bl.get("/events", active="false").json) == 7


def test_reports_are_filtered_and_belong_to_their_client(bl, ven, program):
    """Filters by programme, event and client name; the client is that of the token, whatever is sent."""
    first, second = (bl.made("/events", event(program)) for _ in range(2))
    made = ven.made("/reports", report_of(first, clientID="somebody else"))
    bl.made("/reports", report_of(second, clientName="other"))
    assert made["clientID"] == "ven-1"
    assert len(bl.get("/reports").json) == 2
    assert bl.get("/reports", eventID=first["id"]).json == [made]
    assert bl.get("/reports", clientName="me").json == [made]
    assert len(bl.get("/reports", programID=program["id"]).json) == 2
    assert bl.get("/reports", programID="unknown").json == []


def test_a_ven_and_a_resource_keep_who_they_belong_to(bl):
    """The clientID and the venID cannot change; a deleted VEN takes its resources along."""
    one, two = bl.made("/vens", ven_of("c-1", "one")), bl.made("/vens", ven_of("c-2", "two"))
    car = bl.made("/resources", resource_of(one, "car"))
    assert bl.ask("PUT", f"/vens/{one['id']}", ven_of("c-9", "one")).status_code == 400
    moved = resource_of(two, "car")
    assert bl.ask("PUT", f"/resources/{car['id']}", moved).status_code == 400
    bl.ask("DELETE", f"/vens/{one['id']}")
    assert bl.get(f"/resources/{car['id']}").status_code == 404


def test_what_reports_are_about_stays(bl, program):
    """A deleted programme cancels its events; their reports can still be read."""
    made = bl.made("/events", event(program))
    report = bl.made("/reports", report_of(made))
    assert bl.ask("DELETE", f"/programs/{program['id']}").status_code == 200
    assert bl.get("/events").json == []
    assert bl.get("/reports").json == [report]


def test_what_was_read_can_be_sent_back(as_client, bl, ven):
    """PUT takes a VEN or resource with the objectType of answers in the form of the client's role; ids are ignored."""
    made = ven.made("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "one"})
    car = ven.made(
        "/resources", {"objectType": "VEN_RESOURCE_REQUEST", "venID": made["id"], "resourceName": "car"}
    )
    renamed = bl.ask("PUT", f"/vens/{made['id']}", {**made, "targets": ["a"], "id": "other"})
    assert (renamed.status_code, renamed.json["targets"], renamed.json["id"]) == (200, ["a"], made["id"])
    again = ven.ask("PUT", f"/vens/{made['id']}", {**renamed.json, "targets": ["b"], "venName": "two"})
    assert (again.status_code, again.json["targets"], again.json["venName"]) == (200, ["a"], "two")
    assert ven.ask("PUT", f"/resources/{car['id']}", {**car, "resourceName": "bus"}).status_code == 200
