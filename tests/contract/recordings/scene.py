"""A rich, fixed scene, and every question that can be asked about it.

Nothing in it depends on the clock or on a solver, so that its answers can be kept and compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, DataSource, FlexibilityOrder, PlanDevice, PlanRecord, Sensor
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid, to_datetime64
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.markets import NewMarket, create_market
from flexmeasures.services.tasks import TaskRun, record_task_run
from flexmeasures.services.users import create_user
from flexmeasures.services.weather import NewWeatherSensor, create_weather_sensor
from flexmeasures.testing import Cast, make_cast

DAY = datetime(2015, 1, 1, tzinfo=UTC)
QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
PASSWORD = "correct horse"
VERSIONS = ("v1", "v1_1", "v1_2", "v1_3", "v2_0")


@dataclass(frozen=True)
class Scene:
    """The cast, and who and what comes besides.

    Attributes:
        things: Ids of further assets, markets and weather sensors, by a short name.
        callers: E-mail addresses of those who ask.
    """

    cast: Cast
    things: dict[str, int]
    callers: dict[str, str]


def make_scene(session: Session) -> Scene:
    """Make the scene; the caller commits."""
    cast = make_cast(session, PASSWORD)
    password_hash = hash_new_password(PASSWORD)
    neighbour = create_user(
        session, email="neighbour@seita.nl", password_hash=password_hash, roles=["Prosumer", "ESCo"]
    )
    meter = create_user(
        session,
        email="meter@seita.nl",
        password_hash=password_hash,
        username="Meter company",
        roles=["MDC"],
        timezone="Europe/Madrid",
    )
    sleeper = create_user(session, email="sleeper@seita.nl", password_hash=password_hash, roles=["Prosumer"])
    sleeper.active = False
    tariff = create_market(
        session, NewMarket("night-tariff", "Day and night", "tou_tariff", "EUR/kWh", HOUR, "Europe/Amsterdam")
    )
    wind = create_asset(
        session,
        NewAsset(
            "Windmill",
            "wind",
            2.5,
            HOUR,
            latitude=52.1,
            longitude=5.5,
            owner_id=neighbour.id,
            market_id=tariff.id,
            display_name="The windmill on the hill",
            timezone="Europe/Amsterdam",
        ),
    )
    kiln = create_asset(
        session,
        NewAsset(
            "Kiln",
            "building",
            0.4,
            timedelta(minutes=5),
            latitude=-33.9,
            longitude=151.2,
            owner_id=neighbour.id,
            unit="kW",
            timezone="Australia/Sydney",
            flex_model={"kind": "curtailable"},
        ),
    )
    kiln.sensor.unit = "MW"  # as it is of assets from before sensors said in what unit they keep values
    weather = {
        name: create_weather_sensor(session, NewWeatherSensor(name, kind, unit, HOUR, *place)).id
        for name, kind, unit, place in (
            ("Roof temperature", "temperature", "°C", (52.37, 4.9)),
            ("Roof radiation", "radiation", "kW/m²", (52.37, 4.9)),
            ("hill wind", "wind_speed", "m/s", (52.1, 5.5)),
        )
    }
    things = {"tariff": tariff.id, "wind": wind.id, "kiln": kiln.id, **weather}
    _believe(session, cast, things, meter.source_id)
    _plan(session, cast)
    record_task_run(session, TaskRun("night-job", DAY, True))
    callers = {
        "owner": cast.owner_email,
        "stranger": cast.stranger_email,
        "neighbour": neighbour.email,
        "meter": meter.email,
        "supplier": cast.supplier_email,
        "roleless": cast.roleless_email,
        "admin": cast.admin_email,
    }
    return Scene(cast, things, callers)


def _believe(session: Session, cast: Cast, things: dict[str, int], meter_source: int | None) -> None:
    """Store beliefs of several sources and horizons about each sensor."""
    sources = {
        "forecaster": get_or_create_source(session, "FlexMeasures", "forecaster", "naive", "1").id,
        "crawler": get_or_create_source(session, "Weather service", "crawler").id,
        "script": get_or_create_source(session, "FlexMeasures", "script").id,
        "owner": session.query(DataSource).filter_by(user_id=cast.owner_id).one().id,
        "meter": meter_source or session.query(DataSource).filter_by(name="Meter company").one().id,
    }
    numbers = np.random.default_rng(15)
    rows: list[tuple[int, str, timedelta, int]] = [
        (cast.assets[name], source, horizon, 96)
        for name in ("battery", "station", "two_way", "solar", "building")
        for source, horizon in (
            ("owner", -timedelta(minutes=10)),
            ("meter", -timedelta(hours=3)),
            ("forecaster", timedelta(hours=6)),
            ("forecaster", timedelta(hours=24)),
            ("script", timedelta(0)),
        )
    ]
    rows += [(things["wind"], "forecaster", timedelta(hours=h), 24) for h in (1, 6, 24)]
    rows += [(things["wind"], "meter", timedelta(0), 20), (things["kiln"], "meter", timedelta(0), 288)]
    rows += [(things["tariff"], "script", timedelta(0), 48), (cast.foreign_asset, "meter", -HOUR, 96)]
    rows += [
        (things[name], source, horizon, 24)
        for name in ("Roof temperature", "Roof radiation", "hill wind")
        for source, horizon in (("crawler", timedelta(hours=36)), ("owner", timedelta(0)))
    ]
    for sensor_id, source, horizon, count in rows:
        resolution = session.get_one(Sensor, sensor_id).event_resolution
        values = numbers.integers(0, 2000, count) / 1000
        if sensor_id == cast.assets["solar"]:
            values = -values
        beliefs = Beliefs(
            event_grid(DAY, resolution, count),
            values,
            np.full(count, np.timedelta64(horizon, "us")),
            np.full(count, sources[source], dtype=np.int32),
        )
        insert_beliefs(session, [SensorBeliefs(sensor_id, beliefs)])


def _plan(session: Session, cast: Cast) -> None:
    """Store a state of charge, the schedule of its event, and an order, as if they had been made."""
    battery = session.get_one(Asset, cast.assets["battery"])
    battery.soc_in_mwh, battery.soc_datetime, battery.soc_udi_event_id = 2.5, DAY + 24 * HOUR, 204
    source = get_or_create_source(session, "FlexMeasures", "scheduler", "storage", "1")
    power = np.repeat([2.0, 0.0, -2.0, 0.5], 12)
    horizons = event_grid(battery.soc_datetime, QUARTER, power.size + 1)[1:] - to_datetime64(DAY)
    beliefs = Beliefs(
        event_grid(battery.soc_datetime, QUARTER, power.size),
        power,
        horizons,
        np.full(power.size, source.id, dtype=np.int32),
    )
    insert_beliefs(session, [SensorBeliefs(battery.id, beliefs)])
    value = {
        "currency": "EUR",
        "cost": -12.5,
        "shifted_mwh": 3.0,
        "shifted_mwh_h": 18.0,
        "curtailed_mwh": 0.0,
        "added_mwh": 1.5,
        "co2_kg": None,
    }
    device = PlanDevice(
        sensor_id=battery.id,
        udi_event_id=204,
        power_mw=power.tolist(),
        soc_mwh=np.concatenate([[2.5], 2.5 + np.cumsum(power) / 4]).tolist(),
        targets={"2015-01-02T06:00:00Z": 2.5},
    )
    session.add(
        PlanRecord(
            asset_id=battery.id,
            source_id=source.id,
            recorded_at=DAY,
            start=battery.soc_datetime,
            end=battery.soc_datetime + power.size * QUARTER,
            resolution=QUARTER,
            devices=[device],
            outcome="optimal",
            gap=0.0,
            baseline="doing nothing",
            baseline_cost=0.0,
            baseline_co2_kg=None,
            explanation={"marginal_price": [50.0] * power.size},
            **value,
        )
    )
    session.add(
        FlexibilityOrder(
            asset_id=battery.id,
            placed_at=DAY,
            regulation="up",
            start=DAY + 30 * HOUR,
            resolution=QUARTER,
            agreed_mw=[-2.0],
            planned_mw=[2.0],
            effect_start=DAY + 30 * HOUR,
            effect_mw=[-4.0, 4.0],
            volume_mwh=1.0,
            market_price=50.0,
            deviation_price=100.0,
            owner_share=0.6,
            fee_per_activation=1.0,
            fee_per_hour=4.0,
            owner_bears_losses=False,
            **value,
        )
    )
    session.flush()


Question = tuple[str, str, str, dict[str, Any]]
"""Who asks, with which method, which path, and with which fields."""


def questions(scene: Scene) -> Iterator[Question]:
    """List what is asked."""
    yield from _listings(scene)
    yield from _series(scene)
    yield from _devices(scene)
    yield from _rest(scene)


def _listings(scene: Scene) -> Iterator[Question]:
    for version in VERSIONS:
        yield "owner", "GET", f"/api/{version}/getService", {}
        if version != "v1":
            for caller in scene.callers:
                yield caller, "GET", f"/api/{version}/getConnection", {}


def _series(scene: Scene) -> Iterator[Question]:
    cast = scene.cast
    battery, solar = cast.address("battery"), cast.address("solar")
    period = {"start": "2015-01-01T00:00:00Z", "duration": "PT3H", "unit": "MW"}
    wind = f"ea1.2021-01.io.flexmeasures:{scene.things['wind']}"
    for version in VERSIONS:
        meter = {"type": "GetMeterDataRequest", **period}
        yield "owner", "GET", f"/api/{version}/getMeterData", {"connection": battery, **meter}
        yield "owner", "GET", f"/api/{version}/getMeterData", {"connections": [battery, solar], **meter}
        for more in (
            {"source": "Prosumer"},
            {"source": "MDC"},
            {"source": ["MDC", "Prosumer"]},
            {"source": "nobody"},
            {"resolution": "PT1H"},
            {"resolution": "PT10M"},
            {"unit": "kW"},
        ):
            yield "owner", "GET", f"/api/{version}/getMeterData", {"connection": battery, **meter, **more}
        for caller in ("stranger", "neighbour", "admin", "meter", "roleless"):
            yield caller, "GET", f"/api/{version}/getMeterData", {"connection": battery, **meter}
            yield caller, "GET", f"/api/{version}/getMeterData", {"connection": wind, **meter}
        if version == "v1":
            yield "owner", "POST", f"/api/{version}/getMeterData", {"connection": battery, **meter}
            continue
        forecast = {"type": "GetPrognosisRequest", **period}
        for connection in (battery, solar, cast.address("building"), str(cast.assets["station"])):
            for more in (
                {},
                {"horizon": "PT6H"},
                {"horizon": "PT24H"},
                {"resolution": "PT30M"},
                {"prior": "2015-01-01T00:00:00Z"},
                {"prior": "2014-12-31T18:30:00Z"},
                {"prior": "2015-01-01T04:30:00Z", "source": "MDC"},
            ):
                yield (
                    "owner",
                    "GET",
                    f"/api/{version}/getPrognosis",
                    {"connection": connection, **forecast, **more},
                )
        yield "neighbour", "GET", f"/api/{version}/getPrognosis", {"connection": wind, **forecast}
        yield "owner", "GET", f"/api/{version}/getPrognosis", {"connection": wind, **forecast}


def _devices(scene: Scene) -> Iterator[Question]:
    for version in ("v1_3", "v2_0"):
        for caller in ("owner", "stranger", "admin"):
            for event in ("204:soc", "203:soc"):
                for duration in ("PT6H", "PT12H", "PT48H"):
                    fields = {"event": scene.cast.address("battery", event), "duration": duration}
                    message = {"type": "GetDeviceMessageRequest", **fields}
                    yield caller, "GET", f"/api/{version}/getDeviceMessage", message


def _rest(scene: Scene) -> Iterator[Question]:
    cast = scene.cast
    ids = [*cast.assets.values(), cast.foreign_asset, *scene.things.values(), cast.market, 0, 9999]
    for caller in scene.callers:
        yield caller, "GET", "/api/v2_0/assets", {}
        yield caller, "GET", "/api/v2_0/assets", {"owner_id": cast.owner_id}
        yield caller, "GET", "/api/v2_0/users", {}
        yield caller, "GET", "/api/v2_0/users", {"include_inactive": "true"}
        yield caller, "GET", f"/api/v2_0/user/{cast.owner_id}", {}
        yield caller, "GET", "/api/v2_0/user/9999", {}
        for number in ids:
            yield caller, "GET", f"/api/v2_0/asset/{number}", {}
            yield caller, "GET", f"/api/dev/sensor/{number}/", {}
            yield caller, "GET", f"/api/dev/sensor/{number}/chart/", {}
    for number in ids:
        limits = {"event_starts_after": "2015-01-01T05:00:00Z", "event_ends_before": "2015-01-01T07:00:00Z"}
        yield "admin", "GET", f"/api/dev/sensor/{number}/chart_data/", limits
        limits["beliefs_before"] = "2015-01-01T01:00:00Z"
        yield "admin", "GET", f"/api/dev/sensor/{number}/chart_data/", limits
    window = {"start_time": "2015-01-01T00:00:00Z", "end_time": "2015-01-02T06:00:00Z", "resolution": "PT1H"}
    for caller in ("owner", "neighbour", "supplier", "admin"):
        for resource in ("Test battery", "solar panels", "renewables", "EVSE", "Windmill", "nothing"):
            for individual in ("none", "power", "schedules"):
                fields = {"resource": resource, "show_individual_traces_for": individual, **window}
                yield caller, "GET", "/api/v2_0/charts/power", fields
    for path in ("/api/", "/api/ops/ping"):
        yield "owner", "GET", path, {}
    yield "owner", "GET", "/api/ops/getLatestTaskRun", {"name": "night-job"}
