"""Each request that the documentation of 0.4.0 shows is sent as it stands, with ids filled in, and answered as shown.

The examples stand in ``documented_examples.json``, in the order of their chapters; a note says where the documentation
contradicts itself.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

import numpy as np
import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import Market
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.markets import NewMarket, create_market
from flexmeasures.services.weather import find_or_make_weather_sensor
from flexmeasures.testing import store_values

EXAMPLES = json.loads(Path(__file__).with_name("documented_examples.json").read_text())
QUARTER = timedelta(minutes=15)


@pytest.fixture
def ids(app, cast):
    """Four charging stations, the documentation's place and markets, and prices for its schedules; ids by name."""
    with app.app_context():
        session = db.session
        stations = [
            create_asset(
                session,
                NewAsset(f"CS {n}", "one-way_evse", 400, QUARTER, 52.37, 4.9, cast.owner_id, cast.market),
            ).id
            for n in range(1, 5)
        ]
        place = WeatherSensorAddress("temperature", 33.4843866, 126.477859)
        find_or_make_weather_sensor(session, place, make_with=(QUARTER, "°C"))
        korean = NewMarket(
            "kpx_da", "KPX day-ahead", "day_ahead", "KRW/kWh", timedelta(hours=1), "Asia/Seoul"
        )
        create_market(session, korean)
        prices = 50 + 20 * np.sin(np.arange(72))
        store_values(session, session.get(Market, cast.market), datetime(2015, 6, 2, tzinfo=UTC), prices)
        session.commit()
    address = f"ea1.2018-06.io.flexmeasures.company:{cast.owner_id}:{{}}"
    names = {"battery": cast.assets["battery"]} | {f"cs{n}": one for n, one in enumerate(stations, 1)}
    return {name: address.format(one) for name, one in names.items()}


def fill_in(value, ids):
    """Put ids into an example or a part of it."""
    return json.loads(Template(json.dumps(value)).substitute(ids))


def local_part(value):
    """The part of addresses that names things: who gave the names, and when, is the server's own business."""
    if isinstance(value, list):
        return [local_part(one) for one in value]
    return value.partition("flexmeasures.company:")[2] or value.partition("localhost:")[2] or value


def instant(text):
    """Read an instant, however it is written."""
    return datetime.fromisoformat(text)


def check(answer, example, ids):
    """Compare an answer with what the documentation shows of it."""
    service = example["service"]
    assert answer.status_code == 200, answer.text
    assert answer.json["type"] == f"{service[0].upper()}{service[1:]}Response"
    for key, shown in fill_in(example["answer"], ids).items():
        got = answer.json[key]
        if key in ("connections", "names"):
            got = got[: len(shown)]  # the assets of the cast come after them
        read = {"start": instant, "event": local_part, "connections": local_part}.get(
            key, lambda value: value
        )
        assert read(got) == read(shown), key
    if "status" not in example["answer"] and answer.json.get("status") != 200:
        assert answer.json["status"] == "PROCESSED"
    if service == "getDeviceMessage":
        assert answer.json["values"]


def send(caller, example, prefix, ids):
    """Send an example."""
    message = fill_in(example["request"], ids)
    if example["method"] == "POST":
        return caller.post(example["service"], message, prefix)
    path = f"/api/{prefix}/{example['service']}"
    return caller.client.get(path, query_string=message, headers=caller.headers)


@pytest.mark.parametrize("prefix", ["v1", "v1_1", "v1_2", "v1_3", "v2_0"])
def test_the_examples_of_a_version(owner, ids, work, prefix):
    """The chapter about a version, from its first example to its last."""
    chapter = [example for example in EXAMPLES if prefix in example["versions"]]
    assert len(chapter) == {"v1": 4, "v1_1": 8, "v1_2": 10, "v1_3": 12, "v2_0": 12}[prefix]
    for example in chapter:
        if example["service"] == "getDeviceMessage":
            work()
        check(send(owner, example, prefix, ids), example, ids)


def test_the_examples_of_a_simulation(app, owner, ids, work):
    """The chapter about simulations, on a server in play mode."""
    app.config["FLEXMEASURES_MODE"] = "play"
    chapter = [example for example in EXAMPLES if "play" in example["versions"]]
    assert len(chapter) == 12
    for example in chapter:
        if example["service"] == "getDeviceMessage":
            work()
        check(send(owner, example, "v2_0", ids), example, ids)
