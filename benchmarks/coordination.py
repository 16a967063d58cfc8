"""Coordination: pages of events, reports and webhooks, over HTTP on loopback."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

import benchmarks
from benchmarks._server import serve
from flexmeasures.data.database import db
from flexmeasures.data.tables import DrDelivery, DrEvent, DrProgram, DrSubscription, DrVen
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.coordination.clients import NewClient, create_client

CLIENTS, EVENTS, RECEIVERS = 1_000, 10_000, 1_000
SECRET = "a secret of benchmarks"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _row(number: int, **content: Any) -> dict[str, Any]:
    common = {"environment": "sandbox", "created_at": NOW, "modified_at": NOW}
    return common | {"id": f"o-{number}", "content": content, "targets": content.get("targets", [])}


def _fill() -> None:
    for name, role in (("bl", "bl"), ("client-7", "ven")):
        create_client(db.session, NewClient(client_id=name, secret=SECRET, role=role))
    db.session.add(DrProgram(**_row(0, programName="p"), name="p"))
    db.session.flush()
    db.session.bulk_insert_mappings(
        DrVen,
        [
            _row(n, venName=f"v{n}", clientID=f"client-{n}", targets=[f"t-{n}"])
            | {"name": f"v{n}", "client_id": f"client-{n}"}
            for n in range(CLIENTS)
        ],
    )
    intervals = [{"id": i, "payloads": [{"type": "PRICE", "values": [0.1]}]} for i in range(24)]
    db.session.bulk_insert_mappings(
        DrEvent,
        [
            _row(n, programID="o-0", intervals=intervals, targets=[f"t-{n % CLIENTS}"] if n % 10 else [])
            | {"program_id": "o-0"}
            for n in range(EVENTS)
        ],
    )
    db.session.commit()


def _token(client: httpx.Client, name: str, path: str) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": SECRET}
    return {
        "Authorization": f"Bearer {client.post(path, data=form).raise_for_status().json()['access_token']}"
    }


def _percentile(times: list[float], part: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


def _pages(report: Any, client: httpx.Client) -> None:
    headers = _token(client, "client-7", "/openadr3/3.1.0/auth/token")
    times = []
    for _ in range(200):
        began = time.perf_counter()
        answer = client.get("/openadr3/3.1.0/events", params={"limit": 50}, headers=headers)
        times.append(time.perf_counter() - began)
        assert len(answer.raise_for_status().json()) == 50
    p50, p95 = (_percentile(times, part) * 1e3 for part in (0.5, 0.95))
    report.figure("page of 50 of 10,000 events, p50", p50, "ms")
    report.figure("page of 50 of 10,000 events, p95", p95, "ms", "100 ms")


def _reports(report: Any, client: httpx.Client) -> None:
    base, headers = "/energy-coordination/v1", _token(client, "client-7", "/connect/token")
    client.post(f"{base}/users", json={"userId": "u"}, headers=headers).raise_for_status()
    client.post(f"{base}/users/u/locations", json={"locationId": "l"}, headers=headers).raise_for_status()
    for n in range(100):
        body = {"resourceId": f"r{n}", "resourceType": "Battery"}
        client.post(f"{base}/users/u/locations/l/resources", json=body, headers=headers).raise_for_status()
    as_json = {"Content-Type": "application/json"}
    hours = [(NOW + timedelta(hours=h)).isoformat() for h in range(24)]
    points = [{"price": -0.1, "timestamp": hour} for hour in hours]
    targets = [{"resourceId": f"r{n}", "locationId": "l"} for n in range(100)]
    curve = {"targets": targets, "priceCurveDelta": {"resolution": "01:00:00", "points": points}}
    event = client.post(f"{base}/simulation/events/priceCurve", json=curve, headers=headers)
    event_id, times = event.raise_for_status().json()["id"], []
    for run in range(20):
        payloads = [
            {
                "payloadType": "EnergyUsage",
                "resourceId": f"r{n}",
                "locationId": "l",
                "resolution": "01:00:00",
                "curvePoints": [{"kiloWattHours": run + 0.5, "timestamp": hour} for hour in hours],
            }
            for n in range(100)
        ]
        body = json.dumps({"eventId": event_id, "payloads": payloads})
        began = time.perf_counter()
        answer = client.post(f"{base}/reports", content=body, headers=headers | as_json)
        answer.raise_for_status()
        times.append(time.perf_counter() - began)
    p50, p95 = (_percentile(times, part) * 1e3 for part in (0.5, 0.95))
    report.figure("report of 100 resources × 24 h, p50", p50, "ms")
    report.figure("report of 100 resources × 24 h, p95", p95, "ms", "250 ms")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Receiver(ThreadingHTTPServer):
    request_queue_size = 1024


def _webhooks(report: Any, server: Any, client: httpx.Client) -> None:
    receiver = _Receiver(("127.0.0.1", 0), _Handler)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with server.app.app_context():
        rows = []
        for n in range(RECEIVERS):
            url = f"http://127.0.0.1:{receiver.server_port}/{n}"
            operation = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": url}
            content = {"clientName": "c", "clientID": f"client-{n}", "objectOperations": [operation]}
            rows.append(
                _row(n, **content) | {"client_id": f"client-{n}", "client_name": "c", "face": "3.1.0"}
            )
        db.session.bulk_insert_mappings(DrSubscription, rows)
        db.session.commit()
        headers = _token(client, "bl", "/openadr3/3.1.0/auth/token")
        client.post("/openadr3/3.1.0/events", json={"programID": "o-0"}, headers=headers).raise_for_status()
        began = datetime.now(UTC)
        make_worker(server.app, ["coordination"]).work(burst=True)
        took = [
            (d.delivered_at - began).total_seconds()
            for d in db.session.query(DrDelivery)
            if d.delivered_at is not None
        ]
    receiver.shutdown()
    report.figure("webhooks delivered", len(took), "", str(RECEIVERS))
    report.figure("webhook after the event, p50", _percentile(took, 0.5), "s", "5 s")
    report.figure("webhook after the event, all", max(took), "s", "30 s")


@benchmarks.benchmark("coordination")
def measure(report: Any) -> None:
    """Measure pages of events, reports and webhooks."""
    with serve() as server:
        with server.app.app_context():
            _fill()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
            _pages(report, client)
            _reports(report, client)
            _webhooks(report, server, client)
