"""The API over HTTP: posting and reading meter data, and the way from a UDI event to its schedule."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import numpy as np

from benchmarks import Report, benchmark, time_calls
from benchmarks._server import Server, message, serve

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
    """Post and read days and years."""
    rng = np.random.default_rng(1)
    with serve() as server:
        days = itertools.count()
        day = rng.random(96).round(3).tolist()

        def post_day(horizon: str = "PT0H", number: int | None = None) -> None:
            start = START + timedelta(days=next(days) if number is None else number)
            server.post("postMeterData", _post(server, start, day, horizon))

        _say(report, "postMeterData, 96 values", time_calls(post_day, 150, 10), 0.008, 96)
        known = itertools.count()
        again = time_calls(lambda: post_day("-PT10M", next(known)), 100, 10)
        _say(report, "postMeterData, 96 values, second belief", again, 0.008, 96)
        _say(
            report,
            "getMeterData, a day",
            time_calls(lambda: server.get(_get(server, START, "P1D")), 150, 10),
            0.006,
        )
        year = rng.random(35_040).round(3).tolist()
        years = itertools.count(2016)
        posts = time_calls(
            lambda: server.post(
                "postMeterData", _post(server, datetime(next(years), 1, 1, tzinfo=UTC), year)
            ),
            5,
            1,
        )
        _say(report, "postMeterData, 35,040 values", posts, 0.4, 35_040)
        path = _get(server, datetime(2017, 1, 1, tzinfo=UTC), "P365D")
        _say(report, "getMeterData, a year", time_calls(lambda: server.get(path), 15), 0.08, 35_040)
        by_days = _get(server, datetime(2017, 1, 1, tzinfo=UTC), "P365D", resolution="P1D")
        _say(report, "getMeterData, a year by days", time_calls(lambda: server.get(by_days), 15), 0.06)
        report.figure("Resident memory of the server", server.resident_megabytes(), "MB", "target 150 MB")


@benchmark("http: small posts, two gunicorn workers")
def small_posts(report: Report) -> None:
    """Post four values again and again."""
    with serve(workers=2) as server:
        hours = itertools.count()
        durations = time_calls(
            lambda: server.post(
                "postMeterData", _post(server, START + timedelta(hours=next(hours)), [1.0, 2, 3, 4])
            ),
            200,
            20,
        )
        _say(report, "postMeterData, 4 values, one after the other", durations, 1 / 200)


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

        _say(report, "postUdiEvent to schedule of 48 h in quarter hours", time_calls(plan, 20, 3), 0.3)
