"""What clients send of units, numbers, names and ids: understood, converted, or refused with the right field's name."""

from datetime import timedelta

import pytest

from flexmeasures.data.database import db
from flexmeasures.services.markets import NewMarket, create_market

START = "2015-01-05T00:00:00+00:00"
MARK = "\u202e"


def power(cast, **fields):
    """A quarter of an hour of meter data of the building."""
    return {
        "type": "PostMeterDataRequest",
        "connection": cast.address("building"),
        "values": [1.5],
        "start": START,
        "duration": "PT15M",
        "horizon": "PT0H",
        "unit": "MW",
    } | fields


def ask(owner, cast, **fields):
    """Read the power of the building."""
    question = power(cast) | {"type": "GetMeterDataRequest"} | fields
    del question["values"], question["horizon"]
    return owner.get("getMeterData", **question).json


@pytest.mark.parametrize(
    ("unit", "sent", "megawatts"),
    [
        ("kW", 1500, 1.5),
        ("MWh", 0.375, 1.5),  # in a quarter of an hour
        ("kWh", 375, 1.5),
        ("MW", 0.1, 0.1),
    ],
)
def test_power_and_energy_in_and_out(owner, cast, unit, sent, megawatts):
    """Meter data may be sent and asked for as power or as the energy of each interval."""
    assert owner.post("postMeterData", power(cast, values=[sent], unit=unit)).status_code == 200
    assert ask(owner, cast)["values"] == [megawatts]
    answer = ask(owner, cast, unit=unit)
    assert answer["values"] == pytest.approx([sent], rel=1e-15)
    assert answer["unit"] == unit


def test_energy_of_coarse_values_and_of_coarse_answers(owner, cast):
    """1 MWh in an hour is 1 MW in each of its quarters, 0.25 MWh in each, and 1 MWh in the hour again."""
    message = power(cast, values=[1], duration="PT1H", unit="MWh")
    assert owner.post("postMeterData", message).status_code == 200
    assert ask(owner, cast, duration="PT1H")["values"] == [1] * 4
    assert ask(owner, cast, duration="PT1H", unit="MWh")["values"] == [0.25] * 4
    assert ask(owner, cast, duration="PT1H", unit="MWh", resolution="PT1H")["values"] == [1]


@pytest.fixture
def australian(app, cast):
    """A market that is paid in Australian dollars."""
    with app.app_context():
        new = NewMarket("nem", "NEM", "day_ahead", "AUD/kWh", timedelta(hours=1), "Australia/Sydney")
        create_market(db.session, new)
        db.session.commit()


@pytest.mark.parametrize(
    ("unit", "status"), [("AUD/kWh", 200), ("AUD/MWh", 200), ("EUR/kWh", 400), ("m/s", 400)]
)
def test_prices_in_any_currency(owner, cast, australian, unit, status):
    """A market takes prices in its currency, per kWh or MWh, and names its unit to others."""
    message = power(
        cast, type="PostPriceDataRequest", market="ea1.2021-01.localhost:nem", unit=unit, duration="PT1H"
    )
    del message["connection"]
    answer = owner.post("postPriceData", message)
    assert answer.status_code == status
    if status == 400:
        assert answer.json["status"] == "INVALID_UNIT"
        assert "AUD/kWh" in answer.json["message"]


def test_a_refused_wind_speed_learns_the_unit_of_its_sensor(owner, cast):
    """Who sends km/h is told that this sensor takes m/s, not what all weather is measured in."""
    message = power(
        cast, type="PostWeatherDataRequest", unit="km/h", sensor="ea1.2021-01.localhost:wind_speed:33.4:126.4"
    )
    del message["connection"]
    answer = owner.post("postWeatherData", message)
    assert answer.json["status"] == "INVALID_UNIT"
    assert "wind speed must be in m/s; 'unit' is 'km/h'" in answer.json["message"]
    assert "°C" not in answer.json["message"]


@pytest.mark.parametrize(
    "value", [True, "1_0", "٣", "0x10", "1e400", "", " ", "infinity", "nan", [1], {}, None]
)
def test_what_is_no_number_is_no_value(owner, cast, value):
    """Only numbers, or texts of decimal numbers in ASCII, are values."""
    answer = owner.post("postMeterData", power(cast, values=[value]))
    assert (answer.status_code, answer.json["status"]) == (400, "PTUS_INCOMPLETE")


@pytest.mark.parametrize("value", ["1.5", " 1.5 ", "15e-1", "+1.5", 1.5])
def test_texts_of_numbers_are_values(owner, cast, value):
    """Numbers may be quoted, as documented."""
    assert owner.post("postMeterData", power(cast, values=[value])).status_code == 200
    assert ask(owner, cast)["values"] == [1.5]


@pytest.mark.parametrize("source", ["٣", "9" * 5000, "²", "0", "-1", MARK])
def test_odd_sources_are_refused_by_name(owner, cast, source):
    """A source is an id in ASCII digits or a role; anything else is not ignored."""
    question = power(cast) | {"type": "GetMeterDataRequest", "source": source}
    answer = owner.post("getMeterData", question, version="v1")
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_SOURCE")
    assert len(answer.json["message"]) < 300


@pytest.mark.parametrize("service", ["postMeterData", "postPrognosis", "getMeterData"])
@pytest.mark.parametrize("horizon", ["P999999999D", "-P999999999D"])
@pytest.mark.parametrize("version", ["v1_1", "v2_0"])
def test_horizons_beyond_the_calendar_are_refused(owner, cast, service, horizon, version):
    """A horizon of millions of years is not a horizon, whatever the service and version."""
    message = power(cast, horizon=horizon) | {"type": f"{service[0].upper()}{service[1:]}Request"}
    answer = (
        owner.get(service, version, **message)
        if service.startswith("get")
        else owner.post(service, message, version)
    )
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_HORIZON")


def test_the_mean_of_large_values_is_a_number(owner, cast):
    """Four quarters of 1e308 MW are an hour of 1e308 MW."""
    owner.post("postMeterData", power(cast, values=[1e308] * 4, duration="PT1H"))
    assert ask(owner, cast, duration="PT1H", resolution="PT1H")["values"] == pytest.approx([1e308])


@pytest.mark.parametrize("text", ["+0_03", "٣", "3_0", "+3", "0x3"])
@pytest.mark.parametrize("path", ["/api/v2_0/asset/{}", "/api/v2_0/user/{}", "/api/dev/sensor/{}/"])
def test_ids_in_paths_are_plain_numbers(admin, cast, path, text):
    """What Python would read as a number is none in a path."""
    answer = admin.client.get(path.format(text), headers=admin.headers)
    assert answer.status_code in (400, 404)
    assert "owner_id" not in (answer.json or {})


ASSET = {
    "name": "one more",
    "asset_type_name": "battery",
    "capacity_in_mw": 1,
    "event_resolution": 15,
    "latitude": 52,
    "longitude": 5,
    "unit": "MW",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("name", text) for text in ("  ", "a\nb", f"a{MARK}b", "\u3164\u3164", "x" * 81)],
        *[("display_name", text) for text in ("     ", "abc\rd", f"abcd{MARK}")],
        *[("unit", text) for text in ("MW; drop", "", " ", "A^0", f"MW{MARK}")],
        *[("timezone", text) for text in ("localtime", "Factory", "posixrules", "")],
        *[("capacity_in_mw", value) for value in (True, "1_0", "٣")],
        *[("latitude", value) for value in (True, "5_2")],
        *[("owner_id", value) for value in (True, "1_0")],
    ],
)
def test_assets_refuse_odd_texts_by_field(admin, cast, field, value):
    """A name that cannot be seen, a unit that is none, a zone of this machine: the answer names the field."""
    fields = ASSET | {"owner_id": cast.owner_id, "market_id": cast.market} | {field: value}
    answer = admin.client.post("/api/v2_0/assets", json=fields, headers=admin.headers)
    assert answer.status_code == 422, answer.json
    assert list(answer.json["message"]["json"]) == [field]


def test_names_are_kept_composed_and_trimmed(admin, cast):
    """Names that look the same are the same."""
    fields = ASSET | {"owner_id": cast.owner_id, "market_id": cast.market}
    first = admin.client.post(
        "/api/v2_0/assets", json=fields | {"name": " Cafe\u0301 "}, headers=admin.headers
    )
    assert (first.status_code, first.json["name"]) == (201, "Caf\u00e9")
    second = admin.client.post("/api/v2_0/assets", json=fields | {"name": "Caf\u00e9"}, headers=admin.headers)
    assert "already exists" in second.json["message"]["json"]["name"][0]


@pytest.mark.parametrize("name", ["  ", "a\nb", f"a{MARK}b"])
def test_users_are_not_renamed_to_what_cannot_be_read(admin, cast, name):
    """The name of a user is one that others can read."""
    path = f"/api/v2_0/user/{cast.owner_id}"
    answer = admin.client.patch(path, json={"username": name}, headers=admin.headers)
    assert (answer.status_code, list(answer.json["message"]["json"])) == (422, ["username"])


@pytest.mark.parametrize(
    "fields",
    [
        {"x" * 1_000_000: 1},
        {"timezone": "x" * 100_000},
        {"unit": "x" * 100_000},
        {"asset_type_name": "x" * 100_000},
        {"name": "x" * 100_000},
        {"latitude": "x" * 100_000},
    ],
    ids=lambda fields: next(iter(fields))[:10],
)
def test_refusals_repeat_little_of_what_was_sent(admin, cast, fields):
    """A key of a megabyte or a long value is not sent back."""
    sent = ASSET | {"owner_id": cast.owner_id, "market_id": cast.market} | fields
    answer = admin.client.post("/api/v2_0/assets", json=sent, headers=admin.headers)
    assert answer.status_code == 422
    assert len(answer.data) < 500


@pytest.mark.parametrize(
    "fields",
    [
        {"connection": "ea1.2021-01." + "x" * 400},
        {"unit": "y" * 400},
        {"start": "2015-01-05T00" + "z" * 400},
        {"duration": "P" + "1" * 400},
        {"horizon": "PT" + "1" * 400},
        {"values": ["w" * 400]},
        {"type": "t" * 400},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_refused_messages_repeat_little_of_what_was_sent(owner, cast, fields):
    """A wrong address or time of 400 characters is shortened in the answer."""
    answer = owner.post("postMeterData", power(cast) | fields)
    assert answer.status_code == 400
    assert len(answer.data) < 400


def event(cast, kind, **fields):
    """A UDI event of the battery."""
    return {
        "type": "PostUdiEventRequest",
        "event": cast.address("battery", f"1:{kind}"),
        "value": 2.5,
        "unit": "MWh",
        "datetime": "2015-01-01T00:00:00Z",
    } | fields


def test_an_event_without_targets_ignores_them(owner, cast):
    """Targets say nothing in an event of the type soc, and are not looked at."""
    assert owner.post("postUdiEvent", event(cast, "soc", targets=[{"valu": 1}])).status_code == 200


@pytest.mark.parametrize(
    ("target", "status", "named"),
    [
        ({"datetime": "2015-01-01T02:00:00Z"}, "PTUS_INCOMPLETE", "'value' of a target is missing"),
        ({"value": 1}, "INVALID_DATETIME", "'datetime of a target' is missing"),
        (5, "PTUS_INCOMPLETE", "A target is 5"),
    ],
)
def test_wrong_targets_are_named_as_targets(owner, cast, target, status, named):
    """What a target lacks is not taken for a field of the event."""
    answer = owner.post("postUdiEvent", event(cast, "soc-with-targets", targets=[target]))
    assert answer.json["status"] == status
    assert named in answer.json["message"]
