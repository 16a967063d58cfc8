"""A community of three members around one roof: the worked example of the specification, on a real database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from flexmeasures import cli
from flexmeasures.auth.setup import hash_new_password
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Sensor
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy
from flexmeasures.domain.communities.coefficients import Coefficients
from flexmeasures.domain.communities.identifiers import check_letters
from flexmeasures.domain.time import event_grid
from flexmeasures.services.communities.set_up import (
    NewCommunity,
    NewMember,
    NewService,
    create_community,
    create_member,
    create_service,
    set_service_status,
)
from flexmeasures.services.communities.tables import create_table, set_table_state
from flexmeasures.services.communities.taking_part import (
    NewPlant,
    NewSupplyPoint,
    create_plant,
    create_supply_point,
)
from flexmeasures.services.numbered import add_public_asset, add_sensor_to
from flexmeasures.services.structure import add_structure
from flexmeasures.services.users import create_user

MADRID = ZoneInfo("Europe/Madrid")
DAY = date(2024, 5, 1)
HOUR = timedelta(hours=1)
GENERATION = [0, 2, 6, 4]
CONSUMPTION = {"A": [0.4, 0.6, 1.0, 2.5], "B": [0.3, 0.2, 0.5, 0.9], "C": [0.1, 0.1, 3.0, 0.4]}
"""Four hours from noon on, in kWh; the other hours of the day are zero."""


def cups(number: int) -> str:
    """Make up a supply point."""
    digits = f"{31 * 10**14 + number:016d}"
    return f"ES{digits}{check_letters(digits)}0F"


POINTS = {"A": cups(1), "B": cups(2), "C": cups(3)}
CAU = f"{cups(7)}A000"


def midnight(day: date) -> datetime:
    """Find the start of a local day."""
    return datetime(day.year, day.month, day.day, tzinfo=MADRID)


def add_sensor(
    name: str, unit: str = "kWh", resolution: timedelta = HOUR, zone: str = "Europe/Madrid"
) -> Sensor:
    """Add a sensor on an asset of its own."""
    asset: Asset = add_public_asset(db.session, name, "building")
    return add_sensor_to(db.session, asset, name, unit, resolution, zone)


def store(
    sensor: Sensor | int, start: datetime, values: Sequence[float], ago: timedelta = timedelta(0)
) -> None:
    """Store readings; those held longer after their events count more. NaN is left out."""
    sensor = db.session.get(Sensor, sensor) if isinstance(sensor, int) else sensor
    source = get_or_create_source(db.session, "meters", "script")
    starts = event_grid(start, sensor.event_resolution, len(values))
    given = ~np.isnan(np.asarray(values, dtype=float))
    beliefs = Beliefs(
        starts[given],
        np.asarray(values, dtype=float)[given],
        np.full(given.sum(), -np.timedelta64(ago)),
        np.full(given.sum(), source.id, dtype=np.int32),
    )
    insert_beliefs(db.session, [SensorBeliefs(sensor.id, beliefs)], InsertPolicy.REPLACE)


def day_of(noon: Sequence[float], hours: int = 24) -> list[float]:
    """Write a day that is zero but for the hours from noon on."""
    return [0.0] * 12 + list(noon) + [0.0] * (hours - 12 - len(noon))


@dataclass(frozen=True)
class Scene:
    """The community and its ids."""

    community: int
    service: int
    plant_sensor: int
    sensors: dict[str, int]
    members: dict[str, int]
    inscriptions: dict[str, int]
    table: int
    other_community: int
    other_service: int


def build_service(
    community_id: int, cau: str, name: str, first: date, points: dict[str, str]
) -> tuple[Any, ...]:
    """Make a service with the plant and the three members of the worked example, active from a day on."""
    session = db.session
    service = create_service(session, NewService(community_id, name, power_kw=12.0, cau=cau), DAY)
    plant = add_sensor(f"{name} roof")
    create_plant(session, NewPlant(service.id, "roof", plant.id, installed_kw=12), DAY)
    sensors, members, inscriptions = {}, {}, {}
    for letter, point in points.items():
        sensors[letter] = add_sensor(f"{name} {letter}").id
        email = f"{letter.lower()}{service.id}@example.org"
        create_user(
            session,
            email=email,
            password_hash=hash_new_password("correct horse"),
            username=f"ES{letter}{service.id}",
        )
        member = create_member(session, NewMember(community_id, letter, date(2020, 1, 1), user_email=email))
        members[letter] = member.id
        made = create_supply_point(
            session, NewSupplyPoint(service.id, member.id, point, sensors[letter], starts_on=first), DAY
        )
        inscriptions[letter] = made.id
    table = create_table(
        session, service, "first", Coefficients(tuple(points.values()), np.array([500_000, 300_000, 200_000]))
    )
    set_service_status(session, service.id, "inscription")
    set_table_state(session, table.id, "validated")
    set_service_status(session, service.id, "activation")
    set_table_state(session, table.id, "process")
    set_table_state(session, table.id, "active", first)
    set_service_status(session, service.id, "active")
    return service, plant.id, sensors, members, inscriptions, table


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command in this process; what goes wrong is said in a sentence."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def call(*words: object, exit_code: int = 0) -> str:
        done = CliRunner().invoke(cli.cli, [str(word) for word in words])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == exit_code, done.output
        return done.output

    return call


@pytest.fixture
def scene(app: Flask) -> Scene:
    """Two communities; the first shares the worked example on 1 May 2024, the second has another one's meters."""
    with app.app_context():
        session = db.session
        add_structure(session)
        first = create_community(
            session, NewCommunity("Sunny Street", social={"web": "https://sunny.example"})
        )
        second = create_community(session, NewCommunity("Windy Lane"))
        service, plant, sensors, members, inscriptions, table = build_service(
            first.id, CAU, "Roof of the school", DAY, POINTS
        )
        other, *_ = build_service(
            second.id, f"{cups(8)}A000", "Other roof", DAY, {n: cups(10 + i) for i, n in enumerate("XYZ")}
        )
        for email, role, community in (
            ("staff", "staff", first),
            ("provider", "provider", first),
            ("other", "staff", second),
        ):
            address = f"{email}@example.org"
            create_user(
                session, email=address, password_hash=hash_new_password("correct horse"), username=email
            )
            create_member(
                session, NewMember(community.id, email, date(2020, 1, 1), user_email=address, role=role)
            )
        create_user(
            session,
            email="admin@example.org",
            password_hash=hash_new_password("correct horse"),
            roles=["admin"],
        )
        create_user(session, email="nobody@example.org", password_hash=hash_new_password("correct horse"))
        store(plant, midnight(DAY), day_of(GENERATION))
        for letter, values in CONSUMPTION.items():
            store(sensors[letter], midnight(DAY), day_of(values))
        session.commit()
        made = Scene(
            first.id, service.id, plant, sensors, members, inscriptions, table.id, second.id, other.id
        )
        session.remove()
    return made


class Caller:
    """Somebody who asks with a bearer token, for a community."""

    def __init__(self, client: FlaskClient, email: str, community: int | None = None) -> None:
        answer = client.post("/api/requestAuthToken", json={"email": email, "password": "correct horse"})
        assert answer.status_code == 200, answer.text
        self.client = client
        self.headers = {"Authorization": f"Bearer {answer.json['auth_token']}"}
        if community is not None:
            self.headers["CompanyID"] = str(community)

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """Ask."""
        return self.client.get(path, query_string=query, headers={**self.headers, **(headers or {})})


@pytest.fixture
def staff(client: FlaskClient, scene: Scene) -> Caller:
    """Somebody of the first community's staff."""
    return Caller(client, "staff@example.org", scene.community)


@pytest.fixture
def member_a(client: FlaskClient, scene: Scene) -> Caller:
    """Member A of the first community."""
    return Caller(client, f"a{scene.service}@example.org")
