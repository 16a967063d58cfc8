"""The pages, with a year of quarter-hours of fifty assets and with a thousand assets: server time and statements."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, event

from benchmarks import Report, benchmark, median
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Market
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.monitoring.check import check_alerts
from flexmeasures.testing import Cast, make_cast, store_values

QUARTER, DAY = timedelta(minutes=15), timedelta(days=1)
YEAR = 365


@dataclass(frozen=True)
class _Size:
    """So many assets, and measurements of so many days up to now."""

    assets: int
    days: int


@benchmark("pages: 50 assets with a year")
def pages_with_a_year(report: Report) -> None:
    """Time each page, and those with long windows."""
    with _served(_Size(50, YEAR)) as (app, browser, asset_id):
        _measure(report, browser, app, asset_id, target=0.15)
        now = datetime.now(UTC)
        year = f"start_time={now - YEAR * DAY:%Y-%m-%dT00:00}&end_time={now:%Y-%m-%dT00:00}"
        for name, path in (
            ("portfolio, a year", f"/portfolio?{year}"),
            ("analytics' charts of all buildings, a year", f"/analytics/charts?resource=buildings&{year}"),
            ("an asset's charts, a year", f"/assets/{asset_id}/charts?{year}"),
        ):
            report(name, median(lambda path=path: _get(browser, path), repeat=5), target=0.15)


@benchmark("pages: 1,000 assets")
def pages_with_many_assets(report: Report) -> None:
    """Time each page with two days of measurements, and the check that raises alerts."""
    with _served(_Size(1000, 2)) as (app, browser, asset_id):
        _measure(report, browser, app, asset_id, target=0.25)
        with app.app_context():
            began = time.perf_counter()
            found = check_alerts(db.session(), datetime.now(UTC))
            db.session.commit()
            report("the check for alerts", time.perf_counter() - began, per=found.sensors)


def _measure(report: Report, browser: FlaskClient, app: Flask, asset_id: int, target: float) -> None:
    for name, path in (
        ("dashboard", "/dashboard"),
        ("portfolio", "/portfolio"),
        ("its charts", "/portfolio/charts"),
        ("analytics of all buildings", "/analytics?resource=buildings"),
        ("its charts", "/analytics/charts?resource=buildings"),
        ("flexibility (without the offers)", "/control"),
        ("list of assets", "/assets/"),
        ("an asset", f"/assets/{asset_id}/"),
        ("its charts", f"/assets/{asset_id}/charts"),
        ("alerts", "/alerts"),
        ("grid events", "/grid-events"),
        ("upload", "/upload"),
        ("account", "/account"),
    ):
        statements = _count(app, browser, path)
        seconds = median(lambda path=path: _get(browser, path), repeat=7)
        report(name, seconds, target=target, note=f"{statements} statements")


def _get(browser: FlaskClient, path: str) -> None:
    answer = browser.get(path, buffered=True)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[:500]}")


def _count(app: Flask, browser: FlaskClient, path: str) -> int:
    """Count the statements of a page."""
    count = [0]

    def note(*_: object) -> None:
        count[0] += 1

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    _get(browser, path)
    event.remove(engine, "before_cursor_execute", note)
    return count[0]


@contextmanager
def _served(size: _Size) -> Iterator[tuple[Flask, FlaskClient, int]]:
    """Fill a platform of its own; gives the app, the owner's browser and the id of an asset."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        settings = {"FLEXMEASURES_INSTANCE_PATH": folder, "FLEXMEASURES_TIMEZONE": "Europe/Amsterdam"}
        app = create("testing", settings=settings)
        prepare(app)
        try:
            with app.app_context():
                cast = make_cast(db.session)
                asset_id = _fill(cast, size)
                db.session.commit()
                db.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"}).exec_driver_sql(
                    "analyze"
                )
            browser = app.test_client()
            browser.post("/login", data={"email": cast.owner_email, "password": cast.password})
            yield app, browser, asset_id
        finally:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
            app.extensions["embedded"].services.leave()


def _fill(cast: Cast, size: _Size) -> int:
    """Add buildings, each with a daily wave of its own, and hourly prices; gives the id of the last building."""
    session = db.session
    session.execute(delete(Asset).where(Asset.owner_id == cast.owner_id))
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start, count = now - size.days * DAY, size.days * 96
    wave = 0.3 + 0.2 * np.sin(np.arange(count) / 96 * 2 * np.pi)
    rng = np.random.default_rng(1)
    store_values(
        session, session.get(Market, cast.market), start, 60 + rng.normal(0, 10, (size.days + 1) * 24)
    )
    source = get_or_create_source(session, "FlexMeasures", "script").id
    starts = event_grid(start, QUARTER, count)
    zero, sources = np.zeros(count, "timedelta64[us]"), np.full(count, source, dtype=np.int32)
    made = 0
    for number in range(size.assets):
        new = NewAsset(
            f"Building {number}",
            "building",
            1.0,
            QUARTER,
            latitude=48 + number % 40 / 10,
            longitude=3 + number / 100,
            owner_id=cast.owner_id,
            market_id=cast.market,
        )
        asset = create_asset(session, new)
        values = wave * rng.uniform(0.5, 1.5)
        insert_beliefs(session, [SensorBeliefs(asset.sensor.id, Beliefs(starts, values, zero, sources))])
        made = asset.id
    return made
