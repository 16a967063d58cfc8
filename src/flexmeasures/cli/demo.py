"""``flexmeasures demo``: a home planned as one on real data, through the same API and worker as any other."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
from flask import Flask
from rich.console import Console
from sqlalchemy.orm import Session

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.cli.community_demo import show_community
from flexmeasures.cli.coordination_demo import show_coordination
from flexmeasures.cli.demonstration.client import Client
from flexmeasures.cli.demonstration.instance import open_instance
from flexmeasures.cli.demonstration.outcome import Outcome, draw_chart, tabulate, to_slots
from flexmeasures.cli.demonstration.served import add_people, fill_pages
from flexmeasures.cli.demonstration.site import (
    BATTERY,
    CONNECTION_MW,
    FEED_IN,
    HOME_ROOF_PEAK_MW,
    HOUR,
    HOUSE_PEAK_MW,
    QUARTER,
    ROUNDTRIP_EFFICIENCY,
    STATION,
    SURCHARGE,
    ZONE,
    Device,
    Site,
    Values,
    load_site,
)
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.instance import find_instance_path
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.markets import NewMarket, create_market
from flexmeasures.services.structure import add_structure
from flexmeasures.services.users import create_user

__all__ = ["demo"]

EMAIL = "demo@example.com"
MARKET = "ea1.2018-06.localhost:epex_da"
PLACE: dict[str, Any] = {"latitude": 49.61, "longitude": 6.13}
_OWN = {
    "SQLALCHEMY_DATABASE_URI": None,
    "FLEXMEASURES_REDIS_URL": None,
    "FLEXMEASURES_MODE": "",
    "FLEXMEASURES_LISTED_VIEWS": [
        "dashboard",
        "portfolio",
        "analytics",
        "control",
        "assets",
        "communities",
        "grid-events",
        "alerts",
        "upload",
        "users",
    ],
}
"""Settings of the demonstration that win over those of the user's configuration file."""

_LOGINS = (
    ("home@example.com", "the owner of a site around the present: all pages are full"),
    ("trader@example.com", "an aggregator, who orders flexibility"),
    ("admin@example.com", "an administrator"),
    (EMAIL, "the owner of the site of September 2020"),
)
"""Users of a served demonstration."""

START_PATIENCE = 60.0  # how long the server may take to start [s]


@click.command("demo")
@click.option("--serve", is_flag=True, help="Leave the server running, to look around or to send messages.")
@click.option("--port", type=int, help="Port of the server; a free one if left out (5000 with --serve).")
@click.option("--community", is_flag=True, help="Show nine homes that share their roofs instead.")
@click.option(
    "--coordination", is_flag=True, help="Show how a grid operator's price curve is followed instead."
)
def demo(serve: bool, port: int | None, community: bool, coordination: bool) -> None:
    """Schedule a home on real data, end to end, and show what it saves.

    Battery, car, roof and house behind one connection are planned as one, with the day-ahead prices of two days in
    September 2020. All goes through the HTTP API and a worker, on a database of the demonstration's own.
    """
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 100)
    steps = _Steps(console)
    if community:
        show_community(console, steps)
        return
    if coordination:
        show_coordination(console, steps)
        return
    folder = find_instance_path() / "demo"
    password = secrets.token_urlsafe(9)
    with steps("Starting PostgreSQL, Valkey, a worker and the web server"):
        shutil.rmtree(folder, ignore_errors=True)
        server = _Server(folder, port or (5000 if serve else _free_port()))
    with server:
        client = Client(server.address)
        try:
            with steps("Waiting for the server to answer"):
                server.wait_for(client)
            with steps("Adding a user, a market, and the home with its parts"):
                _add_site(folder, password)
            outcome = _tell(client, steps, load_site(HOUSE_PEAK_MW, HOME_ROOF_PEAK_MW), password)
        finally:
            client.close()
        chart = folder / "schedule.html"
        with steps("Drawing the chart"):
            draw_chart(outcome, chart)
        _show(console, outcome, chart)
        if serve:
            with steps("Adding a site around the present, its plans, an order, an alert and a community"):
                _fill_pages(folder, password)
            console.print(f"\nThe server goes on at [bold]{server.address}[/bold]")
            console.print(f"Log in with the password [bold]{password}[/bold] as")
            for email, who in _LOGINS:
                console.print(f"  [bold]{email:<19}[/bold] {who}")
            console.print("Ctrl-C stops it.")
            server.wait()


class _Steps:
    """Shows what is being done, and how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def __call__(self, text: str) -> Iterator[None]:
        began = time.perf_counter()
        with self._console.status(f"{text} ..."):
            yield
        self._console.print(f"[green]✓[/green] {text} [dim]({time.perf_counter() - began:.1f} s)[/dim]")


class _Server:
    """``flexmeasures run`` in a process of its own, with the instance folder of the demonstration."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir(parents=True)
        self.address = f"http://localhost:{port}"
        self._log = (folder / "server.log").open("wb")
        hidden = ("SQLALCHEMY_DATABASE_URI", "FLEXMEASURES_REDIS_URL", "FLASK_ENV", "FLEXMEASURES_MODE")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        # Messages about 2020 must mean the same whatever the user has configured.
        environment |= {"FLEXMEASURES_INSTANCE_PATH": str(folder), "FLEXMEASURES_TIMEZONE": ZONE}
        # Nor may servers be used that are configured in the home folder, or in .env where we are.
        (folder / "flexmeasures.cfg").write_text(
            "".join(f"{name} = {value!r}\n" for name, value in _OWN.items())
        )
        self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [sys.executable, "-P", "-m", "flexmeasures", "run", "--port", str(port)],
            env=environment,
            cwd=folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> _Server:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._process.terminate()
        status = self._process.wait()
        self._log.close()
        if kind is None and status != 0:
            raise click.ClickException(self._complain("The server or its worker crashed."))

    def wait_for(self, client: Client) -> None:
        """Wait until the server answers.

        Raises:
            ClickException: If it ends, or takes too long; says where its log is.
        """
        deadline = time.monotonic() + START_PATIENCE
        while not client.is_answering():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(self._complain("The server did not start."))
            time.sleep(0.05)

    def _complain(self, what: str) -> str:
        tail = Path(self._log.name).read_text(errors="replace")[-2000:]
        return f"{what} Its log, {self._log.name}, ends with:\n{tail}"

    def wait(self) -> None:
        """Wait until the server ends, or Ctrl-C is pressed."""
        try:
            self._process.wait()
        except KeyboardInterrupt:
            click.echo("\nStopping ...")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _own_app(folder: Path) -> Iterator[Flask]:
    """Work beside the server, on its database."""
    app = open_instance(folder)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def _add_site(folder: Path, password: str) -> None:
    """Add what an administrator would add with `flexmeasures add`."""
    with _own_app(folder):
        as_transaction(_create_site)(db.session, hash_new_password(password))


def _fill_pages(folder: Path, password: str) -> None:
    """Add what makes all pages full."""
    with _own_app(folder) as app:
        people = add_people(db.session(), hash_new_password(password), ("home", "trader", "admin"))
        fill_pages(db.session(), people, app.config, datetime.now(UTC), "Home ")


def _create_site(session: Session, password_hash: str) -> None:
    add_structure(session)
    owner = create_user(
        session,
        email=EMAIL,
        password_hash=password_hash,
        roles=["Prosumer"],
        timezone=ZONE,
    )
    market = create_market(
        session,
        NewMarket(
            name="epex_da",
            display_name="EPEX day-ahead",
            market_type_name="day_ahead",
            unit="EUR/MWh",
            event_resolution=HOUR,
            timezone=ZONE,
            knowledge_horizon=("x_days_ago_at_y_oclock", {"x": 1, "y": 12, "z": "Europe/Paris"}),
        ),
    )
    common = {
        "event_resolution": QUARTER,
        "owner_id": owner.id,
        "market_id": market.id,
        "timezone": ZONE,
        **PLACE,
    }
    context = {
        "site-power-capacity": f"{CONNECTION_MW} MW",
        "reserve-margin": "0.3 kW",  # load and sun are not what they were expected to be
        "consumption-surcharge": f"{SURCHARGE} EUR/MWh",
        "production-price": f"{FEED_IN} EUR/MWh",
    }
    home = create_asset(
        session,
        NewAsset("Home", "building", CONNECTION_MW, display_name="Home", flex_context=context, **common),
    )
    lossy = {"roundtrip_efficiency": ROUNDTRIP_EFFICIENCY}
    for name, type_name, capacity, size, flex_model in (
        (BATTERY.name, BATTERY.type_name, BATTERY.capacity_mw, BATTERY.max_soc_mwh, lossy),
        (STATION.name, STATION.type_name, STATION.capacity_mw, STATION.max_soc_mwh, None),
        ("House", "building", HOUSE_PEAK_MW, None, None),
        ("Solar roof", "solar", HOME_ROOF_PEAK_MW, None, None),
    ):
        part = NewAsset(
            name, type_name, capacity, max_soc_in_mwh=size, flex_model=flex_model, parent_id=home.id, **common
        )
        create_asset(session, part)


def _tell(client: Client, steps: _Steps, site: Site, password: str) -> Outcome:
    """Send the data of two days, have the devices scheduled, and fetch what came of it."""
    with steps("Asking for a token and the addresses of the assets"):
        client.log_in(EMAIL, password)
        address = client.connections()
    with steps("Posting the day-ahead prices of two days, as they were published"):
        for day in (0, 1):
            start = site.start + timedelta(days=day)
            published = start - timedelta(hours=12)
            client.post_prices(MARKET, start, site.prices[day * 24 : day * 24 + 24], published)
    house, roof = address["House"], address["Solar roof"]
    with steps("Posting what house and roof are expected to do: the mean of both days"):
        expected = dict(zip((house, roof), site.expected, strict=True))
        client.post_forecast(site.start, expected, site.start - timedelta(hours=12))
    count = len(site.building)
    power = {device.name: np.zeros(count) for device in (BATTERY, STATION)}
    with steps("Posting the state of charge of the battery, and waiting for the plan of the home"):
        _plan(client, address, (BATTERY,), power, site)
    with steps("The car comes: posting both states of charge, and waiting for the next plan"):
        held = Outcome(site, site.building, site.solar, power[BATTERY.name], power[STATION.name]).battery_soc
        slot = (datetime.fromisoformat(STATION.at) - site.start) // QUARTER
        later = replace(BATTERY, at=STATION.at, soc_kwh=round(float(held[slot - 1]), 3))
        _plan(client, address, (later, STATION), power, site, number=2)
    with steps("Posting two days of meter data of house and roof, and reading them back"):
        client.post_power(site.start, {house: site.building, roof: site.solar})
        building, solar = (client.read_power(name, site.start, 48) for name in (house, roof))
    return Outcome(site, building, solar, power[BATTERY.name], power[STATION.name])


def _plan(
    client: Client,
    address: dict[str, str],
    devices: tuple[Device, ...],
    power: dict[str, Values],
    site: Site,
    number: int = 1,
) -> None:
    """Send the events of some devices, and lay their schedules over those before."""
    events = [f"{address[device.name]}:{number}:{_event(device)}" for device in devices]
    for event, device in zip(events, devices, strict=True):
        client.send_state(event, device)
    for event, device in zip(events, devices, strict=True):
        start, planned, _ = client.await_schedule(event, "PT48H")
        own = power[device.name]
        first = (start - site.start) // QUARTER
        own[first:] = to_slots(site.start, start, planned, len(own))[first:]


def _event(device: Device) -> str:
    return "soc-with-targets" if device.target else "soc"


def _show(console: Console, outcome: Outcome, chart: Path) -> None:
    console.print()
    console.print(tabulate(outcome))
    rules = outcome.simple_rules
    best = min(rules.values())
    console.print()
    for text, euros in (
        *((f"Cost with {name}, the car charging at once", cost) for name, cost in rules.items()),
        ("Cost with the home planned as one", outcome.cost_with),
        ("Saving", best - outcome.cost_with),
    ):
        console.print(f"{text:<66} {euros:>8.2f} EUR")
    saved = " and ".join(f"{cost - outcome.cost_with:.2f} EUR beside {name}" for name, cost in rules.items())
    console.print(
        f"Planned as one from {outcome.local_starts[0]:%d %B %Y} on, the home saved {saved} in two days."
    )
    console.print(
        "\nData: Bundesnetzagentur | SMARD.de (CC BY 4.0); load and solar feed-in of Luxembourg, scaled to the home."
    )
    console.print(f"Chart: {chart}")
