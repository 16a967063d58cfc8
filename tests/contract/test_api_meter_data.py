"""Meter data and prognoses through the API: shapes of messages, times, sources, resolutions and refusals."""

from datetime import UTC, datetime, timedelta

import pytest

V1_TO_V2 = ["v1", "v1_1", "v1_2", "v1_3", "v2_0"]
BELOW_V2 = V1_TO_V2[:-1]
START = "2015-01-01T00:00:00Z"
SIX = [306.66, 306.66, 0, 0, 306.66, 306.66]


def reading(connection, **changes):
    """Six quarter-hours of meter data."""
    message = {
        "type": "PostMeterDataRequest",
        "connection": connection,
        "values": SIX,
        "start": START,
        "duration": "PT1H30M",
        "horizon": "PT0H",
        "unit": "MW",
    }
    message |= changes
    return {key: value for key, value in message.items() if value is not None}


def question(connection, **changes):
    """Ask for these six quarter-hours."""
    query = {
        "type": "GetMeterDataRequest",
        "connection": connection,
        "start": START,
        "duration": "PT1H30M",
        "unit": "MW",
    }
    query |= changes
    return {key: value for key, value in query.items() if value is not None}


@pytest.mark.parametrize("version", V1_TO_V2)
def test_what_was_posted_is_read_back(owner, cast, version):
    """Posted meter data are read back by who posted them, in every version, under the name that was asked for."""
    address = cast.address("building")
    posted = owner.post("postMeterData", reading(address), version)
    assert (posted.status_code, posted.json) == (
        200,
        {"type": "PostMeterDataResponse", "status": "PROCESSED", "message": "Request has been processed."},
    )
    answer = owner.get("getMeterData", version, **question(address))
    assert answer.json == {
        "type": "GetMeterDataResponse",
        "connection": address,
        "values": SIX,
        "start": START,
        "duration": "PT1H30M",
        "unit": "MW",
        "status": "PROCESSED",
        "message": "Request has been processed.",
    }


def test_v1_reads_by_post_as_well(owner, cast):
    """In version 1 a request for data may be posted."""
    address = cast.address("building")
    owner.post("postMeterData", reading(address))
    answer = owner.client.post("/api/v1/getMeterData", json=question(address), headers=owner.headers)
    assert answer.json["values"] == SIX


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda a, b: {"connection": a}, id="one connection"),
        pytest.param(lambda a, b: {"connections": [a]}, id="a list of one"),
        pytest.param(lambda a, b: {"connection": [a, b]}, id="a list under the singular key"),
        pytest.param(lambda a, b: {"connections": [a, b]}, id="several connections share the values"),
        pytest.param(lambda a, b: {"groups": [{"connections": [a, b], "values": SIX}]}, id="one group"),
        pytest.param(
            lambda a, b: {"groups": [{"connection": a, "value": SIX}, {"connections": b, "values": SIX}]},
            id="several groups, singular and plural mixed",
        ),
    ],
)
def test_messages_may_be_flat_or_grouped(owner, cast, shape):
    """Singular and plural keys, flat and grouped messages mean the same."""
    one, other = cast.address("building"), cast.address("two_way")
    message = reading(None) | shape(one, other)
    if "groups" in message:
        del message["values"]
    assert owner.post("postMeterData", message).status_code == 200
    assert owner.get("getMeterData", **question(one)).json["values"] == SIX


def test_groups_with_their_own_values_are_told_apart(owner, cast):
    """Each group's values belong to its connections; equal answers are given together."""
    one, other, third = (cast.address(name) for name in ("building", "two_way", "battery"))
    others = [1, 2, 3, 4, 5, 6]
    posted = owner.post(
        "postMeterData",
        reading(None, values=None)
        | {
            "groups": [
                {"connections": [one, other], "values": SIX},
                {"connection": third, "values": others},
            ]
        },
    )
    assert posted.status_code == 200, posted.json
    answer = owner.get("getMeterData", **question([one, third, other]))
    assert answer.json["groups"] == [
        {"connections": [one, other], "values": SIX},
        {"connection": third, "values": others},
    ]


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(lambda cast: str(cast.assets["building"]), id="asset id"),
        pytest.param(lambda cast: f"{cast.owner_id}:{cast.assets['building']}", id="owner and asset id"),
        pytest.param(lambda cast: "Test building", id="name"),
        pytest.param(
            lambda cast: f"ea1.2021-01.localhost:5000:{cast.assets['building']}", id="address of another host"
        ),
    ],
)
def test_connections_have_short_names(owner, cast, named):
    """The documentation's shorthands are understood and echoed."""
    name = named(cast)
    assert owner.post("postMeterData", reading(name)).status_code == 200
    answer = owner.get("getMeterData", **question(name)).json
    assert (answer["connection"], answer["values"]) == (name, SIX)


@pytest.mark.parametrize("version", BELOW_V2)
@pytest.mark.parametrize(
    ("horizon", "hours_after_end"),
    [
        pytest.param(None, [0, 0], id="nothing said: right after each event"),
        pytest.param("-PT2H", [2.25, 2], id="horizon of the whole series"),
        pytest.param("-R/PT2H", [2, 2], id="horizon of each event"),
    ],
)
def test_old_horizons_count_from_the_end_of_the_series(
    owner, cast, stored, version, horizon, hours_after_end
):
    """Below version 2.0 a horizon counts from the end of the series unless it repeats."""
    message = reading(cast.address("building"), values=[1, 2], duration="PT30M", horizon=horizon)
    assert owner.post("postMeterData", message, version).status_code == 200
    assert [-h / timedelta(hours=1) for h in stored("building").values()] == hours_after_end


def test_new_horizons_count_for_each_event(owner, cast, stored):
    """In version 2.0 a horizon counts for each event, and a prior for all of them; the earlier one wins."""
    message = reading(cast.address("building"), values=[1, 2], duration="PT30M", horizon="-PT2H")
    assert owner.post("postMeterData", message).status_code == 200
    assert set(stored("building").values()) == {timedelta(hours=-2)}
    message |= {"prior": "2015-01-01T01:30:00Z", "connection": cast.address("two_way")}
    assert owner.post("postMeterData", message).status_code == 200
    # Half past one is 75 minutes after the first event and an hour after the second: earlier than 2 hours after them.
    assert list(stored("two_way").values()) == [timedelta(minutes=-75), timedelta(hours=-1)]


def test_data_without_a_time_of_recording_are_recorded_on_arrival(owner, cast, stored):
    """In version 2.0 the arrival of a message is the time of recording."""
    before = datetime.now(UTC)
    message = reading(cast.address("building"), values=[1], duration="PT15M", horizon=None)
    assert owner.post("postMeterData", message).status_code == 200
    ((start, horizon),) = stored("building").items()
    assert before <= start + timedelta(minutes=15) - horizon <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("version", "changes", "status"),
    [
        pytest.param("v2_0", {"horizon": "R/PT0H"}, "INVALID_HORIZON", id="repeating horizon in v2.0"),
        pytest.param("v2_0", {"horizon": "PT1H"}, "INVALID_HORIZON", id="measured before the fact"),
        pytest.param("v1", {"horizon": "PT1H"}, "INVALID_HORIZON", id="measured before the fact, v1"),
        pytest.param("v2_0", {"horizon": "soon"}, "INVALID_HORIZON", id="no duration"),
        pytest.param("v2_0", {"horizon": "P1M"}, "INVALID_HORIZON", id="horizon of no fixed length"),
        pytest.param("v2_0", {"prior": "2015-01-01T01:00:00Z"}, "INVALID_HORIZON", id="prior before the end"),
        pytest.param("v2_0", {"prior": "yesterday"}, "INVALID_DATETIME", id="prior is not a time"),
        pytest.param("v2_0", {"prior": "2016-01-01T00:00:00"}, "INVALID_TIMEZONE", id="prior without zone"),
        pytest.param(
            "v2_0", {"start": "2099-01-01T00:00:00Z", "horizon": None}, "INVALID_HORIZON", id="future"
        ),
        pytest.param("v2_0", {"type": None}, "NO_MESSAGE_TYPE", id="no type"),
        pytest.param("v2_0", {"type": "PostPrognosisRequest"}, "INVALID_MESSAGE_TYPE", id="wrong type"),
        pytest.param("v2_0", {"unit": None}, "INVALID_UNIT", id="no unit"),
        pytest.param("v2_0", {"unit": "W"}, "INVALID_UNIT", id="wrong unit"),
        pytest.param("v2_0", {"connection": None}, "UNRECOGNIZED_CONNECTION_GROUP", id="no connection"),
        pytest.param("v2_0", {"connection": []}, "UNRECOGNIZED_CONNECTION_GROUP", id="empty list"),
        pytest.param(
            "v2_0", {"connection": "ea1.2021-01.io:1:999"}, "UNRECOGNIZED_CONNECTION_GROUP", id="unknown id"
        ),
        pytest.param("v2_0", {"connection": "99999999999999"}, "UNRECOGNIZED_ASSET", id="enormous id"),
        pytest.param("v1_3", {"connection": "1:9999"}, "UNRECOGNIZED_ASSET", id="unknown id, in short"),
        pytest.param(
            "v1", {"start": "2015-01-01T00:10:00Z"}, "INVALID_PTU_DURATION", id="start within a PTU"
        ),
        pytest.param("v1_3", {"duration": "PT1H20M"}, "INVALID_PTU_DURATION", id="part of a PTU"),
        pytest.param("v2_0", {"connection": "ea1.x:1:2"}, "INVALID_DOMAIN", id="malformed address"),
        pytest.param("v2_0", {"connection": "No such asset"}, "INVALID_DOMAIN", id="unknown name"),
        pytest.param("v2_0", {"connection": {"a": 1}}, "INVALID_DOMAIN", id="address of a wrong type"),
        pytest.param("v2_0", {"values": None}, "PTUS_INCOMPLETE", id="no values"),
        pytest.param("v2_0", {"values": []}, "PTUS_INCOMPLETE", id="empty values"),
        pytest.param("v2_0", {"values": [1, None]}, "PTUS_INCOMPLETE", id="null among values"),
        pytest.param("v2_0", {"values": [1, "x"]}, "PTUS_INCOMPLETE", id="text among values"),
        pytest.param("v2_0", {"values": [1, "nan"]}, "PTUS_INCOMPLETE", id="nan as text"),
        pytest.param("v2_0", {"values": [[1], [2]]}, "PTUS_INCOMPLETE", id="nested values"),
        pytest.param("v2_0", {"start": None}, "INVALID_PERIOD", id="no start"),
        pytest.param("v2_0", {"start": "2015-01-01"}, "INVALID_PERIOD", id="date only"),
        pytest.param("v2_0", {"start": "2015-02-30T00:00:00Z"}, "INVALID_PERIOD", id="30 February"),
        pytest.param("v2_0", {"start": "2015-01-01T00:00:00"}, "INVALID_TIMEZONE", id="naive start"),
        pytest.param("v2_0", {"start": 7}, "INVALID_PERIOD", id="number as start"),
        pytest.param("v2_0", {"duration": None}, "INVALID_PERIOD", id="no duration"),
        pytest.param("v2_0", {"duration": "PT0H"}, "INVALID_PERIOD", id="zero duration"),
        pytest.param("v2_0", {"duration": 90}, "INVALID_PERIOD", id="number as duration"),
        pytest.param("v2_0", {"duration": "P9999Y"}, "INVALID_PERIOD", id="beyond the calendar"),
        pytest.param("v2_0", {"duration": "PT6M"}, "INVALID_RESOLUTION", id="finer than the sensor"),
        pytest.param("v2_0", {"duration": "PT2H"}, "INVALID_RESOLUTION", id="no multiple"),
        pytest.param("v2_0", {"connection": "Test roof"}, "POWER_VALUE_TOO_BIG", id="producer consumes"),
        pytest.param(
            "v2_0",
            {"connection": "Test charging station", "values": [-1.0] * 6},
            "POWER_VALUE_TOO_SMALL",
            id="consumer produces",
        ),
    ],
)
def test_bad_meter_data_are_refused_and_nothing_is_stored(owner, cast, stored, version, changes, status):
    """Each mistake has its documented status, and leaves nothing behind."""
    message = reading(**({"connection": cast.address("building")} | changes))
    answer = owner.post("postMeterData", message, version)
    assert (answer.status_code, answer.json["status"]) == (400, status), answer.json
    assert answer.json["type"] == "PostMeterDataResponse"
    assert stored("building") == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="cut off"),
        pytest.param(b"[]", 400, id="a list"),
        pytest.param(b'{"type": "PostMeterDataRequest", "values": [NaN]}', 400, id="NaN is not JSON"),
        pytest.param(b'{"values": [Infinity]}', 400, id="Infinity is not JSON"),
        pytest.param(b"\xff\xfe", 400, id="no UTF-8"),
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"[" * 100_000, 400, id="deeply nested"),
    ],
)
def test_what_is_no_json_is_refused(owner, body, status):
    """A body that is not a JSON object is refused as such."""
    answer = owner.client.post("/api/v2_0/postMeterData", data=body, headers=owner.headers)
    assert answer.status_code == status
    assert answer.json == {"description": "Not a JSON.", "status": 400}


def test_numbers_too_large_for_a_float_are_refused(owner, cast):
    """A number beyond the largest float is not a finite value."""
    body = (
        '{"type": "PostMeterDataRequest", "connection": "Test building", "values": [1e999], "start": "'
        + START
        + '", "duration": "PT15M", "unit": "MW"}'
    )
    answer = owner.client.post("/api/v2_0/postMeterData", data=body, headers=owner.headers)
    assert answer.status_code == 400


def test_a_belief_posted_again_changes_nothing(owner, cast):
    """Repeating a request is safe: it is refused as already processed, with the data as they were."""
    address = cast.address("building")
    assert owner.post("postMeterData", reading(address)).status_code == 200
    again = owner.post("postMeterData", reading(address, values=[1] * 6))
    assert (again.status_code, again.json["status"], again.json["results"]) == (
        400,
        "ALREADY_RECEIVED_AND_SUCCESSFULLY_PROCESSED",
        "Rejected",
    )
    assert owner.get("getMeterData", **question(address)).json["values"] == SIX


RECEIVED = "ALREADY_RECEIVED_AND_SUCCESSFULLY_PROCESSED"


def test_what_is_new_beside_what_is_known_is_stored(owner, cast, stored):
    """A repeated quarter-hour does not keep new ones out; the answer says how many of each there are."""
    address = cast.address("building")
    owner.post("postMeterData", reading(address, values=SIX[:1], duration="PT15M"))
    answer = owner.post("postMeterData", reading(address))
    assert (answer.status_code, answer.json["status"]) == (200, "PROCESSED")
    assert "5 values are new; 1 had been received before" in answer.json["message"]
    assert owner.get("getMeterData", **question(address)).json["values"] == SIX


@pytest.mark.parametrize("size", [6, 2000], ids=["few", "many"])
def test_what_contradicts_is_refused_and_what_is_new_is_stored(owner, cast, size):
    """Another value for a known event is refused with the values that clash; new events beside it are stored."""
    address, minutes = cast.address("building"), 15 * size
    owner.post("postMeterData", reading(address, values=[5, 7], duration="PT30M"))
    series = [5, 8, *range(size - 2)]
    answer = owner.post("postMeterData", reading(address, values=series, duration=f"PT{minutes}M"))
    assert (answer.status_code, answer.json["status"], answer.json["results"]) == (400, RECEIVED, "Rejected")
    for part in (f"{size - 2} are new and stored", "1 had been received before", "1 were refused"):
        assert part in answer.json["message"]
    assert "8 instead of 7" in answer.json["message"]
    found = owner.get("getMeterData", **question(address, duration=f"PT{minutes}M")).json["values"]
    assert found == [5, 7, *range(size - 2)]


def test_a_clash_in_one_group_leaves_the_other_group(owner, cast, stored):
    """Groups are stored as far as they are new."""
    owner.post("postMeterData", reading(cast.address("building"), values=[5], duration="PT15M"))
    groups = [
        {"connection": cast.address("two_way"), "values": SIX},
        {"connection": cast.address("building"), "values": SIX},
    ]
    again = owner.post("postMeterData", reading(None, values=None) | {"groups": groups})
    assert again.json["status"] == RECEIVED
    assert len(stored("two_way")) == len(stored("building")) == 6


@pytest.mark.parametrize("second", ["address", "id", "group"])
def test_the_same_asset_may_be_named_twice(owner, cast, stored, second):
    """A connection that stands twice in a message, with the same values, is stored once."""
    address = cast.address("building")
    message = {
        "address": reading([address, address]),
        "id": reading([address, str(cast.assets["building"])]),
        "group": reading(None, values=None) | {"groups": [{"connection": address, "values": SIX}] * 2},
    }[second]
    answer = owner.post("postMeterData", message)
    assert (answer.status_code, answer.json["status"]) == (200, "PROCESSED")
    assert len(stored("building")) == 6


def test_two_values_for_one_event_in_a_message_are_refused(owner, cast, stored):
    """A message that contradicts itself is refused as a whole, and names what it is about."""
    address = cast.address("building")
    groups = [{"connection": address, "values": SIX}, {"connection": address, "values": [1] * 6}]
    answer = owner.post("postMeterData", reading(None, values=None) | {"groups": groups})
    assert (answer.status_code, answer.json["status"]) == (400, "PTUS_INCOMPLETE")
    assert "'Test building'" in answer.json["message"]
    assert stored("building") == {}


def test_the_latest_belief_is_read(owner, cast):
    """A later reading of the same event replaces an earlier one; the earlier one is still there as of its time."""
    address = cast.address("building")
    owner.post("postMeterData", reading(address, horizon="PT0H"))
    owner.post("postMeterData", reading(address, horizon="-PT1H", values=[7] * 6))
    assert owner.get("getMeterData", **question(address)).json["values"] == [7] * 6
    # Half past one is the end: by then only the first two events had been read again.
    as_of = owner.get("getMeterData", **question(address, prior="2015-01-01T01:30:00Z")).json["values"]
    assert as_of == [7, 7, *SIX[2:]]
    soon = owner.get("getMeterData", **question(address, horizon="-PT30M")).json["values"]
    assert soon == SIX


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        pytest.param("PT15M", SIX, id="the sensor's own"),
        # the mean of each pair of equal values
        pytest.param("PT30M", [306.66, 0, 306.66], id="half hours"),
        # half of 306.66, and the mean of the half hour that is there
        pytest.param("PT1H", [153.33, 306.66], id="hours, the last one half known"),
        # four of the six values, divided by six
        pytest.param("P1D", [204.44], id="a day"),
    ],
)
def test_values_are_averaged_to_a_coarser_resolution(owner, cast, resolution, expected):
    """A resolution that is a multiple of the sensor's gives means, in bins that follow each other from the start."""
    address = cast.address("building")
    owner.post("postMeterData", reading(address))
    answer = owner.get("getMeterData", **question(address, resolution=resolution)).json
    assert answer["values"] == pytest.approx(expected)


@pytest.mark.parametrize("resolution", ["PT10M", "PT20M", "PT0M", "-PT15M", "15M", "P1M"])
def test_other_resolutions_are_refused(owner, cast, resolution):
    """What is not a multiple of the sensor's resolution is refused, naming the resolution that is needed."""
    answer = owner.get("getMeterData", **question(cast.address("building"), resolution=resolution))
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_RESOLUTION")
    assert "PT15M" in answer.json["message"]


def test_coarser_values_are_repeated(owner, cast):
    """Values that stand for several events are stored for each of them."""
    address = cast.address("building")
    owner.post("postMeterData", reading(address, values=[1, 2, 3]))
    assert owner.get("getMeterData", **question(address)).json["values"] == [1, 1, 2, 2, 3, 3]


def test_sources_choose_whose_data_count(owner, admin, cast):
    """By default one's own data and those of meter data companies count; others must be named."""
    address = cast.address("building")
    admin.post("postMeterData", reading(address, values=[9] * 6))
    assert owner.get("getMeterData", **question(address)).json["values"] == []
    for source in ("admin", ["admin"], str(cast.admin_id), f"[{cast.admin_id}]", '["admin", "Prosumer"]'):
        answer = owner.get("getMeterData", **question(address, source=source))
        assert answer.json["values"] == [9] * 6, source
    assert owner.get("getMeterData", **question(address, sources="Prosumer")).json["values"] == []
    for unknown in ("Nobody", "4711", "MDC", "99999999999"):
        answer = owner.get("getMeterData", **question(address, source=unknown))
        assert (answer.status_code, answer.json["status"]) == (400, "INVALID_SOURCE"), unknown


def test_no_data_is_an_empty_answer(owner, cast):
    """Where nothing was measured the list of values is empty."""
    answer = owner.get("getMeterData", **question(cast.address("building"), start="2010-01-01T00:00:00Z"))
    assert (answer.status_code, answer.json["values"]) == (200, [])


def test_a_foreign_asset_is_as_good_as_unknown(stranger, cast):
    """Whether somebody else's asset exists is not to be learnt from the answers."""
    foreign = stranger.get("getMeterData", **question(cast.address("building")))
    unknown = stranger.get("getMeterData", **question("ea1.2021-01.io.flexmeasures:1:9999"))
    assert foreign.status_code == unknown.status_code == 400
    strip = str(cast.assets["building"])
    assert foreign.json["message"].replace(strip, "N") == unknown.json["message"].replace("9999", "N")
    post = stranger.post("postMeterData", reading(cast.address("building")))
    assert post.json["status"] == "UNRECOGNIZED_CONNECTION_GROUP"
    by_name = stranger.post("postMeterData", reading("Test building"))
    assert by_name.json["status"] == "INVALID_DOMAIN"


def test_too_many_values_are_refused(app, owner, cast):
    """There is a documented limit, which counts what would be stored."""
    app.config["FLEXMEASURES_MAX_VALUES_PER_REQUEST"] = 10
    answer = owner.post("postMeterData", reading(cast.address("building"), values=[1], duration="PT3H"))
    assert (answer.status_code, answer.json["status"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    assert "10" in answer.json["message"]


def test_too_large_bodies_are_refused(app, owner):
    """A body over the limit is refused before it is read."""
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = owner.client.post("/api/v2_0/postMeterData", data=b" " * 2000, headers=owner.headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("version", V1_TO_V2[1:])
def test_prognoses_are_told_from_measurements(owner, cast, version):
    """A prognosis is read by getPrognosis with its horizon, and is not meter data."""
    address = cast.address("building")
    message = reading(address, type="PostPrognosisRequest", horizon="R/PT6H" if version != "v2_0" else "PT6H")
    if version == "v2_0":
        message["prior"] = "2014-12-31T18:15:00Z"
    assert owner.post("postPrognosis", message, version).status_code == 200
    assert owner.get("getMeterData", version, **question(address)).json["values"] == []
    ask = question(address, type="GetPrognosisRequest")
    assert owner.get("getPrognosis", version, **ask).json["values"] == SIX
    assert owner.get("getPrognosis", version, **ask, horizon="PT6H").json["values"] == SIX
    assert owner.get("getPrognosis", version, **ask, horizon="R/PT6H").json["values"] == SIX
    assert owner.get("getPrognosis", version, **ask, horizon="PT24H").json["values"] == []


@pytest.mark.parametrize("version", BELOW_V2[1:])
def test_old_prognoses_need_a_horizon(owner, cast, version):
    """Below version 2.0 the time of a forecast cannot be inferred."""
    message = reading(cast.address("building"), type="PostPrognosisRequest", horizon=None)
    answer = owner.post("postPrognosis", message, version)
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_HORIZON")
