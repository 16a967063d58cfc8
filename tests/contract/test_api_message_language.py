"""How messages may be written: lists, groups, periods, and which mistake is told first."""

import json

import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset

NESTED = json.loads("[" * 900 + "]" * 900)
START = "2015-01-01T00:00:00Z"


def posting(**fields):
    """Two quarter-hours of meter data."""
    message = {"type": "PostMeterDataRequest", "unit": "MW", "start": START, "duration": "PT30M"}
    return {key: value for key, value in (message | fields).items() if value is not None}


def asking(**fields):
    """Ask for these two quarter-hours."""
    query = {"type": "GetMeterDataRequest", "unit": "MW", "start": START, "duration": "PT30M"}
    return {key: value for key, value in (query | fields).items() if value is not None}


@pytest.fixture
def names(cast):
    """The addresses of two connections."""
    return cast.address("building"), cast.address("two_way")


@pytest.fixture
def measured(owner, names):
    """One value for the one, and another for the other."""
    for number, name in enumerate(names, 1):
        answer = owner.post("postMeterData", posting(connection=name, value=number))
        assert answer.status_code == 200, answer.json


@pytest.mark.parametrize("key", ["connection", "connections"])
@pytest.mark.parametrize("as_json", [False, True], ids=["repeated keys", "a JSON list"])
def test_queries_hold_lists(owner, names, measured, key, as_json):
    """In a query a list is a key that is repeated, or a list in JSON."""
    written = f'["{names[0]}", "{names[1]}"]' if as_json else names
    answer = owner.get("getMeterData", **asking(**{key: written})).json
    assert answer["groups"] == [
        {"connection": names[0], "values": [1, 1]},
        {"connection": names[1], "values": [2, 2]},
    ]


def test_a_list_of_one_is_one(owner, names, measured):
    """One connection in a list is answered as if it had been named alone."""
    answer = owner.get("getMeterData", **asking(connections=f'["{names[0]}"]')).json
    assert (answer["connection"], answer["values"]) == (names[0], [1, 1])
    assert "groups" not in answer


def test_the_body_of_a_question_is_ignored(owner, names, measured):
    """A GET request asks by its query string alone."""
    query = asking(connection=names[0])
    path = "/api/v2_0/getMeterData"
    answer = owner.client.get(path, query_string=query, json={"connection": names[1]}, headers=owner.headers)
    assert answer.json["values"] == [1, 1]
    answer = owner.client.get(path, json=query, headers=owner.headers)
    assert answer.json["status"] == "NO_MESSAGE_TYPE"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"value": 3}, "PROCESSED", id="a number under the singular key"),
        pytest.param({"values": 3}, "PROCESSED", id="a number under the plural key"),
        pytest.param({"value": [3, 3]}, "PROCESSED", id="a list under the singular key"),
        pytest.param({"values": ["3", " 3.0 "]}, "PROCESSED", id="numbers as text"),
        pytest.param({"value": 3, "values": [4, "x"]}, "PROCESSED", id="the singular key comes first"),
        pytest.param({"value": 3, "groups": [{"connection": "no"}]}, "PROCESSED", id="then groups"),
        pytest.param({"value": ""}, "PTUS_INCOMPLETE", id="an empty text"),
        pytest.param({"values": {"0": 3}}, "PTUS_INCOMPLETE", id="an object"),
        pytest.param({"values": [1, NESTED]}, "PTUS_INCOMPLETE", id="lists in lists"),
    ],
)
def test_values_are_written_in_many_ways(owner, names, fields, status):
    """Values may stand alone or in lists, as numbers or as text, under either key."""
    answer = owner.post("postMeterData", posting(connection=names[0], **fields))
    assert answer.json["status"] == status, answer.json
    read = owner.get("getMeterData", **asking(connection=names[0])).json["values"]
    assert read == ([3, 3] if status == "PROCESSED" else [])


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        pytest.param([{"values": [1, 2]}], "UNRECOGNIZED_CONNECTION_GROUP", id="no connection"),
        pytest.param([{"connection": "Test building"}], "PTUS_INCOMPLETE", id="no values"),
        pytest.param([], "UNRECOGNIZED_CONNECTION_GROUP", id="no groups"),
        pytest.param(["Test building"], "UNRECOGNIZED_CONNECTION_GROUP", id="a name for a group"),
        pytest.param(
            [{"connection": "Test building", "value": 1}, {"connection": "Test roof"}],
            "PTUS_INCOMPLETE",
            id="values for one group only",
        ),
        pytest.param(
            [
                {"connection": "Test building", "values": [1, 2]},
                {"connection": "Test battery", "values": [1, 2, 3]},
            ],
            "INVALID_RESOLUTION",
            id="another number of values that does not fit",
        ),
    ],
)
def test_each_group_is_whole(owner, groups, status, stored):
    """A group names its connections and has its values; one that does not refuses the whole message."""
    answer = owner.post("postMeterData", posting(groups=groups))
    assert (answer.status_code, answer.json["status"]) == (400, status), answer.json
    assert stored("building") == {}


def test_groups_have_what_stands_above_them(owner, names):
    """Start, duration and unit hold for all groups; a group has none of its own."""
    groups = [{"connection": names[0], "value": 1, "start": "2016-01-01T00:00:00Z", "unit": "kW"}]
    assert owner.post("postMeterData", posting(groups=groups)).status_code == 200
    assert owner.get("getMeterData", **asking(connection=names[0])).json["values"] == [1, 1]


def test_assets_of_several_resolutions_are_posted_to_separately(app, owner, cast, names):
    """Assets whose resolutions differ are named in the refusal."""
    with app.app_context():
        db.session.get(Asset, cast.assets["two_way"]).sensor.event_resolution *= 2
        db.session.commit()
    answer = owner.post("postMeterData", posting(connections=names, value=1))
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_RESOLUTION")
    assert "conflicting" in answer.json["message"]
    assert "'Test building' (id 7, PT15M)" in answer.json["message"]
    assert "'Test charging station (bidirectional)' (id 5, PT30M)" in answer.json["message"]


@pytest.mark.parametrize(
    ("start", "duration", "hours"),
    [
        # in Amsterdam, summer time began on 29 March and ended on 25 October 2015
        pytest.param("2015-02-01T00:00:00Z", "P1M", 28 * 24, id="a February"),
        pytest.param("2016-01-01T00:00:00+01:00", "P1Y", 366 * 24, id="a leap year"),
        pytest.param("2015-03-29T00:00:00+01:00", "P1D", 24, id="a day is 24 hours"),
        pytest.param("2015-10-25T00:00:00+02:00", "P1W", 168, id="a week"),
        pytest.param("2015-01-31T00:00:00Z", "P1MT1H", 28 * 24 + 1, id="to the end of the next month"),
    ],
)
@pytest.mark.parametrize("version", ["v1", "v2_0"])
def test_durations_may_follow_the_calendar(owner, names, stored, version, start, duration, hours):
    """Months and years count from the start of a message, in its own offset from UTC."""
    message = posting(connection=names[0], value=1, start=start, duration=duration)
    assert owner.post("postMeterData", message, version).status_code == 200
    assert len(stored("building")) == hours * 4
    asked = asking(connection=names[0], start=start, duration=duration)
    answer = owner.get("getMeterData", version, **asked).json
    assert (len(answer["values"]), answer["duration"]) == (hours * 4, duration.replace("1W", "7D"))


@pytest.mark.parametrize("start", ["2015-01-01T01:00:00+01:00", "2014-12-31T19:00-05:00", "20150101T000000Z"])
def test_an_instant_may_be_written_in_any_zone(owner, names, measured, start):
    """The same instant in another zone, or in the basic format, is the same."""
    assert owner.get("getMeterData", **asking(connection=names[0], start=start)).json["values"] == [1, 1]


@pytest.mark.parametrize("version", ["v1", "v1_1", "v1_2", "v1_3", "v2_0"])
def test_one_mistake_after_the_other_is_told(client, owner, cast, version):
    """Of several mistakes the first in order is told: token, role, type, unit, connection, values, period, address."""
    roleless = client.post(
        "/api/requestAuthToken", json={"email": cast.roleless_email, "password": cast.password}
    ).json["auth_token"]
    message, headers = {"start": "2015-01-01T00:00:00"}, {}
    mended = [
        ("UNAUTHORIZED", {}, {"Authorization": roleless}),
        ("INVALID_SENDER", {}, owner.headers),
        ("NO_MESSAGE_TYPE", {"type": "Post"}, {}),
        ("INVALID_MESSAGE_TYPE", {"type": "PostMeterDataRequest"}, {}),
        ("INVALID_UNIT", {"unit": "MW"}, {}),
        ("UNRECOGNIZED_CONNECTION_GROUP", {"connection": "ea1.nothing"}, {}),
        ("PTUS_INCOMPLETE", {"value": -1}, {}),
        ("INVALID_TIMEZONE", {"start": "2015-01-01T00:00:00Z"}, {}),
        ("INVALID_PERIOD", {"duration": "PT15M"}, {}),
        ("INVALID_DOMAIN", {"connection": f"ea1.2021-01.io:1:{cast.foreign_asset}"}, {}),
        ("UNRECOGNIZED_CONNECTION_GROUP", {"connection": cast.address("station")}, {}),
        ("POWER_VALUE_TOO_SMALL", {"value": 1}, {}),
        ("PROCESSED", {}, {}),
    ]
    for status, changes, others in mended:
        answer = client.post(f"/api/{version}/postMeterData", json=message, headers=headers)
        assert answer.json["status"] == status, answer.json
        message |= changes
        headers |= others
