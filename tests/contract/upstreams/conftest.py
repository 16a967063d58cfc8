"""Our own server as the upstream, over real HTTP, and the assets of the cast that it means."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from flask import Flask
from waitress import create_server

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, Market, Upstream
from flexmeasures.domain.time import next_event_start
from flexmeasures.jobs.upstreams import follow
from flexmeasures.services.coordination.clients import NewClient, create_client
from flexmeasures.services.upstreams.set_up import NewTarget, NewUpstream, create_upstream
from flexmeasures.testing import Cast, store_values

SECRET = "a secret of tests"
HOUR = timedelta(hours=1)


class Operator:
    """A grid operator: the business logic of the server, and we as its VEN."""

    def __init__(self, app: Flask, cast: Cast, port: int) -> None:
        self.app, self.cast, self.port = app, cast, port
        self.now = datetime.now(UTC)
        self.hour = next_event_start(self.now, HOUR)
        with app.app_context():
            for client_id, role in (("bl", "bl"), ("us", "ven")):
                create_client(db.session, NewClient(client_id=client_id, secret=SECRET, role=role))
            market = db.session.get(Market, cast.market)
            # 100 EUR/MWh but for two hours at 50 from the third on
            prices = np.full(72, 100.0)
            prices[27:29] = 50.0
            store_values(db.session, market, self.hour - 25 * HOUR, prices)
            battery = db.session.get(Asset, cast.assets["battery"])
            battery.soc_in_mwh = 0.0
            db.session.commit()
        self.client = app.test_client()
        self.program = self.made("/programs", {"programName": "grid"})["id"]

    def made(self, path: str, body: Any, method: str = "POST") -> Any:
        """Make or change something as the business logic."""
        form = {"grant_type": "client_credentials", "client_id": "bl", "client_secret": SECRET}
        token = self.client.post("/openadr3/3.1.0/auth/token", data=form).json["access_token"]
        answer = self.client.open(
            f"/openadr3/3.1.0{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            buffered=True,
        )
        assert answer.is_success if hasattr(answer, "is_success") else answer.status_code < 300, answer.json
        return answer.json

    def event(
        self, payload_type: str, values: list[float], start: datetime, duration: str, **fields: Any
    ) -> Any:
        """Send an event with consecutive intervals."""
        body = {
            "programID": self.program,
            "intervalPeriod": {"start": start.isoformat(), "duration": duration},
            "intervals": [
                {"id": number, "payloads": [{"type": payload_type, "values": [value]}]}
                for number, value in enumerate(values)
            ],
        }
        return self.made("/events", body | fields)

    def follow(self, kind: str = "openadr-3.1.0", **fields: Any) -> int:
        """Follow this operator with the battery, and ask once."""
        base = f"http://127.0.0.1:{self.port}"
        path = (
            "/energy-coordination/v1" if kind == "partner" else f"/openadr3/{kind.removeprefix('openadr-')}"
        )
        target = NewTarget(asset_id=self.cast.assets["battery"], resource_name="battery", target="feeder-7")
        new = NewUpstream(
            **{
                "name": "grid operator",
                "kind": kind,
                "address": base + path,
                "client_id": "us",
                "client_secret": SECRET,
                "market_id": self.cast.market,
                "targets": (target,),
            }
            | fields
        )
        with self.app.app_context():
            upstream = create_upstream(
                db.session, new, key=self.app.config["SECRET_KEY"], now=datetime.now(UTC)
            )
            db.session.commit()
            number = upstream.id
        self.ask(number)
        return number

    def ask(self, number: int) -> Any:
        """Do what a worker does when the time has come."""
        with self.app.app_context():
            outcome = follow(number)
            db.session.commit()
            return outcome

    def upstream(self) -> Upstream:
        """How it is doing; within an app context."""
        return db.session.query(Upstream).one()


@pytest.fixture
def operator(app: Flask, cast: Cast) -> Iterator[Operator]:
    """The operator, served by waitress on a port of its own."""
    server = create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield Operator(app, cast, server.effective_port)
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)
