"""Sites planned as one: a home in numbers, an event of a site of ten devices, a hundred sites by two workers."""

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import delete, func, select

from benchmarks import Report, benchmark, median
from benchmarks.portfolio_schedules import start_worker, stop_worker
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.data.tables import Asset, Market, PlanDevice, PlanRecord
from flexmeasures.domain.scheduling import (
    ChargingSession,
    Connection,
    Curtailable,
    PlanOptions,
    Profile,
    Site,
    StorageDevice,
    StorageUse,
    Tariff,
    plan_site,
    session,
)
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.testing import make_cast, store_values

START = datetime(2015, 3, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
SITES, DEVICES, WORKERS = 100, 5, 2


@benchmark("sites: a home")
def home(report: Report) -> None:
    """Time a plan of battery, car, roof and house, with its reasons: dynamic tariff, fee, feed-in tariff."""
    rng, slots = np.random.default_rng(0), 96
    hours = np.arange(slots) / 4
    price = 60 + 30 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(0, 10, slots)
    sun = 0.006 * np.maximum(np.sin((hours - 6) / 12 * np.pi), 0)
    store = StorageDevice(
        "battery", 0.005, 0.005, 0.0, 0.01, charge_efficiency=0.95, discharge_efficiency=0.95
    )
    point = StorageDevice("car", 0.011, 0.0, 0.0, 0.06, min_consumption_mw=0.00138)
    stay = ChargingSession(72, 92, soc_at_arrival_mwh=0.01, soc_wanted_mwh=0.03)
    devices = (
        StorageUse(store, 0.002, value_of_energy_left=50.0),
        session(point, stay, slots),
        Curtailable("roof", -sun),
        Profile("house", 0.0005 + 0.001 * rng.random(slots)),
    )
    site = Site(devices, Tariff(price + 180, np.full(slots, 80.0)), Connection(0.013, 0.013))
    seconds = median(lambda: plan_site(site, resolution_hours=0.25, options=PlanOptions(explain=True)), 15)
    report("battery, car, roof, house: 96 slots", seconds, target=0.05)


@benchmark("sites: events and a hundred sites")
def events_and_sites(report: Report) -> None:
    """Time events of a site of ten devices until all is stored, and a hundred sites of five by two workers."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        app = create("testing", settings={"FLEXMEASURES_INSTANCE_PATH": folder})
        prepare(app)
        try:
            with app.app_context():
                cast = make_cast(db.session)
                hours = np.arange(72)
                prices = 60 + 30 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(0).normal(0, 10, 72)
                store_values(db.session, db.session.get(Market, cast.market), START, prices)
                db.session.execute(delete(Asset).where(Asset.owner_id.is_not(None)))
                first = _add_site(cast, "first", 10)
                for number in range(SITES):
                    _add_site(cast, f"site {number}", DEVICES)
                db.session.commit()
            environment = {**os.environ, "FLASK_ENV": "testing", "FLEXMEASURES_INSTANCE_PATH": folder}
            _events(report, app, cast, first, environment)
            _hundred(report, app, environment)
        finally:
            app.extensions["embedded"].services.leave()


def _add_site(cast, name: str, devices: int) -> list[int]:
    common = {"latitude": 52.0, "longitude": 5.0, "owner_id": cast.owner_id, "market_id": cast.market}
    context = {"site-power-capacity": f"{1.2 * devices} MW", "consumption-surcharge": "20 EUR/MWh"}
    root = create_asset(db.session, NewAsset(name, "building", 1.0, QUARTER, flex_context=context, **common))
    made = []
    for number in range(devices):
        battery = NewAsset(
            f"{name}, battery {number}",
            "battery",
            2.0,
            QUARTER,
            max_soc_in_mwh=5.0,
            soc_in_mwh=5.0 * (number + 0.5) / devices,
            soc_datetime=START,
            flex_model={"roundtrip_efficiency": 0.9},
            parent_id=root.id,
            **common,
        )
        made.append(create_asset(db.session, battery).id)
    return made


def _events(report: Report, app, cast, devices: list[int], environment: dict[str, str]) -> None:
    """One event, and then ten within a second, through the API and a worker that is idle."""
    client = app.test_client()
    login = client.post("/api/requestAuthToken", json={"email": cast.owner_email, "password": cast.password})
    headers = {"Authorization": login.json["auth_token"]}
    worker = start_worker(environment)
    try:
        time.sleep(3)  # the rehearsal of the worker
        for hour in range(1, 8):
            began = time.perf_counter()
            _send(client, headers, cast, devices[0], hour, START + timedelta(hours=hour))
            _await(app, lambda hour=hour: _schedules_of(devices[0], hour))
            seconds = time.perf_counter() - began
            if hour > 2:
                report(f"event {hour} of a site of 10: all schedules stored", seconds, target=0.4)
        with app.app_context():
            before = db.session.scalar(select(func.count()).select_from(PlanRecord))
        began = time.perf_counter()
        for device in devices:
            _send(client, headers, cast, device, 20, START + timedelta(hours=12))
        _await(app, lambda: sum(_schedules_of(device, 20) for device in devices) == len(devices))
        report("ten events within a second: all answered", time.perf_counter() - began)
        with app.app_context():
            plans = db.session.scalar(select(func.count()).select_from(PlanRecord)) - before
        report.figure("plans made for ten events", plans, "", "target 2")
    finally:
        stop_worker(worker)


def _send(client, headers, cast, device: int, number: int, at: datetime) -> None:
    message = {
        "type": "PostUdiEventRequest",
        "event": f"ea1.2021-01.io.flexmeasures:{cast.owner_id}:{device}:{number}:soc",
        "value": 2.0,
        "unit": "MWh",
        "datetime": at.isoformat(),
    }
    answer = client.post("/api/v2_0/postUdiEvent", json=message, headers=headers)
    assert answer.status_code == 200, answer.json


def _schedules_of(device: int, number: int) -> int:
    query = select(func.count()).where(PlanDevice.sensor_id == device, PlanDevice.udi_event_id == number)
    return db.session.scalar(query) or 0


def _await(app, is_done) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with app.app_context():
            if is_done():
                return
        time.sleep(0.005)
    raise AssertionError("The worker made no plan within a minute.")


def _hundred(report: Report, app, environment: dict[str, str]) -> None:
    workers = [start_worker(environment) for _ in range(WORKERS)]
    try:
        command = [
            sys.executable,
            "-m",
            "flexmeasures",
            "add",
            "schedules",
            "--all",
            "--start",
            START.isoformat(),
        ]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--as-job", "--wait"], env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - began
        assert "Scheduled" in done.stdout, done.stdout + done.stderr
        report(f"{SITES} sites of {DEVICES} devices, {WORKERS} workers", seconds, per=SITES, target=15.0)
    finally:
        for worker in workers:
            stop_worker(worker)
