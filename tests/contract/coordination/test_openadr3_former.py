"""The OpenADR 3.0.1 face: the same objects in its words. Each answer is checked against its OpenAPI document."""

INTERVALS = [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.17]}]}]
GROUP = [{"type": "GROUP", "values": ["a", "b"]}]


def test_programs_have_fields_there_and_attributes_here(as_client, bl):
    """What 3.0.1 has as fields is shown as attributes in 3.1.0, and the other way round."""
    former = as_client("bl", "3.0.1")
    sent = {
        "programName": "x",
        "retailerName": "Grid",
        "country": "NL",
        "bindingEvents": True,
        "programLongName": None,
    }
    made = former.made("/programs", sent)
    assert {name: made[name] for name in ("retailerName", "country", "bindingEvents")} == {
        "retailerName": "Grid",
        "country": "NL",
        "bindingEvents": True,
    }
    shown = bl.get(f"/programs/{made['id']}").json
    assert {"type": "RETAILER_NAME", "values": ["Grid"]} in shown["attributes"]
    other = bl.made("/programs", {"programName": "y", "attributes": [{"type": "COUNTRY", "values": ["DE"]}]})
    assert former.get(f"/programs/{other['id']}").json["country"] == "DE"


def test_events_have_typed_targets_and_need_intervals(as_client, bl, program):
    """Types of targets come back as sent, those of 3.1.0 are groups; intervals and starts are required."""
    former = as_client("bl", "3.0.1")
    made = former.made("/events", {"programID": program["id"], "intervals": INTERVALS, "targets": GROUP})
    assert made["targets"] == GROUP
    assert bl.get(f"/events/{made['id']}").json["targets"] == ["a", "b"]
    other = bl.made("/events", {"programID": program["id"], "targets": ["c"], "duration": "PT1H"})
    shown = former.get(f"/events/{other['id']}").json
    assert (shown["targets"], shown["intervals"]) == ([{"type": "GROUP", "values": ["c"]}], [])
    assert former.ask("POST", "/events", {"programID": program["id"]}).status_code == 400
    period = {"duration": "PT1H"}
    bad = {"programID": program["id"], "intervals": INTERVALS, "intervalPeriod": period}
    assert former.ask("POST", "/events", bad).status_code == 400


def test_events_are_filtered_by_type_and_values(as_client, bl, program):
    """One of several values is enough; a type without values, or values without a type, are refused."""
    former = as_client("bl", "3.0.1")
    for target in ("a", "b", "c"):
        bl.made("/events", {"programID": program["id"], "targets": [target]})
    assert len(former.get("/events", targetType="GROUP", targetValues=["a", "b"]).json) == 2
    assert former.get("/events", targetType="GROUP", targetValues="z").json == []
    assert former.get("/events", targetType="GROUP").status_code == 400
    assert former.get("/events", targetValues="a").status_code == 400


def test_resources_stand_under_their_ven(as_client, bl):
    """The path has the VEN; a resource of another VEN is not there."""
    former = as_client("ven-1", "3.0.1")
    ven = former.made("/vens", {"venName": "one", "attributes": [{"type": "A", "values": [1]}]})
    base = f"/vens/{ven['id']}/resources"
    car = former.made(base, {"resourceName": "car"})
    assert car["venID"] == ven["id"]
    assert former.get(base).json == [car]
    assert former.get(f"{base}/{car['id']}").json == car
    assert former.ask("PUT", f"{base}/{car['id']}", {"resourceName": "bus"}).json["resourceName"] == "bus"
    assert former.ask("POST", base, {"resourceName": "bus"}).status_code == 409
    assert former.get(f"/vens/unknown/resources/{car['id']}").status_code == 404
    assert as_client("ven-2", "3.0.1").get(base).status_code == 404
    assert [one["id"] for one in bl.get("/resources").json] == [car["id"]]
    assert former.ask("DELETE", f"{base}/{car['id']}").status_code == 200


def test_reports_name_their_program(as_client, bl, program):
    """The programID is required, has to be that of the event, and is shown of reports of 3.1.0 too."""
    former = as_client("ven-1", "3.0.1")
    made = bl.made("/events", {"programID": program["id"]})
    resources = [{"resourceName": "r", "intervals": INTERVALS}]
    report = {"eventID": made["id"], "clientName": "me", "resources": resources}
    assert former.ask("POST", "/reports", report).status_code == 400
    wrong = bl.made("/programs", {"programName": "other"})
    assert former.ask("POST", "/reports", report | {"programID": wrong["id"]}).status_code == 400
    stored = former.made("/reports", report | {"programID": program["id"]})
    assert stored["programID"] == program["id"]
    newer = as_client("ven-1").made("/reports", report)
    assert former.get(f"/reports/{newer['id']}").json["programID"] == program["id"]


def test_read_all_is_enough_and_shows_no_more(as_client, bl, program):
    """A VEN of 3.0.1 asks for read_all, and sees what it may see."""
    former = as_client("ven-1", "3.0.1", "read_all")
    bl.made("/events", {"programID": program["id"], "targets": ["hidden"]})
    bl.made("/events", {"programID": program["id"]})
    assert len(former.get("/events").json) == 1
    assert former.get("/vens").json == []


def test_targets_mean_vens_and_resources_by_name(as_client, bl, program):
    """VEN_NAME and RESOURCE_NAME mean who has the name; in 3.1.0 they are shown as such, and are no labels."""
    former, ven = as_client("bl", "3.0.1"), as_client("ven-1", "3.0.1")
    made = ven.made("/vens", {"venName": "house one"})
    ven.made(f"/vens/{made['id']}/resources", {"resourceName": "car"})
    event = {"programID": program["id"], "intervals": INTERVALS}
    for name, target in (
        ("ven", {"type": "VEN_NAME", "values": ["house one", "house two"]}),
        ("resource", {"type": "RESOURCE_NAME", "values": ["car"]}),
        ("label", {"type": "GROUP", "values": ["house one", "car"]}),
    ):
        former.made("/events", event | {"eventName": name, "targets": [target]})
    seen = {one["eventName"]: one["targets"] for one in ven.get("/events").json}
    assert seen == {
        "ven": [{"type": "VEN_NAME", "values": ["house one"]}],
        "resource": [{"type": "RESOURCE_NAME", "values": ["car"]}],
    }
    shown = {one["eventName"]: one["targets"] for one in bl.get("/events").json}
    assert shown["ven"] == ["VEN_NAME:house one", "VEN_NAME:house two"]
    assert shown["label"] == ["house one", "car"]
    assert as_client("ven-2", "3.0.1").get("/events").json == []
    found = ven.get("/events", targetType="VEN_NAME", targetValues=["house one"]).json
    assert [one["eventName"] for one in found] == ["ven"]


def test_objects_are_found_by_their_names(as_client, bl, program):
    """The types of target that name a kind of object find objects of that name, as far as they may be seen."""
    former, ven = as_client("bl", "3.0.1"), as_client("ven-1", "3.0.1")
    made = ven.made("/vens", {"venName": "house one"})
    ven.made(f"/vens/{made['id']}/resources", {"resourceName": "car"})
    other = bl.made("/programs", {"programName": "other"})
    bl.made("/events", {"programID": program["id"], "eventName": "noon"})
    bl.made("/events", {"programID": other["id"], "eventName": "noon", "targets": ["hidden"]})

    def names(client, path, kind, value, field):
        return [one[field] for one in client.get(path, targetType=kind, targetValues=[value]).json]

    assert names(ven, "/programs", "PROGRAM_NAME", "prices", "programName") == ["prices"]
    assert names(former, "/events", "EVENT_NAME", "noon", "eventName") == ["noon", "noon"]
    assert names(ven, "/events", "EVENT_NAME", "noon", "eventName") == ["noon"]
    assert names(ven, "/events", "PROGRAM_NAME", "other", "eventName") == []
    assert names(former, "/vens", "VEN_NAME", "house one", "venName") == ["house one"]
    assert names(ven, f"/vens/{made['id']}/resources", "RESOURCE_NAME", "car", "resourceName") == ["car"]
