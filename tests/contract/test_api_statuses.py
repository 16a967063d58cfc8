"""Each documented status, reached by a request; a refusal names what is wrong, and how to do it right."""

from pathlib import Path

import pytest

from flexmeasures.api.usef.statuses import STATUSES

HOST = "ea1.2021-01.io.flexmeasures"
BATTERY, STATION, ROOF, BUILDING = (f"{HOST}:1:{asset_id}" for asset_id in (3, 4, 6, 7))

POWER = {
    "connection": BUILDING,
    "values": [1, 2],
    "start": "2015-01-01T00:00:00Z",
    "duration": "PT30M",
    "horizon": "PT0H",
    "unit": "MW",
}
PRICES = POWER | {"market": f"{HOST}:epex_da", "duration": "PT2H", "unit": "EUR/MWh"}
WEATHER = POWER | {"sensor": f"{HOST}:temperature:33.4:126.4", "unit": "°C"}
CHARGE = {"event": f"{BATTERY}:204:soc", "value": 2.5, "unit": "MWh", "datetime": "2015-01-02T00:00:00Z"}
READ = {key: POWER[key] for key in ("connection", "start", "duration", "unit")}
PLAN = {"event": CHARGE["event"]}

# Each request differs from a right one in what is written beside it. The words must stand in its message.
REFUSED = {
    "INVALID_DOMAIN": ("v2_0/postMeterData", POWER | {"connection": "ea1.2021:1:7"}, "'ea1.2021:1:7'"),
    "INVALID_HORIZON": (
        "v2_0/postMeterData",
        POWER | {"horizon": "PT1H"},
        "'horizon' is PT1H; it must not be positive",
    ),
    "INVALID_PERIOD": (
        "v2_0/getMeterData",
        READ | {"duration": "PT0H"},
        "'PT0H'; it must be longer than zero",
    ),
    "INVALID_PTU_DURATION": (
        "v1/postMeterData",
        POWER | {"start": "2015-01-01T00:10:00Z"},
        "multiple of PT15M",
    ),
    "INVALID_RESOLUTION": ("v2_0/postMeterData", POWER | {"duration": "PT10M"}, "PT15M"),
    "INVALID_SOURCE": (
        "v2_0/getMeterData",
        READ | {"source": "Nobody"},
        "known as 'Nobody'. Name user ids, or roles such as MDC",
    ),
    "INVALID_ROLE": ("v2_0/getService", {"access": "Nobody"}, "'Nobody'. Name a role such as Prosumer"),
    "INVALID_TIMEZONE": (
        "v2_0/getMeterData",
        READ | {"start": "2015-01-01T00:00:00"},
        "2015-01-01T00:00:00Z for UTC",
    ),
    "INVALID_DATETIME": (
        "v2_0/postUdiEvent",
        CHARGE | {"datetime": "noon"},
        "'noon', which is not an ISO 8601 date",
    ),
    "INVALID_UNIT": (
        "v2_0/postMeterData",
        POWER | {"unit": "W"},
        "must be in MW or kW or MWh or kWh; 'unit' is 'W'",
    ),
    "NO_MESSAGE_TYPE": ("v2_0/postMeterData", POWER | {"type": None}, '"type": "PostMeterDataRequest"'),
    "INVALID_MESSAGE_TYPE": (
        "v2_0/getMeterData",
        READ | {"type": "Get"},
        "expected is 'GetMeterDataRequest'",
    ),
    "POWER_VALUE_TOO_BIG": ("v2_0/postMeterData", POWER | {"connection": ROOF}, f"{ROOF} produces only"),
    "POWER_VALUE_TOO_SMALL": (
        "v2_0/postMeterData",
        POWER | {"connection": STATION, "values": [-1, 0]},
        f"{STATION} consumes only",
    ),
    "PTUS_INCOMPLETE": (
        "v2_0/postMeterData",
        POWER | {"values": [1, None]},
        "Value number 2 is missing. Send finite numbers",
    ),
    "UNRECOGNIZED_CONNECTION_GROUP": ("v2_0/getMeterData", READ | {"connection": f"{HOST}:1:99"}, "99"),
    "UNRECOGNIZED_ASSET": ("v2_0/getMeterData", READ | {"connection": "99"}, "99"),
    "UNRECOGNIZED_MARKET": (
        "v2_0/postPriceData",
        PRICES | {"market": f"{HOST}:apx"},
        "no market called 'apx'",
    ),
    "UNRECOGNIZED_SENSOR": ("v2_0/postWeatherData", WEATHER, "33.4"),
    "INCOMPLETE_UDI_EVENT": (
        "v2_0/postUdiEvent",
        CHARGE | {"event": f"{BATTERY}:1:soc-with-targets"},
        "Add 'targets'",
    ),
    "UNRECOGNIZED_UDI_EVENT": ("v2_0/getDeviceMessage", PLAN, "Event 204 of asset 3"),
    "UNPROCESSABLE_ENTITY": (
        "v2_0/getDeviceMessage",
        PLAN | {"duration": "15M"},
        "Cannot parse 15M as ISO8601 duration",
    ),
}


# The same, with what happened before: settings and requests that are processed.
REFUSED_AFTER = {
    "ALREADY_RECEIVED_AND_SUCCESSFULLY_PROCESSED": (
        {},
        [("v2_0/postMeterData", POWER)],
        ("v2_0/postMeterData", POWER, "already"),
    ),
    "OUTDATED_UDI_EVENT": (
        {},
        [("v2_0/postUdiEvent", CHARGE)],
        ("v2_0/postUdiEvent", CHARGE, "latest one, 204. Use a higher number"),
    ),
    "UNKNOWN_SCHEDULE": (
        {},
        [("v2_0/postUdiEvent", CHARGE)],
        ("v2_0/getDeviceMessage", PLAN, "waits to be processed"),
    ),
    "UNKNOWN_PRICES": (
        {},
        [("v1_2/postUdiEvent", CHARGE | {"datetime": "2040-01-01T00:00:00Z"})],
        ("v1_2/getDeviceMessage", PLAN, "2040-01-01T00:00:00Z"),
    ),
    "REQUEST_ENTITY_TOO_LARGE": (
        {"FLEXMEASURES_MAX_VALUES_PER_REQUEST": 1},
        [],
        ("v2_0/postMeterData", POWER, "makes 2 values; one request may make at most 1"),
    ),
    "TOO_MANY_REQUESTS": (
        {"FLEXMEASURES_API_RATE_LIMIT": "1 per hour"},
        [("v2_0/getMeterData", READ)],
        ("v2_0/getMeterData", READ, "1 request"),
    ),
}

# Those that are no answer to a message, or need more of a story, by the file that holds their test.
ELSEWHERE = {
    "PROCESSED": "test_api_meter_data.py",
    "INVALID_MARKET": "test_api_devices.py",
    "INVALID_METHOD": "test_api_routes.py",
    "INVALID_SENDER": "test_api_entrance.py",
    "REQUIRED_INFO_MISSING": "test_rest_assets.py",
    "UNEXPECTED_PARAMS": "test_rest_assets.py",
    "NO_BACKUP": "test_rest_backups.py",
    "UNRECOGNIZED_BACKUP": "test_rest_backups.py",
    "SERVICE_UNAVAILABLE": "test_rest_users.py",
}

CODES = {"UNPROCESSABLE_ENTITY": 422, "REQUEST_ENTITY_TOO_LARGE": 413, "TOO_MANY_REQUESTS": 429}


@pytest.fixture
def ask(owner, cast):
    """Send a message with its type; in an empty database the cast always has the same ids."""
    assert [cast.address(name) for name in ("battery", "station", "solar", "building")] == [
        *(BATTERY, STATION, ROOF, BUILDING)
    ]

    def send(path, message):
        version, service = path.split("/")
        message = {"type": f"{service[0].upper()}{service[1:]}Request"} | message
        if service.startswith("post"):
            return owner.post(service, message, version)
        return owner.client.get(f"/api/{path}", query_string=message, headers=owner.headers)

    return send


def check_refusal(answer, status, service, words):
    """Compare a refusal with what the documentation says of its status: code, keys and words."""
    assert (answer.status_code, answer.json["status"]) == (CODES.get(status, 400), status), answer.json
    assert answer.json["type"] == f"{service[0].upper()}{service[1:]}Response"
    assert words in str(answer.json["message"])


@pytest.mark.parametrize("status", REFUSED)
def test_a_wrong_request_is_refused(ask, status):
    """A request that is right but for one thing is refused with the status of that thing."""
    path, message, words = REFUSED[status]
    answer = ask(path, message)
    check_refusal(answer, status, path.split("/")[1], words)
    keys = {"result": "Rejected"} if status != "UNRECOGNIZED_ASSET" else {}
    assert {key: answer.json[key] for key in answer.json if key.startswith("result")} == keys


@pytest.mark.parametrize("status", REFUSED_AFTER)
def test_a_request_at_the_wrong_time_is_refused(app, ask, status):
    """A request that is refused for what happened before, or as too much."""
    settings, before, (path, message, words) = REFUSED_AFTER[status]
    app.config |= settings
    for earlier in before:
        assert ask(*earlier).status_code == 200
    check_refusal(ask(path, message), status, path.split("/")[1], words)


def test_every_status_is_shown():
    """No status of the catalogue is without a test."""
    assert set(STATUSES) == {*REFUSED, *REFUSED_AFTER, *ELSEWHERE}
    for status, name in ELSEWHERE.items():
        assert f'"{status}"' in Path(__file__).with_name(name).read_text(), status
