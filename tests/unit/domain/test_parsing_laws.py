"""Whatever is sent is read as a value or refused by name: no text, however odd, is an error of another kind."""

import unicodedata
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexmeasures.api.usef import messages
from flexmeasures.api.usef.statuses import Refusal
from flexmeasures.domain import addresses
from flexmeasures.domain.beliefs.resampling import mean_per_bin
from flexmeasures.domain.errors import FlexError, InvalidDuration, InvalidInput
from flexmeasures.domain.names import clean_name, name_fault
from flexmeasures.domain.quoting import LONGEST_QUOTE, quote
from flexmeasures.domain.time import find_zone, parse_duration, parse_horizon, parse_instant
from flexmeasures.domain.units import (
    CURRENCIES,
    conversion_factor,
    is_price_unit,
    is_unit,
    power_factor,
)

DIGITS = "0123456789٣۳３²Ⅷ"
texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=f"{DIGITS}PTYMWDHSR/+-.:Z eE_", max_size=30),
    st.text(alphabet=DIGITS, min_size=1, max_size=6000),
    st.from_regex(r"-?(R\d*/)?P\d{1,12}[DWMY](T\d{1,12}[HMS])?", fullmatch=True),
    st.from_regex(r"ea1\.\d{4}-\d\d\.[a-z.]{1,9}(:[-\w.]{1,8}){1,4}", fullmatch=True),
    st.from_regex(r"[A-Za-z°%€]{1,4}(\^|\*\*)-?\d([/*·][A-Za-z]{1,3}(\^-?\d)?)?", fullmatch=True),
)
anything = st.one_of(
    texts, st.none(), st.booleans(), st.integers(), st.floats(), st.lists(texts, max_size=3), st.just({})
)

PARSERS = [
    parse_instant,
    parse_duration,
    parse_horizon,
    addresses.parse_connection,
    addresses.parse_event,
    addresses.parse_market,
    addresses.parse_weather_sensor,
]


def complaint_about(parse, value):
    """What is said against a value; nothing if it is read. Errors of any other kind end the test."""
    try:
        parse(value)
    except (FlexError, Refusal) as error:
        return error.message
    return ""


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(value=anything)
def test_a_value_or_a_named_refusal(parse, value):
    """A parser gives a value, or an error of the domain that repeats the value in short."""
    assert len(complaint_about(parse, value)) < 400


@given(value=texts)
def test_zones_and_units_are_known_or_refused(value):
    """A text is the name of a zone or not, and a unit or not."""
    assert len(complaint_about(find_zone, value)) < 200
    assert is_unit(value) in (True, False)


FIELDS = {
    "type": st.just("PostMeterDataRequest") | anything,
    "connection": anything,
    "values": anything | st.lists(anything, max_size=4),
    "start": anything | st.just("2021-01-01T00:00:00Z"),
    "duration": anything,
    "horizon": anything,
    "prior": anything,
    "unit": anything | st.just("MW"),
    "source": anything,
}


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_a_message_is_read_or_refused(raw):
    """A message of whatever fields is understood, or refused with a documented status in a few words."""
    for kind in (messages.PostMeterData, messages.GetMeterData):
        assert len(complaint_about(kind.read, raw | {"type": kind.expected_type})) < 600


@pytest.mark.parametrize("text", ["A^0", "m**0", "MW^-0", "x^9/y^9", "°^2", "%%", "€€"])
def test_odd_units_are_no_units(text):
    """A unit to the power of nothing measures nothing."""
    assert not is_unit(text) or conversion_factor(text, text) == 1


@pytest.mark.parametrize(
    "name", ["localtime", "posixrules", "Factory", "posix/UTC", "right/UTC", "europe/paris", "", "../UTC"]
)
def test_zones_that_depend_on_the_machine_are_none(name):
    """Only names of the IANA database are zones, not files that happen to lie beside it."""
    with pytest.raises(InvalidInput, match="Europe/Amsterdam"):
        find_zone(name)


@pytest.mark.parametrize("text", ["P999999999D", "-P999999999D", "P36526D", "PT900000000H", "R/P999999999D"])
def test_horizons_have_an_end(text):
    """A horizon of more than a century (36,525 days) is refused, in either direction."""
    with pytest.raises(InvalidDuration, match="hundred years"):
        parse_horizon(text)
    assert parse_horizon("-P36525D")[0] == timedelta(days=-36525)


@pytest.mark.parametrize("text", ["R٣/PT1H", "PT٣H", "P1D" + "\u200f", "R" + "9" * 5000 + "/PT1H"])
def test_durations_are_written_in_ascii(text):
    """ISO 8601 knows the digits 0 to 9 only."""
    with pytest.raises(InvalidDuration):
        parse_horizon(text)


def test_the_mean_of_large_numbers_is_no_larger():
    """Four events of 1e308 have the mean 1e308, though their sum is beyond every float."""
    starts = np.datetime64("2021-01-01T00:00", "us") + np.arange(4) * np.timedelta64(15, "m")
    edges = np.array([starts[0], starts[0] + np.timedelta64(1, "h")])
    means, covered = mean_per_bin(starts, np.full(4, 1e308), timedelta(minutes=15), edges)
    assert means == pytest.approx([1e308], rel=1e-12)
    assert list(covered) == [1]


@given(st.text(max_size=100))
def test_clean_names_are_stable_and_visible(text):
    """A cleaned name stays as it is, and one without fault is on one line, can be seen, and reads in one direction."""
    name = clean_name(text)
    assert clean_name(name) == name
    if not name_fault(name, 80):
        assert len(name.splitlines()) == 1
        assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(letter) for letter in name}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "a\nb",
        "a\rb",
        "a\u202eb",
        "a\u200fb",
        "\u3164",
        "\u2800\u2800",
        "a\x00",
        "\ud800",
        "x" * 81,
    ],
)
def test_texts_that_are_no_names(text):
    """Blanks, line ends, direction marks and endless texts are not names."""
    assert name_fault(clean_name(text), 80)


@given(st.text(max_size=500) | st.recursive(st.text(), st.lists))
def test_quotes_are_short_and_on_one_line(value):
    """However long or deep a value is, a message repeats little of it."""
    quoted = quote(value)
    assert len(quoted.splitlines()) == 1
    assert len(quoted) < 12 * LONGEST_QUOTE  # an escaped character takes up to ten places


def test_currencies_are_those_of_iso_4217():
    """Any currency in use can be paid for energy, and no other three letters."""
    assert {"EUR", "KRW", "AUD", "JPY", "ZMW"} < CURRENCIES
    assert all(is_price_unit(f"{code}/{energy}") for code in CURRENCIES for energy in ("kWh", "MWh"))
    assert all(is_unit(f"{code}/MWh") for code in CURRENCIES)
    assert not any(map(is_price_unit, ("XXX/MWh", "eur/MWh", "EUR", "EUR/m", "EUR/MWh ", "EUR/GWh", "MWh")))


@pytest.mark.parametrize(
    ("unit", "minutes", "factor"),
    [
        ("MW", 15, 1),
        ("kW", 60, 0.001),
        ("MWh", 15, 4),  # 1 MWh in a quarter of an hour
        ("kWh", 60, 0.001),  # 1 kWh in an hour is 1 kW
        ("kWh", 5, 0.012),  # 1 kWh in 5 minutes is 12 kW
    ],
)
def test_power_from_power_and_energy(unit, minutes, factor):
    """Energy of an interval over its length is power."""
    assert power_factor(unit, timedelta(minutes=minutes)) == factor


def test_instants_keep_their_offset():
    """An instant in words is read as it was written."""
    assert parse_instant("2021-06-01T12:00:00+02:00") == datetime.fromisoformat("2021-06-01T12:00:00+02:00")
