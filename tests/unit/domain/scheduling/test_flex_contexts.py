"""Flex contexts: what they take, in which units, and which sensors they name."""

import pytest

from flexmeasures.domain.errors import BadFlexContext
from flexmeasures.domain.scheduling.flex_context import context_references, read_flex_context


@pytest.mark.parametrize(
    ("written", "megawatts"),
    [("15 kW", 0.015), ("0.2 MW", 0.2), ("17250W", 0.01725), ("1e2 kW", 0.1), ("0 kW", 0)],
)
def test_quantities_are_read_with_their_units(written, megawatts):
    """A quantity is a number with a unit of what is measured; it is converted where it is used."""
    context = read_flex_context({"site-power-capacity": written})
    assert context.site_power_capacity.amount_in("MW") == pytest.approx(megawatts)


def test_names_may_be_written_with_underscores():
    """Names with - as in messages and with _ mean the same."""
    assert read_flex_context({"site_power_capacity": "1 kW"}) == read_flex_context(
        {"site-power-capacity": "1 kW"}
    )


def test_prices_are_per_energy_in_one_currency():
    """0.05 EUR/kWh is 50 EUR/MWh; an emission price is per mass."""
    context = read_flex_context(
        {"consumption-surcharge": "0.05 EUR/kWh", "co2-intensity": {"sensor": 4}, "co2-price": "80 EUR/t"}
    )
    assert context.consumption_surcharge.amount_in("EUR/MWh") == pytest.approx(50)
    assert context.co2_price.currency == "EUR"


def test_named_sensors_are_listed():
    """Each sensor is listed with its field, those of lists with their place; defaults are not sensors."""
    context = read_flex_context(
        {
            "consumption-price": {"sensor": 3, "default": "90 EUR/MWh"},
            "inflexible-production": ["2 kW", {"sensor": 8}],
        }
    )
    assert [(one.field, one.sensor_id) for one in context_references(context)] == [
        ("consumption-price", 3),
        ("inflexible-production.1", 8),
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"site-power-capacity": "nan kW"}, "with its unit"),
        ({"site-power-capacity": "-1 kW"}, "0 or more"),
        ({"site-power-capacity": "1 kWh"}, "like MW"),
        ({"site-power-capacity": {"sensor": 0}}, "greater than 0"),
        ({"site-power-capacity": {"sensor": 1, "teapot": 2}}, "no field teapot"),
        ({"consumption-price": "1 XYZ/MWh"}, "like EUR/MWh"),
        ({"reserve-margin": {"sensor": 1}}, "must be fixed"),
        ({"co2-price": "1 EUR/t"}, "needs a co2-intensity"),
        ({"count-rest": "perhaps"}, "boolean"),
    ],
)
def test_what_is_wrong_is_named(fields, told):
    """A refusal names the field, the value and the rule."""
    with pytest.raises(BadFlexContext, match=told) as refused:
        read_flex_context(fields, "the house")
    assert "The flex context of the house is wrong" in str(refused.value)
