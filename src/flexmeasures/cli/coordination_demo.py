"""``flexmeasures demo --coordination``: a grid operator's price curve, from its arrival to the last cent.

Operator and homes share one platform here; they speak to each other over HTTP, as they would from anywhere.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from flask import Flask
from rich.console import Console
from sqlalchemy.orm import Session
from waitress import create_server

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.cli.demonstration.coordination import (
    CURRENCY,
    DEVICES,
    ZONE,
    CoordinationStory,
    add_homes,
    draw_coordination,
    make_curve,
    tabulate_coordination,
)
from flexmeasures.cli.demonstration.instance import make_instance, put_away
from flexmeasures.cli.demonstration.scene import store_series
from flexmeasures.cli.demonstration.site import QUARTER, Values
from flexmeasures.data.database import db
from flexmeasures.data.stores.plans import latest_device_plans
from flexmeasures.data.tables import Asset
from flexmeasures.domain.coordination.compensation import compensate
from flexmeasures.domain.time import next_midnight
from flexmeasures.jobs.schedules import planning_of
from flexmeasures.jobs.upstreams import follow
from flexmeasures.services.coordination.areas import NewArea, add_area, program_named
from flexmeasures.services.coordination.clients import NewClient, create_client
from flexmeasures.services.coordination.compensation import month_of, settle
from flexmeasures.services.coordination.curves import send_curve
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.services.structure import add_structure
from flexmeasures.services.upstreams.set_up import NewTarget, NewUpstream, create_upstream
from flexmeasures.services.users import create_user

__all__ = ["show_coordination", "tell_coordination"]

Steps = Callable[[str], AbstractContextManager[None]]

PROGRAM = "windy mornings"
CORNERS = ((6.0, 49.5), (6.3, 49.5), (6.3, 49.7), (6.0, 49.7))
_BASE = "/energy-coordination/v1"


def show_coordination(console: Console, steps: Steps) -> None:
    """Set operator and homes up, and tell what happens between them."""
    with steps("Starting PostgreSQL and Valkey"):
        app, folder = make_instance("demo-coordination", FLEXMEASURES_TIMEZONE=ZONE)
    try:
        story = tell_coordination(app, steps)
    finally:
        put_away(app)
    chart = folder / "coordination.html"
    with steps("Drawing the chart"):
        draw_coordination(story, chart)
    _show(console, story, chart)


def tell_coordination(app: Flask, steps: Steps) -> CoordinationStory:
    """Let a curve arrive, be followed, reported and paid.

    Args:
        app: On an empty database.
        steps: Shows what is being done.
    """
    now = datetime.now(UTC)
    day, secret = next_midnight(now, ZONE), secrets.token_urlsafe(24)
    with _served(app) as address, app.app_context():
        with steps("The operator opens an area; the homes register a battery and two cars there"):
            assets, target = _set_up(db.session(), secret, now)
            _register(address, secret)
            upstream_id = _follow_operator(app, address, secret, assets)
        with steps("The homes plan by their tariff"):
            order = PortfolioOrder(
                tuple(assets.values()), now, app.config["FLEXMEASURES_PLANNING_HORIZON"], now
            )
            reschedule(db.session(), order, planning_of(app.config))
            db.session.commit()
            before = _plans(db.session(), assets, day)
        began = time.perf_counter()
        with steps("The operator sends a price curve for tomorrow; the homes hear of it and plan anew"):
            program = program_named(db.session(), "sandbox", PROGRAM, now)
            send_curve(db.session(), program, [target], make_curve(day), now)
            db.session.commit()
            follow(upstream_id)
        seconds = time.perf_counter() - began
        after = _plans(db.session(), assets, day)
        with steps("A day on: meters have measured what was planned, and the usage is reported"):
            _measure(db.session(), assets, day, after)
            follow(upstream_id, ended_by=day + timedelta(days=1))
        with steps("The operator settles"):
            month = month_of(day, ZONE)
            lines = list(settle(db.session(), "sandbox", *month, ZONE))
        paid = compensate(line.slot for line in lines if line.is_in_time).active
        db.session.remove()
    return CoordinationStory(day, before, after, seconds, lines, paid)


@contextmanager
def _served(app: Flask) -> Iterator[str]:
    """Serve the platform on a free port of this machine."""
    server = create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        server.task_dispatcher.shutdown()
        thread.join(5)


def _set_up(session: Session, secret: str, now: datetime) -> tuple[dict[str, int], str]:
    """Add the operator's area and the assets of the homes; gives their ids by name, and the target of the area."""
    add_structure(session)
    create_client(session, NewClient(client_id="homes", secret=secret))
    area = add_area(
        session,
        NewArea(
            name="valley", program=PROGRAM, corners=CORNERS, price_area="LU", currency=CURRENCY, timezone=ZONE
        ),
        now,
    )
    owner = create_user(
        session,
        email="homes@example.com",
        password_hash=hash_new_password(secrets.token_urlsafe(12)),
        roles=["Prosumer"],
        timezone=ZONE,
    )
    assets = add_homes(session, owner.id, now)
    session.commit()
    return assets, area.target


def _register(address: str, secret: str) -> None:
    """Register a user with a location and its resources at the operator's partner API."""
    with httpx.Client(base_url=address) as http:
        form = {"grant_type": "client_credentials", "client_id": "homes", "client_secret": secret}
        token = http.post("/connect/token", data=form).raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"

        def send(method: str, path: str, **body: object) -> None:
            http.request(method, _BASE + path, json=body).raise_for_status()

        send("POST", "/users", userId="homes")
        place = {"latitude": 49.61, "longitude": 6.13}
        send(
            "POST",
            "/users/homes/locations",
            locationId="street",
            coordinates=place,
            meterPointIds=["LU-0001"],
        )
        for one in DEVICES:
            path = "/users/homes/locations/street/resources"
            send("POST", path, resourceId=one.resource_name, resourceType=one.resource_type)
        send("PUT", "/users/homes/enrollment", program=PROGRAM)


def _follow_operator(app: Flask, address: str, secret: str, assets: dict[str, int]) -> int:
    new = NewUpstream(
        name="grid operator",
        kind="partner",
        address=address + _BASE,
        token_address=f"{address}/connect/token",
        client_id="homes",
        client_secret=secret,
        currency=CURRENCY,
        targets=[
            NewTarget(asset_id=asset_id, resource_name=name, location_id="street", meter_point_id="LU-0001")
            for name, asset_id in assets.items()
        ],
    )
    key = app.config["SECRET_KEY"]
    upstream_id = create_upstream(db.session(), new, key=key, now=datetime.now(UTC)).id
    db.session.commit()
    return upstream_id


def _plans(session: Session, assets: dict[str, int], day: datetime) -> dict[str, Values]:
    """Read the newest plans of a day [MW]: shape ``(96,)`` each; zero where nothing is planned."""
    sensors = {name: session.get_one(Asset, asset_id).sensor.id for name, asset_id in assets.items()}
    devices = latest_device_plans(session, list(sensors.values()))
    found = {}
    for name, sensor_id in sensors.items():
        device, power = devices[sensor_id], np.zeros(96)
        planned = np.array(device.power_mw)
        first = (day - device.plan.start) // QUARTER
        part = planned[max(first, 0) : first + 96]
        power[max(-first, 0) :][: len(part)] = part
        found[name] = power
    return found


def _measure(session: Session, assets: dict[str, int], day: datetime, powers: dict[str, Values]) -> None:
    """Store readings of a day."""
    for name, power in powers.items():
        sensor = session.get_one(Asset, assets[name]).sensor
        store_series(session, sensor, day, power, timedelta(0), "script")
    session.commit()


def _show(console: Console, story: CoordinationStory, chart: Path) -> None:
    console.print(
        f"\nThe operator expects much wind in the morning of {story.day:%d %B}, and a full grid later. Its price curve "
        f"was in new plans of a battery and two cars {story.seconds:.1f} s after it was sent.\n"
    )
    console.print(tabulate_coordination(story))
    console.print(
        "Using more at a negative difference is paid −difference · energy; every hour and device counts with its exact "
        "amount, and the sum is rounded once.\n"
    )
    console.print(
        f"[bold]The homes are paid {story.paid} {CURRENCY}[/bold] for {len(story.lines)} reported slots."
    )
    console.print("\nPrices: Bundesnetzagentur | SMARD.de (CC BY 4.0), with 150 EUR/MWh of fees and taxes.")
    console.print(f"Chart: {chart}")
