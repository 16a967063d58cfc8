"""Units and their conversion."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexmeasures.domain.errors import IncompatibleUnits, UnknownUnit
from flexmeasures.domain.units import conversion_factor, is_unit

FAMILIES = (
    ("W", "kW", "MW", "GW"),
    ("Wh", "kWh", "MWh", "GWh", "J", "MJ"),
    ("EUR/MWh", "EUR/kWh", "EUR/GWh", "EUR/MJ"),
    ("m/s", "km/h", "knot"),
    ("kW/m²", "W/m²", "W/cm**2"),
    ("°", "rad"),
    ("%", "dimensionless"),
)
pairs = st.sampled_from(FAMILIES).flatmap(lambda family: st.tuples(*[st.sampled_from(family)] * 3))


@pytest.mark.parametrize(
    ("from_unit", "to_unit", "expected"),
    [
        pytest.param("kWh", "MWh", 0.001, id="energy"),
        pytest.param("MW", "kW", 1000, id="power"),
        pytest.param("KRW/kWh", "KRW/MWh", 1000, id="price"),  # 1 KRW for 1 kWh is 1000 KRW for 1000 kWh
        pytest.param("m/s", "km/h", 3.6, id="speed"),  # 3600 s/h over 1000 m/km
        pytest.param("MWh", "MJ", 3600, id="energy by another name"),  # 1 MW for 3600 s
        pytest.param("°C", "°C", 1, id="the same"),
    ],
)
def test_values_are_converted(from_unit, to_unit, expected):
    """Units of the same quantity differ by a factor, which is exact."""
    assert conversion_factor(from_unit, to_unit) == expected


@given(pairs)
def test_conversions_invert_and_compose(units):
    """There and back again changes nothing, and a detour makes no difference."""
    one, two, three = units
    assert conversion_factor(one, two) * conversion_factor(two, one) == pytest.approx(1, rel=1e-12)
    assert conversion_factor(one, two) * conversion_factor(two, three) == pytest.approx(
        conversion_factor(one, three), rel=1e-12
    )


@pytest.mark.parametrize(
    ("from_unit", "to_unit"),
    [
        pytest.param("kW", "kWh", id="power and energy"),
        pytest.param("EUR/MWh", "KRW/MWh", id="two currencies"),
        pytest.param("EUR/MWh", "MWh", id="a price and an energy"),
        pytest.param("°C", "K", id="two zero points"),
        pytest.param("°C", "degF", id="two zero points and two scales"),
    ],
)
def test_different_quantities_are_not_converted(from_unit, to_unit):
    """What no factor converts is refused, and both units are named."""
    with pytest.raises(IncompatibleUnits, match=f"{from_unit}.*{to_unit}"):
        conversion_factor(from_unit, to_unit)


@pytest.mark.parametrize(
    "name", ["MW", "kWh", "EUR/MWh", "KRW/kWh", "°C", "kW/m²", "m/s", "%", "m**2", "kW·h"]
)
def test_units_of_the_field_are_known(name):
    """The units of the documentation are units."""
    assert is_unit(name)


@pytest.mark.parametrize(
    "name", ["", "0C", "MV W", "kilo", "a b", "1/0", "5", "(", "__import__", "\0", "x" * 1000]
)
def test_other_texts_are_no_units(name):
    """What is not a unit is refused with examples of units."""
    assert not is_unit(name)
    with pytest.raises(UnknownUnit, match="EUR/MWh"):
        conversion_factor(name, "MW")


@pytest.mark.parametrize(
    "name", ["10**10**10", "9**9**9**9*MW", "MW**99999999", "(" * 5000, "-" * 5000 + "m"]
)
def test_formulas_are_not_worked_out(name):
    """A text which would keep a calculator busy for ever is refused at once."""
    began = time.perf_counter()
    assert not is_unit(name)
    assert time.perf_counter() - began < 1


@given(st.text(max_size=12) | st.from_regex(r"[kMG]?[WhmsJEUR°C%/*^ ().0-9-]{0,10}", fullmatch=True))
def test_no_text_breaks_the_registry(name):
    """Whatever is called a unit is one or not."""
    assert is_unit(name) in (True, False)


@pytest.mark.parametrize(
    ("written", "unit", "factor"),
    [
        ("W/m2", "kW/m²", 0.001),
        ("m3/h", "m³/s", 1 / 3600),
        ("gCO2/kWh", "g/kWh", 1),
        ("kgCO2eq/MWh", "g/kWh", 1),
        ("t CO₂/MWh", "g/kWh", 1000),
        ("kvarh", "varh", 1000),
    ],
)
def test_units_are_read_as_the_field_writes_them(written, unit, factor):
    """Digits for powers of a metre, masses of carbon dioxide and reactive energy are understood."""
    assert conversion_factor(written, unit) == pytest.approx(factor)


def test_reactive_power_is_no_active_power():
    """A sensor in kvar is not one of power."""
    with pytest.raises(IncompatibleUnits):
        conversion_factor("kvar", "kW")
