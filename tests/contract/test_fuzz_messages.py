"""Nonsense in messages is refused with a documented status: no error of ours, no stack trace, nothing half-stored."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from flexmeasures.api.usef.statuses import STATUSES
from flexmeasures.data.database import db

FEW = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

VERSIONS = st.sampled_from(["v1_1", "v1_2", "v1_3", "v2_0"])

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
digits = st.integers(min_value=-1, max_value=10**20).map(str)
durations = st.one_of(
    st.sampled_from(
        ["PT15M", "PT1H", "P1D", "P1M", "P1Y", "PT0S", "-PT15M", "P-1D", "PT1e3H", "P", "PT", "R/PT1H"]
    ),
    st.sampled_from(
        ["P9999Y", "P99999999999D", "PT99999999999999999999S", "PT0.000001S", "P0.1Y", "P1W", "P1Y-1M"]
    ),
    st.text(alphabet="PTYMWDHSR/-+.,0123456789eE ", max_size=14),
    anything,
)
instants = st.one_of(
    st.datetimes().map(lambda instant: f"{instant.isoformat()}Z"),
    st.sampled_from(
        [
            "2015-01-01T00:00:00Z",
            "2015-01-01",
            "2015-01-01T00:00:00",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "2015-01-01T24:00:00Z",
            "2015-06-30T23:59:60Z",
            "2015-W01-1T00:00:00Z",
            "20150101T000000Z",
            "2015-01-01T00:00:00+99:99",
            "2015-01-01T00:00:00 01:00",
            "２０１５-01-01T00:00:00Z",
        ]
    ),
    st.text(alphabet="0123456789-:TZ+. ", max_size=25),
    anything,
)


def addresses(*kept):
    """Make addresses: good ones, some with one part of them spoilt, and no addresses at all."""
    spoilt = st.builds(
        lambda address, at, piece: address[:at] + piece + address[at + 1 :],
        st.sampled_from(kept),
        st.integers(0, 40),
        st.text(alphabet=":.-[]0123456789aé\0\n\u0661 ", max_size=4),
    )
    local = st.builds("ea1.2021-01.io.flexmeasures:{}:{}".format, digits, digits)
    return st.one_of(st.sampled_from(kept), spoilt, local, anything)


@pytest.fixture
def unharmed(app, cast):
    """Hold an answer against the rules for all answers, and the store against what it was."""

    def state():
        with app.app_context():
            counts = [
                "select count(*) from belief",
                "select count(*) from data_source",
                "select count(*) from weather_sensor",
                "select sum(soc_udi_event_id) from device_state",
            ]
            return [db.session.scalar(text(count)) for count in counts]

    before = state()

    def check(answer):
        nonlocal before
        assert answer.status_code < 500, answer.text
        assert "Traceback" not in answer.text
        assert "site-packages" not in answer.text
        body = answer.get_json()
        assert isinstance(body, dict), answer.text
        after = state()
        if answer.status_code >= 400:
            # Of a message that contradicts what is known, what is new is stored all the same, and the answer says so.
            assert after == before or body["status"].startswith("ALREADY_RECEIVED")
            assert body.get("status", 400) in {*STATUSES, "UNAUTHORIZED", 400}
        before = after

    return check


def one_changed(good, **strategies):
    """Make messages that are good but for one field or two."""
    change = st.one_of(
        *(st.tuples(st.just(name), strategy) for name, strategy in strategies.items()),
        st.tuples(st.sampled_from(list(good)), st.just(...)),
    )

    def spoil(changes):
        message = {**good, **dict(changes)}
        return {key: value for key, value in message.items() if value is not ...}

    return st.lists(change, min_size=1, max_size=2).map(spoil)


def post(caller, service, message, version):
    """Send a message as JSON, NaN and the like included."""
    body = json.dumps(message).encode("utf-8", "surrogatepass")
    return caller.client.post(f"/api/{version}/{service}", data=body, headers=caller.headers, buffered=True)


values = st.one_of(
    st.lists(st.floats() | scalars, max_size=5),
    st.sampled_from(
        [[], [[1]], [1e308, -1e308], ["1", "2"], ["NaN"], [None], [{}], "1e999", 10**400, [10**400]]
    ),
    anything,
)


def test_meter_data(owner, cast, unharmed):
    """Nonsense in meter data and prognoses."""
    kept = [cast.address("station"), cast.address("two_way")]
    good = {
        "type": "PostMeterDataRequest",
        "connection": kept[0],
        "values": [1, 2],
        "start": "2015-01-01T00:00:00Z",
        "duration": "PT30M",
        "horizon": "-PT5M",
        "unit": "MW",
    }
    groups = st.lists(
        st.dictionaries(
            st.sampled_from(["connection", "connections", "value", "values", "x"]),
            addresses(*kept) | values | st.lists(addresses(*kept), max_size=3),
            max_size=4,
        )
        | anything,
        max_size=3,
    )
    messages = one_changed(
        good,
        connection=addresses(*kept),
        connections=st.lists(addresses(*kept), max_size=3),
        value=values,
        values=values,
        groups=groups,
        group=groups,
        start=instants,
        duration=durations,
        horizon=durations,
        prior=instants,
        unit=anything,
        type=anything,
    )

    @FEW
    @example(good | {"values": [1] * 96, "duration": "P1D"}, "v2_0", "postMeterData")
    @example(good | {"duration": "PT0.000002S"}, "v2_0", "postMeterData")
    @example(good | {"start": "9998-12-31T23:45:00Z"}, "v1_1", "postMeterData")
    @given(messages, VERSIONS, st.sampled_from(["postMeterData", "postPrognosis"]))
    def send(message, version, service):
        kind = message.get("type")
        if kind == good["type"]:
            message = {**message, "type": f"{service[0].upper()}{service[1:]}Request"}
        unharmed(post(owner, service, message, version))

    send()


def test_prices_and_weather(owner, cast, unharmed):
    """Nonsense in prices and weather; in play mode, too."""
    good = {
        "type": "PostPriceDataRequest",
        "market": "ea1.2021-01.io.flexmeasures:epex_da",
        "sensor": "ea1.2021-01.io.flexmeasures:temperature:33.5:126.5",
        "values": [1, 2],
        "start": "2015-02-01T00:00:00Z",
        "duration": "PT2H",
        "unit": "EUR/MWh",
    }
    places = st.builds(
        "ea1.2021-01.io.flexmeasures:{}:{}:{}".format,
        st.sampled_from(["temperature", "wind_speed", "humidity", "", "t-e", "9"]),
        digits | st.floats().map(str),
        digits | st.floats().map(str),
    )
    messages = one_changed(
        good,
        market=addresses(good["market"]),
        sensor=addresses(good["sensor"]) | places,
        values=values,
        start=instants,
        duration=durations,
        horizon=durations,
        prior=instants,
        unit=st.sampled_from(["°C", "kW/m²", "KRW/kWh"]) | anything,
    )

    @FEW
    @given(messages, VERSIONS, st.booleans(), st.booleans())
    def send(message, version, about_weather, plays):
        owner.client.application.config["FLEXMEASURES_MODE"] = "play" if plays else ""
        service = "postWeatherData" if about_weather else "postPriceData"
        unit = "°C" if about_weather and message.get("unit") == good["unit"] else message.get("unit")
        kind = f"{service[0].upper()}{service[1:]}Request"
        unharmed(post(owner, service, {**message, "type": kind, "unit": unit}, version))

    send()


def test_events(owner, cast, unharmed):
    """Nonsense in UDI events."""
    kept = [cast.address("battery", "1:soc"), cast.address("station", "7:soc-with-targets")]
    good = {
        "type": "PostUdiEventRequest",
        "event": kept[0],
        "value": 2.5,
        "unit": "MWh",
        "datetime": "2015-01-02T00:00:00Z",
    }
    target = st.fixed_dictionaries({}, optional={"value": values, "datetime": instants}) | anything
    messages = one_changed(
        good,
        event=addresses(*kept),
        value=values,
        datetime=instants,
        prior=instants,
        targets=st.lists(target, max_size=3) | anything,
        unit=anything,
    )

    @FEW
    @example(good | {"event": kept[0].replace(":1:soc", ":999999999999999999:soc")}, "v2_0")
    @example(
        good | {"event": kept[1], "targets": [{"value": 1e308, "datetime": "2015-01-02T12:00:00Z"}]}, "v2_0"
    )
    @given(messages, st.sampled_from(["v1_2", "v1_3", "v2_0"]))
    def send(message, version):
        unharmed(post(owner, "postUdiEvent", message, version))

    send()


def as_text(value):
    """Write a value as the text of an argument."""
    return value if isinstance(value, str) else json.dumps(value)


def test_questions(owner, cast, unharmed):
    """Nonsense in questions: keys given twice, lists in JSON, and what is not a text."""
    kept = [cast.address("station"), cast.address("battery")]
    event = cast.address("battery", "1:soc")
    good = {
        "type": "GetMeterDataRequest",
        "connection": kept[0],
        "start": "2015-01-01T00:00:00Z",
        "duration": "PT1H",
        "unit": "MW",
        "event": event,
    }
    fields = {
        "connection": addresses(*kept),
        "connections": st.lists(addresses(*kept), max_size=3),
        "event": addresses(event),
        "start": instants,
        "duration": durations,
        "resolution": durations,
        "horizon": durations,
        "prior": instants,
        "source": anything | digits | st.sampled_from(["MDC", '["MDC", 1]', "[1", "[]", "[null]", "[[1]]"]),
        "groups": st.sampled_from(["[]", '[{"connection": 1}]', "[{}]", "{}", "[1]"]) | anything,
        "unit": anything,
        "\0": anything,
    }
    pairs = st.lists(
        st.one_of(*(st.tuples(st.just(name), strategy.map(as_text)) for name, strategy in fields.items())),
        min_size=1,
        max_size=3,
    )

    @FEW
    @example([("duration", "P1000Y")], "v2_0", "getMeterData")
    @example([("resolution", "PT99999999999999H")], "v2_0", "getPrognosis")
    @given(pairs, VERSIONS, st.sampled_from(["getMeterData", "getPrognosis", "getDeviceMessage"]))
    def ask(changes, version, service):
        if service == "getDeviceMessage" and version == "v1_1":
            version = "v1_2"
        kind = f"{service[0].upper()}{service[1:]}Request"
        replaced = {name for name, _ in changes}
        query = [pair for pair in good.items() if pair[0] not in replaced] + changes
        query = [(name, kind if name == "type" else text) for name, text in query]
        encoded = [(name, text.encode("utf-8", "surrogatepass")) for name, text in query]
        path = f"/api/{version}/{service}"
        unharmed(
            owner.client.get(path, query_string=urlencode(encoded), headers=owner.headers, buffered=True)
        )

    ask()


@FEW
@given(query=st.binary(max_size=60).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)))
@example(query="type=%ff%fe&connection=%80")
@example(query="&&==&=&type&type=[&type=[1]&type=%00")
def test_query_strings(owner, unharmed, query):
    """Query strings need not be text at all."""
    for service in ("getMeterData", "getService", "getConnection", "getDeviceMessage"):
        path = f"/api/v2_0/{service}?type=GetMeterDataRequest&{query}&connection={query}&access={query}"
        unharmed(owner.client.get(path, headers=owner.headers, buffered=True))


@FEW
@given(body=st.binary(max_size=80) | anything.map(lambda value: json.dumps(value).encode()))
@example(body=b"[" * 100_000)
@example(body=b'{"type": "PostMeterDataRequest", "type": NaN}')
@example(body=b'\xef\xbb\xbf{"type": "PostMeterDataRequest"}')
@example(body=b'{"type": "\\ud800"}')
@example(body=b'{"type": "PostMeterDataRequest", "unit": "\\u0000"}')
def test_bodies(owner, unharmed, body):
    """Bodies need not be JSON at all."""
    answer = owner.client.post("/api/v2_0/postMeterData", data=body, headers=owner.headers, buffered=True)
    unharmed(answer)
    assert answer.status_code == 400


@FEW
@given(token=st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=80))
@example(token="")
@example(token="Bearer x")
@example(token="\xff" * 5000)
def test_tokens(client, unharmed, cast, token):
    """Who sends a token that is none is not let in."""
    answer = client.get("/api/v2_0/getConnection", headers={"Authorization": token}, buffered=True)
    unharmed(answer)
    assert (answer.status_code, answer.json["status"]) == (401, "UNAUTHORIZED")


@FEW
@given(at=st.integers(0, 200), letter=st.sampled_from("aZ0-_."))
def test_spoilt_tokens(client, owner, unharmed, at, letter):
    """A token with one letter changed is none."""
    token = owner.headers["Authorization"]
    at %= len(token) - 1  # two bits of the last letter stand for nothing
    spoilt = token[:at] + letter + token[at + 1 :]
    answer = client.get("/api/v2_0/getConnection", headers={"Authorization": spoilt}, buffered=True)
    assert answer.status_code == (200 if spoilt == token else 401)
    unharmed(answer)


@FEW
@given(email=anything, password=anything)
@example(email="owner@seita.nl\0", password="x")
@example(email="owner@seita.nl", password="x" * 10_000)
@example(email="owner@seita.nl", password="\0")
def test_credentials(client, unharmed, cast, email, password):
    """Who sends no right address and password gets no token."""
    body = json.dumps({"email": email, "password": password})
    answer = client.post("/api/requestAuthToken", data=body, content_type="application/json", buffered=True)
    assert answer.status_code in (400, 401, 404, 422)
    assert "auth_token" not in answer.text
    assert "Traceback" not in answer.text
