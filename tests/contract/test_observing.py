"""Monitors: health, figures for Prometheus, logs as JSON, times of requests, errors and traces told elsewhere."""

from __future__ import annotations

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from flexmeasures import telemetry
from flexmeasures.app import create
from flexmeasures.foundation import lay_foundation
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.workers import make_worker
from flexmeasures.log_context import job_id, request_id
from flexmeasures.logs import ContextFilter, JsonFormatter
from flexmeasures.setting_types import SettingsError


@pytest.fixture
def make_app(app):
    """Make an application with other settings, on the same servers."""

    def make(builder=create, **settings):
        return builder("testing", settings={"FLEXMEASURES_INSTANCE_PATH": app.instance_path, **settings})

    return make


@pytest.fixture
def counting(make_app):
    """An application that counts."""
    return make_app(FLEXMEASURES_METRICS=True)


def figures(client, **headers):
    """Read /metrics with the parser of Prometheus: values by name and labels."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def succeed():
    """A job that ends well."""
    logging.getLogger("flexmeasures.jobs").warning("the job says something")


def fail():
    """A job that fails."""
    raise RuntimeError("out of order")


# --- Health


def test_a_process_lives_whatever_its_stores_do(app, client, monkeypatch):
    """/health/live asks nobody; /health and /health/ready tell which store is away, with 503."""
    assert client.get("/health/ready").json == {"status": "ok", "database": "ok", "job_store": "ok"}
    monkeypatch.setitem(app.extensions, "redis", redis.Redis(port=1))
    assert (client.get("/health/live").status_code, client.get("/health/live").json) == (
        200,
        {"status": "ok"},
    )
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (
            503,
            {"status": "away", "database": "ok", "job_store": "away"},
        )
        assert int(answer.headers["Retry-After"]) > 0


def test_a_balancer_may_ask_without_https(make_app):
    """Health is told over plain HTTP under any name; everything else is sent on to HTTPS."""
    client = make_app(FLEXMEASURES_FORCE_HTTPS=True).test_client()
    assert client.get("/health/live", base_url="http://10.0.0.7:8000").status_code == 200
    assert client.get("/api/", base_url="http://10.0.0.7:8000").status_code == 308


# --- Metrics


def test_figures_are_off_by_default(client):
    """Who did not ask for figures tells nobody any."""
    assert client.get("/metrics").status_code == 404


def test_figures_ask_for_their_token(make_app):
    """With a token set, /metrics is shown to who has it."""
    client = make_app(FLEXMEASURES_METRICS=True, FLEXMEASURES_METRICS_TOKEN="s3cret").test_client()
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer é"}):
        assert client.get("/metrics", headers=wrong).status_code == 401
    assert ("flexmeasures_workers",) in figures(client, Authorization="Bearer s3cret")


def test_requests_are_counted_by_route_and_status(counting):
    """Two good requests and one to nowhere are counted as such: by pattern, never by what a client made up."""
    client = counting.test_client()
    for path in ("/api/", "/api/", "/made/up/by/a/client", "/reset/a-token"):
        client.get(path)
    read = figures(client)

    def count(route, status):
        return read.get(
            ("flexmeasures_requests_total", ("method", "GET"), ("route", route), ("status", status))
        )

    assert (count("/api/", "200"), count("none", "404")) == (2, 1)
    assert count("/reset/<token>", "302") == 1
    assert not [key for key in read if "made" in str(key) or "a-token" in str(key)]
    name = "flexmeasures_request_duration_seconds"
    assert read[f"{name}_count", ("route", "/api/")] == 2
    assert read[f"{name}_bucket", ("le", "+Inf"), ("route", "/api/")] == 2
    bounds = [value for key, value in read.items() if key[0] == f"{name}_bucket" and key[-1][1] == "/api/"]
    assert bounds == sorted(bounds)
    assert 0 < read[f"{name}_sum", ("route", "/api/")] < 60


def test_a_scrape_sees_all_processes(counting, make_app):
    """What another process has counted is in the answer of this one; both are added up."""
    client, other = counting.test_client(), make_app(FLEXMEASURES_METRICS=True)
    client.get("/api/")
    other.test_client().get("/api/")
    other.extensions["metrics"].flush()
    key = ("flexmeasures_requests_total", ("method", "GET"), ("route", "/api/"), ("status", "200"))
    assert figures(client)[key] == 2


def test_beliefs_are_counted_when_they_are_stored(counting, cast):
    """Four values are posted, then refused when they contradict: four are counted."""
    client = counting.test_client()
    token = client.post("/api/requestAuthToken", json={"email": cast.owner_email, "password": cast.password})
    headers = {"Authorization": token.json["auth_token"]}
    message = {
        "type": "PostMeterDataRequest",
        "connection": cast.address("building"),
        "values": [0.5] * 4,
        "start": datetime(2015, 1, 5, tzinfo=UTC).isoformat(),
        "duration": "PT1H",
        "horizon": "PT0H",
        "unit": "MW",
    }
    assert client.post("/api/v2_0/postMeterData", json=message, headers=headers).status_code == 200
    assert client.post(
        "/api/v2_0/postMeterData", json={**message, "values": [1] * 4}, headers=headers
    ).status_code in (
        400,
        403,
        422,
    )
    assert figures(client)["flexmeasures_beliefs_stored_total",] == 4


def test_jobs_are_counted_by_outcome(counting, app):
    """One job that ends well and one that fails are counted by workers, and those that wait by queue."""
    queue = get_queue(app, "scheduling")
    queue.enqueue(succeed)
    queue.enqueue(fail)
    make_worker(counting, ["scheduling"]).work(burst=True)
    get_queue(app, "forecasting").enqueue(succeed)
    read = figures(counting.test_client())
    for outcome in ("done", "failed"):
        assert read["flexmeasures_jobs_total", ("outcome", outcome), ("queue", "scheduling")] == 1
    assert read["flexmeasures_job_duration_seconds_count", ("queue", "scheduling")] == 2
    assert read["flexmeasures_queue_jobs", ("queue", "forecasting"), ("state", "waiting")] == 1
    assert read["flexmeasures_queue_jobs", ("queue", "scheduling"), ("state", "waiting")] == 0


def test_figures_wait_for_a_job_store_that_is_away(counting, monkeypatch):
    """While the job store is away /metrics says so, requests are answered, and what was counted is there afterwards."""
    client = counting.test_client()
    with monkeypatch.context() as away:
        away.setitem(counting.extensions, "redis", redis.Redis(port=1))
        assert client.get("/api/").status_code == 200
        read = figures(client)
        assert read["flexmeasures_store_up", ("store", "job_store")] == 0
        assert read["flexmeasures_store_up", ("store", "database")] == 1
    key = ("flexmeasures_requests_total", ("method", "GET"), ("route", "/api/"), ("status", "200"))
    assert figures(client)[key] == 1


# --- Logs


@pytest.fixture
def record():
    """Write a record as JSON, with the ids of whoever it is written for."""

    def write(message, *arguments, **options):
        made = logging.getLogger("flexmeasures").makeRecord(
            "flexmeasures", logging.WARNING, __file__, 7, message, arguments, options.get("exc_info")
        )
        ContextFilter().filter(made)
        return json.loads(JsonFormatter().format(made))

    return write


def test_a_message_is_one_object(record):
    """Each message is a line of JSON with time, level and place, whatever it holds."""
    entry = record("line one\n%s", 'a "quoted" \ud800 word')
    assert entry["message"] == 'line one\na "quoted" \\ud800 word'
    assert entry["level"] == "WARNING"
    assert entry["place"] == f"{__file__}:7"
    assert datetime.fromisoformat(entry["time"]).utcoffset().total_seconds() == 0
    assert not {"request_id", "job_id", "trace"} & set(entry)


def test_a_message_names_request_job_and_exception(record):
    """On whose behalf something went wrong, and where, stands in fields of their own."""
    tokens = request_id.set("r-1"), job_id.set("j-1")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        entry = record("bad", exc_info=sys.exc_info())
    request_id.reset(tokens[0])
    job_id.reset(tokens[1])
    assert (entry["request_id"], entry["job_id"]) == ("r-1", "j-1")
    assert "ZeroDivisionError" in entry["trace"]


def test_jobs_log_their_id_and_that_of_their_request(app, tmp_path):
    """A job that a request has ordered logs both ids, so that its messages are found by either."""
    with app.test_request_context(headers={"X-Request-ID": "order-7"}):
        app.preprocess_request()
        ordered = get_queue(app, "scheduling").enqueue(succeed)
    lines = tmp_path / "log"
    handler = logging.FileHandler(lines)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(ContextFilter())
    logging.getLogger("flexmeasures").addHandler(handler)
    make_worker(app, ["scheduling"]).work(burst=True)
    logging.getLogger("flexmeasures").removeHandler(handler)
    handler.close()
    (entry,) = [json.loads(line) for line in lines.read_text().splitlines() if "says something" in line]
    assert (entry["job_id"], entry["request_id"]) == (ordered.id, "order-7")


def test_the_setting_makes_the_log_json(tmp_path):
    """With FLEXMEASURES_LOG_FORMAT=json the console and the file hold JSON."""
    code = "from flexmeasures.app import create; create().logger.error('Grüße')"
    environment = {
        **os.environ,
        "FLASK_ENV": "development",
        "FLEXMEASURES_LOG_FORMAT": "json",
        "FLEXMEASURES_INSTANCE_PATH": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    for text in (done.stderr, (tmp_path / "logs" / "flexmeasures.log").read_text()):
        assert json.loads(text.splitlines()[-1])["message"] == "Grüße"


def test_requests_are_profiled_by_setting(make_app, client, caplog):
    """As documented, each request is logged with its seconds, but for files of pages; secrets in paths are not."""
    client.get("/api/")
    assert "[PROFILE]" not in caplog.text
    timed = make_app(FLEXMEASURES_PROFILE_REQUESTS=True, LOGGING_LEVEL=logging.ERROR).test_client()
    for path in ("/api/?secret=1", "/ui/static/nothing.css", "/reset/a-token"):
        timed.get(path)
    told = [record.getMessage() for record in caplog.records if "[PROFILE]" in record.getMessage()]
    assert len(told) == 2
    assert told[0].startswith("[PROFILE] 0.")
    assert told[0].endswith("seconds to serve /api/.")
    assert told[1].endswith("seconds to serve /reset/<token>.")


# --- Services of operators


@pytest.fixture
def collector():
    """A service that keeps what it is sent: its address and the bodies."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, bodies
    server.shutdown()
    server.server_close()


def test_errors_are_told_to_sentry(make_app, collector):
    """A bug reaches Sentry with its place and release; what the client sent does not."""
    sentry = pytest.importorskip("sentry_sdk")
    port, bodies = collector
    secrets = [uuid.uuid4().hex for _ in range(3)]  # source code is told, and they must not stand in it
    app = make_app(SENTRY_DSN=f"http://key@127.0.0.1:{port}/1")
    try:

        def broken():
            raise RuntimeError("out of order")

        app.add_url_rule("/api/broken", view_func=broken, methods=["POST"])
        token, key, value = secrets
        answer = app.test_client().post(
            f"/api/broken?key={key}", json={"v": value}, headers={"Authorization": token}
        )
        assert answer.status_code == 500
        sentry.flush(10)
    finally:
        sentry.get_client().close()
        sentry.init()
    told = b"".join(body for _, body in bodies).decode()
    assert "out of order" in told
    assert "flexmeasures@" in told
    assert not [word for word in secrets if word in told]


def test_requests_and_jobs_are_traced(make_app, collector):
    """Spans of a request and of a job reach the collector by OTLP."""
    pytest.importorskip("opentelemetry.sdk")
    port, bodies = collector
    app = make_app(FLEXMEASURES_OPENTELEMETRY_URL=f"http://127.0.0.1:{port}")
    app.test_client().get("/api/")
    with telemetry.trace_job(app, "scheduling", "j-1"):
        pass
    app.extensions["traces"].shutdown()
    assert {path for path, _ in bodies} == {"/v1/traces"}
    told = b"".join(body for _, body in bodies)
    assert all(word in told for word in (b"GET /api/", b"job scheduling", b"j-1", b"flexmeasures"))


@pytest.mark.parametrize(
    ("setting", "package", "extra"),
    [
        ("SENTRY_DSN", "sentry_sdk", "sentry"),
        ("FLEXMEASURES_OPENTELEMETRY_URL", "opentelemetry", "opentelemetry"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(make_app, monkeypatch, setting, package, extra):
    """Who sets an address and has not installed what it needs learns what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match=rf"{setting} .*flexmeasures\[{extra}\]"):
        make_app(lay_foundation, **{setting: "http://key@127.0.0.1:1/1"})
