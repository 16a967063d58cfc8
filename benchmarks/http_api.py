"""The API over HTTP: posting and reading meter data, and the way from a UDI event to its schedule."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import numpy as np
from sqlalchemy import text

from benchmarks import Report, benchmark, time_calls
from benchmarks._bare_view import serve_bare
from benchmarks._server import Server, message, serve
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import source_of_user
from flexmeasures.data.tables import Asset
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.testing import make_sensor

START = datetime(2015, 3, 1, tzinfo=UTC)


def _post(server: Server, start: datetime, values: list[float], horizon: str = "PT0H") -> bytes:
    return message(
        "PostMeterDataRequest",
        connection=server.cast.address("building"),
        values=values,
        start=start.isoformat(),
        duration=f"PT{15 * len(values)}M",
        horizon=horizon,
        unit="MW",
    )


def _get(server: Server, start: datetime, duration: str, **more: str) -> str:
    query = {
        "type": "GetMeterDataRequest",
        "connection": server.cast.address("building"),
        "start": start.isoformat(),
        "duration": duration,
        "unit": "MW",
        **more,
    }
    return "/api/v2_0/getMeterData?" + urlencode(query)


def _say(report: Report, name: str, durations: list[float], target: float, per: int = 1) -> None:
    p95 = np.percentile(durations, 95)
    report(name, statistics.median(durations), per=per, target=target, note=f"p95 {p95 * 1e3:.1f} ms")


@benchmark("http: meter data, one gunicorn worker")
def meter_data(report: Report) -> None:
    """Post and read days and years, beside a bare view that inserts the same rows."""
    with serve() as server:
        post_and_read(report, server)
        day = np.random.default_rng(2).random(96).round(3).tolist()
        with serve_bare(server) as bare:
            ours, theirs = [], []
            for number in range(150):
                start = datetime(2010, 1, 1, tzinfo=UTC) + timedelta(days=number)
                body = _post(server, start, day)
                ours += time_calls(lambda body=body: server.post("postMeterData", body), 1, 0)
                bare_body = message(
                    "", asset=server.cast.assets["solar"], start=start.isoformat(), values=day
                )
                theirs += time_calls(lambda body=bare_body: bare(body), 1, 0)
        report("A bare view that inserts 96 values", statistics.median(theirs), per=96)
        # 8 ms to 3.6 ms, as both were measured on one machine.
        report.ratio("postMeterData / bare view", statistics.median(ours), statistics.median(theirs), 8 / 3.6)
        report.figure("Resident memory of the server", server.resident_megabytes(), "MB", "target 150 MB")


def post_and_read(report: Report, server: Server) -> None:
    """Measure posts and reads of days and years of meter data."""
    rng = np.random.default_rng(1)
    day = rng.random(96).round(3).tolist()

    def post_days(name: str, delay: int) -> None:
        """Post a belief about each of many days, so many minutes after the fact."""
        days = itertools.count()

        def post() -> None:
            server.post(
                "postMeterData", _post(server, START + timedelta(days=next(days)), day, f"-PT{delay}M")
            )

        _say(report, name, time_calls(post, 150, 10), 0.008, 96)

    post_days("postMeterData, 96 values", 0)
    post_days("postMeterData, 96 values, second belief", 10)
    for delay in range(20, 100, 10):
        server.post("postMeterData", _post(server, START, day * 160, f"-PT{delay}M"))
    post_days("postMeterData, 96 values, tenth belief", 100)
    path = _get(server, START, "P1D")
    _say(report, "getMeterData, a day", time_calls(lambda: server.get(path), 150, 10), 0.006)
    year = rng.random(35_040).round(3).tolist()
    years = itertools.count(2016)
    posts = time_calls(
        lambda: server.post("postMeterData", _post(server, datetime(next(years), 1, 1, tzinfo=UTC), year)),
        5,
        1,
    )
    _say(report, "postMeterData, 35,040 values", posts, 0.4, 35_040)
    path = _get(server, datetime(2017, 1, 1, tzinfo=UTC), "P365D")
    _say(report, "getMeterData, a year", time_calls(lambda: server.get(path), 15), 0.08, 35_040)
    by_days = _get(server, datetime(2017, 1, 1, tzinfo=UTC), "P365D", resolution="P1D")
    _say(report, "getMeterData, a year by days", time_calls(lambda: server.get(by_days), 15), 0.06)


@benchmark("http: 20 sensors x 1 year x 2 beliefs loaded, two gunicorn workers")
def loaded(report: Report) -> None:
    """The same on a database that holds 1.4 million beliefs, and small posts by one client and by two at once."""
    with serve(workers=2) as server:
        _load(server)
        post_and_read(report, server)
        hours = itertools.count()

        def post_hour(client: Server) -> None:
            start = datetime(2005, 1, 1, tzinfo=UTC) + timedelta(hours=next(hours))
            client.post("postMeterData", _post(client, start, [1.0, 2, 3, 4]))

        one = time_calls(lambda: post_hour(server), 200, 20)
        report("postMeterData, 4 values, 200 one after the other", statistics.median(one))
        with ThreadPoolExecutor(2) as pool:
            clients = [server.another_client() for _ in range(2)]
            start = time.perf_counter()
            list(pool.map(lambda client: [post_hour(client) for _ in range(200)], clients))
            both = (time.perf_counter() - start) / 400
        report("postMeterData, 4 values, two clients at once", both, per=1, target=1 / 200)
        report.figure("Resident memory of a worker", server.resident_megabytes(), "MB", "target 150 MB")


def _load(server: Server) -> None:
    """Store two beliefs of the owner about each quarter-hour of a year, of 20 sensors: one of them the building's."""
    rng = np.random.default_rng(3)
    starts = event_grid(datetime(2017, 1, 1, tzinfo=UTC), timedelta(minutes=15), 35_040)
    with server.app.app_context():
        session = db.session
        building = session.get(Asset, server.cast.assets["building"])
        source_id = source_of_user(session, building.owner)
        sensors = [building.sensor] + [make_sensor(session, f"meter {n}") for n in range(19)]
        for sensor in sensors:
            # The building gets its second belief by the benchmark of posting a year.
            for minutes in (-10, -5) if sensor is not building.sensor else (-10,):
                horizons = np.full(len(starts), np.timedelta64(minutes, "m").astype("timedelta64[us]"))
                sources = np.full(len(starts), source_id, dtype=np.int32)
                beliefs = Beliefs(starts, rng.random(len(starts)), horizons, sources)
                insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
        session.commit()
        session.execute(text("analyze belief"))
        session.commit()
        session.remove()


@benchmark("http: from UDI event to schedule")
def schedule(report: Report) -> None:
    """Send a state of charge and ask for its schedule until it is there."""
    with serve(with_job_worker=True) as server:
        events = itertools.count(1)
        time.sleep(3)  # the worker is idle and has loaded everything

        def plan() -> None:
            address = server.cast.address("battery", f"{next(events)}:soc")
            server.post(
                "postUdiEvent",
                message(
                    "PostUdiEventRequest",
                    event=address,
                    value=2.5,
                    unit="MWh",
                    datetime="2015-01-01T00:00:00Z",
                ),
            )
            query = urlencode({"type": "GetDeviceMessageRequest", "event": address, "duration": "PT48H"})
            while True:
                status, answer = server.request("GET", f"/api/v2_0/getDeviceMessage?{query}")
                if status == 200:
                    break
                if "The job" not in json.loads(answer)["message"]:
                    raise RuntimeError(answer)
                time.sleep(0.005)

        _say(report, "postUdiEvent to schedule of 48 h in quarter hours", time_calls(plan, 40, 3), 0.09)
