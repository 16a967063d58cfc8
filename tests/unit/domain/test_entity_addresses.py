"""USEF entity addresses."""

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flexmeasures.domain.addresses import (
    ConnectionAddress,
    EventAddress,
    MarketAddress,
    NamingAuthority,
    WeatherSensorAddress,
    parse_connection,
    parse_event,
    parse_market,
    parse_weather_sensor,
)
from flexmeasures.domain.errors import BadAddress

PARSERS = [parse_connection, parse_event, parse_market, parse_weather_sensor]

TODAY = date(2021, 6, 15)
OWNERSHIP = {
    "flexmeasures.io": "2021-01",
    "company.flexmeasures.io": "2021-02",
    "staging.company.flexmeasures.io": "2022-09",
    "test.staging.flexmeasures.co.uk": "2022-09",
}

ids = st.integers(1, 2**31 - 1)
words = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
hosts = st.sampled_from(["localhost", "127.0.0.1", "[::1]", "localhost:5000", *OWNERSHIP])
authorities = hosts.map(lambda host: NamingAuthority.of_host(host, OWNERSHIP, TODAY))


def authority(host, ownership=OWNERSHIP, today=TODAY):
    """The authority behind a host, as text."""
    return str(NamingAuthority.of_host(host, ownership, today))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("flexmeasures.io", "ea1.2021-01.io.flexmeasures", id="a domain"),
        pytest.param("company.flexmeasures.io", "ea1.2021-02.io.flexmeasures.company", id="as documented"),
        pytest.param(
            "https://staging.company.flexmeasures.io:4500",
            "ea1.2022-09.io.flexmeasures.company.staging",
            id="scheme and port are dropped",
        ),
        pytest.param(
            "user:pw@test.staging.flexmeasures.co.uk",
            "ea1.2022-09.uk.co.flexmeasures.staging.test",
            id="credentials are dropped",
        ),
        pytest.param("localhost:5000", "ea1.2021-07.localhost", id="nobody owns localhost: the next month"),
        pytest.param("127.0.0.1", "ea1.2021-07.127.0.0.1", id="an address of a machine stays in order"),
        pytest.param("[::1]:5000", "ea1.2021-07.[::1]", id="even a long one"),
    ],
)
def test_authorities_are_named_after_hosts(host, expected):
    """The naming authority is the first month of ownership and the reversed host."""
    assert authority(host) == expected


def test_the_month_after_december_is_january():
    """On localhost the next month may be one of the next year."""
    assert authority("localhost", today=date(2021, 12, 31)) == "ea1.2022-01.localhost"


@pytest.mark.parametrize("since", ["2021-13", "2021-00", "2021", "21-01", "2021-01-01", ""])
def test_months_of_ownership_are_checked(since):
    """A month that was configured in another form is refused."""
    with pytest.raises(BadAddress, match="YYYY-MM"):
        authority("flexmeasures.io", {"flexmeasures.io": since})


def test_unknown_hosts_are_refused():
    """Without the month of ownership no address can be built; the message names the setting."""
    with pytest.raises(
        BadAddress, match=r"when authority example.com started.*FLEXMEASURES_HOSTS_AND_AUTH_START"
    ):
        authority("example.com")


# From the documentation and its former test-suite.
@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        pytest.param(
            parse_connection,
            "ea1.2021-02.io.flexmeasures.company:30:73",
            ConnectionAddress(73, 30),
            id="owned",
        ),
        pytest.param(
            parse_connection, "ea1.2021-02.io.flexmeasures.company:73", ConnectionAddress(73), id="bare"
        ),
        pytest.param(
            parse_connection, "ea1.2018-06.localhost:5000:40:30", ConnectionAddress(30, 40), id="with a port"
        ),
        pytest.param(parse_connection, "ea1.2021-02.[::1]:40:30", ConnectionAddress(30, 40), id="IPv6"),
        pytest.param(
            parse_connection,
            "40:30",
            ConnectionAddress(30, 40, is_short=True),
            id="simulation, owner and asset",
        ),
        pytest.param(parse_connection, "30", ConnectionAddress(30, is_short=True), id="simulation, asset"),
        pytest.param(
            parse_connection,
            "CS 1",
            ConnectionAddress(None, name="CS 1", is_short=True),
            id="simulation, name",
        ),
        pytest.param(
            parse_event,
            "ea1.2018-06.io.flexmeasures.company:7:10:203:soc",
            EventAddress(10, 203, "soc", 7),
            id="event",
        ),
        pytest.param(
            parse_event,
            "ea1.2018-06.localhost:5000:7:10:204:soc-with-targets",
            EventAddress(10, 204, "soc-with-targets", 7),
            id="event with targets and a port",
        ),
        pytest.param(
            parse_event,
            "ea1.2018-06.localhost:10:203:soc",
            EventAddress(10, 203, "soc"),
            id="event, no owner",
        ),
        pytest.param(
            parse_market, "ea1.2018-06.io.flexmeasures.company:kpx_da", MarketAddress("kpx_da"), id="market"
        ),
        pytest.param(
            parse_market, "ea1.2018-06.localhost:5000:dummy-tou", MarketAddress("dummy-tou"), id="with a dash"
        ),
        pytest.param(
            parse_weather_sensor,
            "ea1.2018-06.io.flexmeasures.company:temperature:33.4843866:126.477859",
            WeatherSensorAddress("temperature", 33.4843866, 126.477859),
            id="weather sensor",
        ),
        pytest.param(
            parse_weather_sensor,
            "ea1.2018-06.localhost:5000:wind_speed:52:-73.0",
            WeatherSensorAddress("wind_speed", 52, -73),
            id="weather sensor in the west",
        ),
    ],
)
def test_addresses_are_read(parse, text, expected):
    """The addresses of the documentation mean what it says."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        pytest.param(parse_connection, "ea2.2021-02.io.flexmeasures:30:73", id="another scheme"),
        pytest.param(parse_connection, "ea1.21-02.io.flexmeasures:30:73", id="a short year"),
        pytest.param(parse_connection, "ea1.2021-02.io.flexmeasures", id="no local part"),
        pytest.param(parse_connection, "ea1.2021-02.io.flexmeasures:30:-73", id="a negative id"),
        pytest.param(parse_connection, "ea1.2021-02.io.flexmeasures:30:73\n", id="a line break"),
        pytest.param(parse_connection, "ea1.2021-02.io.flexmeasures:my asset", id="a name in an address"),
        pytest.param(parse_connection, "a\0b", id="a name that cannot be printed"),
        pytest.param(parse_connection, "\ud800", id="half a sign"),
        pytest.param(parse_connection, "ea1.2021-02.x:" + "1:" * 50_000 + "x", id="very long"),
        pytest.param(parse_event, "ea1.2021-02.io.flexmeasures:10:203", id="an event without type"),
        pytest.param(parse_event, "7:10:203:soc", id="events have no short form"),
        pytest.param(
            parse_market, "ea1.2021-02.io.flexmeasures:1market", id="a market that starts with a digit"
        ),
        pytest.param(parse_market, "kpx_da", id="markets have no short form"),
        pytest.param(parse_weather_sensor, "ea1.2021-02.a:temperature:33.4", id="one coordinate"),
        pytest.param(parse_weather_sensor, "ea1.2021-02.a:temperature:north:126", id="words for numbers"),
        pytest.param(parse_weather_sensor, "ea1.2021-02.a:temperature:nan:126", id="no number"),
    ],
)
def test_other_texts_are_no_addresses(parse, text):
    """What is not an address is refused with an example of one."""
    with pytest.raises(BadAddress, match=r"Write it like ea1\."):
        parse(text)


def test_short_forms_can_be_closed():
    """Where only full addresses are wanted, the forms for simulation are refused."""
    for text in ("30", "40:30", "CS 1"):
        with pytest.raises(BadAddress):
            parse_connection(text, shorthand=False)


@settings(max_examples=30)
@given(authorities, ids, ids)
def test_connections_round_trip(naming, owner_id, asset_id):
    """A connection's address that we build is one that we read, on every host."""
    address = ConnectionAddress(asset_id, owner_id)
    assert parse_connection(address.build(naming), shorthand=False) == address


@settings(max_examples=30)
@given(authorities, ids, ids, ids, st.sampled_from(["soc", "soc-with-targets"]))
def test_events_round_trip(naming, owner_id, asset_id, event_id, kind):
    """So is an event's."""
    address = EventAddress(asset_id, event_id, kind, owner_id)
    assert parse_event(address.build(naming)) == address


@settings(max_examples=30)
@given(authorities, words)
def test_markets_round_trip(naming, name):
    """So is a market's."""
    assert parse_market(MarketAddress(name).build(naming)) == MarketAddress(name)


latitudes, longitudes = (st.decimals(-most, most, places=6).map(float) for most in (90, 180))


@settings(max_examples=30)
@given(authorities, words, latitudes, longitudes)
@example(NamingAuthority("localhost", "2021-01"), "radiation", 52.0, -0.5)
def test_weather_sensors_round_trip(naming, kind, latitude, longitude):
    """So is a weather sensor's, with its place to the last digit."""
    address = WeatherSensorAddress(kind, latitude, longitude)
    assert parse_weather_sensor(address.build(naming)) == address


garbage = (
    st.text(max_size=40)
    | st.from_regex(r"ea1\.\d{4}-\d{2}\..{0,20}:.{0,30}", fullmatch=True)
    | st.from_regex(r"ea1\.2021-01\.x(:[\w.-]{0,6}){0,5}", fullmatch=True)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)


@given(garbage, st.sampled_from(PARSERS))
def test_garbage_is_refused_in_one_way(text, parse):
    """Whatever stands for an address is read or refused with BadAddress, never with another error."""
    try:
        parse(text)
    except BadAddress:
        return
    assert isinstance(text, str) or parse is parse_connection
