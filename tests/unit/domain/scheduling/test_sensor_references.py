"""Which sensors a flex model names, and which of them plans may read."""

import pytest

from flexmeasures.domain.rights import Actor
from flexmeasures.domain.scheduling.flex_model import KINDS, read_flex_model
from flexmeasures.domain.scheduling.references import (
    NamedSensor,
    SensorReference,
    may_read,
    sensor_references,
)

OWNER, OTHER, ADMIN = 1, 2, 3
NEEDED = {
    "heat_buffer": {"gain": 3},
    "shiftable_load": {"profile_mw": [1]},
    "custom": {"scheduler": "some"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_names_a_sensor_is_checked(kind):
    """A field of a flex model whose name ends like an id of a sensor or market is a reference, for every kind."""
    model_type = type(read_flex_model({"kind": kind, **NEEDED.get(kind, {})}))
    named = {name for name in model_type.model_fields if name.endswith("_id")}
    fields = {"kind": kind, **NEEDED.get(kind, {}), **dict.fromkeys(named, 7)}
    assert {one.field for one in sensor_references(read_flex_model(fields))} == named
    assert named >= {"export_market_id", "co2_sensor_id"}


OUR_ACCOUNT, OTHER_ACCOUNT = 1, 2


@pytest.mark.parametrize(
    ("sensor", "owner", "is_market", "allowed"),
    [
        pytest.param(None, OWNER, False, False, id="nothing there"),
        pytest.param(NamedSensor(), OWNER, False, True, id="public"),
        pytest.param(NamedSensor(is_market=True), OWNER, True, True, id="a market as market"),
        pytest.param(NamedSensor(), OWNER, True, False, id="no market as market"),
        pytest.param(NamedSensor(OUR_ACCOUNT, OWNER), OWNER, False, True, id="one's own asset"),
        pytest.param(NamedSensor(OUR_ACCOUNT, OTHER), OWNER, False, True, id="a colleague's asset"),
        pytest.param(
            NamedSensor(OUR_ACCOUNT), OWNER, False, True, id="an asset of the account without owner"
        ),
        pytest.param(NamedSensor(OUR_ACCOUNT, OWNER), OWNER, True, False, id="one's own asset as market"),
        pytest.param(NamedSensor(OTHER_ACCOUNT, OTHER), OWNER, False, False, id="somebody else's asset"),
        pytest.param(NamedSensor(OTHER_ACCOUNT), OWNER, False, False, id="another account's without owner"),
        pytest.param(NamedSensor(OTHER_ACCOUNT, OTHER), ADMIN, False, True, id="an admin reads everything"),
    ],
)
def test_who_may_read_what(sensor, owner, is_market, allowed):
    """Public sensors are open to all, those of an account to its members and to admins; a market must be one."""
    reference = SensorReference("some_id", 7, "something", is_market)
    roles = frozenset({"admin"}) if owner == ADMIN else frozenset()
    assert may_read(reference, sensor, Actor(owner, OUR_ACCOUNT, roles)) is allowed
