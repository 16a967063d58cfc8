"""The power chart in a real browser, on another page than ours: only our server is there, and no CDN."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask, Response
from werkzeug.serving import make_server

from flexmeasures.app import create
from flexmeasures.data.database import db, prepare, redis_connection
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import User
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.testing import make_cast

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

pytestmark = pytest.mark.e2e

# As the documentation tells the makers of web pages to do it, but for where the library comes from.
PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>A page of somebody else</title>
<script src="{server}/ui/static/bokeh/bokeh.min.js"></script></head>
<body><div id="chart" style="width: 900px"></div><script>
const urlData = new URLSearchParams({query})
fetch('{server}/api/v2_0/charts/power?' + urlData.toString(),
{{
    method: "GET",
    mode: "cors",
    headers:
        {{
            "Content-Type": "application/json",
            "Authorization": "{token}"
        }},
}})
.then(function(response) {{ return response.json(); }})
.then(function(item) {{ return Bokeh.embed.embed_item(item, "chart"); }})
.then(function(views) {{ window.views = views }});
</script></body></html>"""

# What the browser really drew: the labels of the axes as the view has computed them.
DRAWN = """() => {
    const [plot] = Bokeh.documents[0].roots().map((root) => Bokeh.index.get_by_id(root.id))
    const find = (kind) => [...plot.model.below, ...plot.model.left].filter((model) => model.type == kind)
    const legends = find("Legend").flatMap((legend) => legend.items.map((item) => item.label.value))
    const axes = find("LinearAxis").map((axis) => plot.views.find_one(axis))
    const label = (axis) => axis.compute_labels(axis.tick_coords.major[axis.dimension])
    const ticks = axes.map((axis) => label(axis).items.map((item) => item.text))
    return {
        bokeh: Bokeh.version,
        title: plot.model.title.text,
        axes: axes.map((axis) => axis.model.axis_label),
        times: ticks[0],
        powers: ticks[1],
        legends,
        labels: plot.model.center.filter((model) => model.type == "Label").map((model) => model.text),
    }
}"""


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    """The application in Amsterdam, with a page on another origin allowed to call it."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        settings = {
            "FLEXMEASURES_INSTANCE_PATH": folder,
            "FLEXMEASURES_TIMEZONE": "Europe/Amsterdam",
            "CORS_ORIGINS": "*",
        }
        app = create("testing", settings=settings)
        prepare(app)
        with app.app_context():
            fill(app)
        yield app
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
        redis_connection(app).connection_pool.disconnect()
        app.extensions["embedded"].services.leave()


def fill(app: Flask) -> None:
    """Store what the battery did, was forecast and planned to do, on the day when clocks go forward."""
    cast = make_cast(db.session)
    start = datetime(2015, 3, 28, 23, tzinfo=UTC)
    starts = event_grid(start, timedelta(minutes=15), 92)
    wave = np.sin(np.arange(92) / 92 * 4 * np.pi)
    for values, horizon, kind in (
        (wave[:60], timedelta(0), "script"),
        (wave * 0.9, timedelta(hours=24), "forecaster"),
        (np.round(wave) * 2, timedelta(hours=12), "scheduler"),
    ):
        source = get_or_create_source(db.session, "FlexMeasures", kind)
        count = len(values)
        beliefs = Beliefs(
            starts[:count],
            values,
            np.full(count, np.timedelta64(horizon, "us")),
            np.full(count, source.id, dtype=np.int32),
        )
        insert_beliefs(db.session, [SensorBeliefs(cast.assets["battery"], beliefs)])
    app.config["TEST_TOKEN"] = db.session.get(User, cast.owner_id).get_auth_token()
    db.session.commit()


@pytest.fixture(scope="module")
def servers(app: Flask) -> Iterator[tuple[str, str]]:
    """The platform, and somebody else's web site, each on a port of its own."""
    site = Flask("site")
    platform = make_server("127.0.0.1", 0, app, threaded=True)
    other = make_server("127.0.0.1", 0, site, threaded=True)
    ours = f"http://127.0.0.1:{platform.port}"

    @site.get("/<resource>")
    def page(resource: str) -> Response:
        query = {
            "resource": resource,
            "start_time": "2015-03-29T00:00:00+01:00",
            "end_time": "2015-03-30T00:00:00+02:00",
            "resolution": "PT15M",
        }
        return Response(PAGE.format(server=ours, query=query, token=app.config["TEST_TOKEN"]))

    threads = [threading.Thread(target=server.serve_forever) for server in (platform, other)]
    for thread in threads:
        thread.start()
    yield ours, f"http://127.0.0.1:{other.port}"
    for server in (platform, other):
        server.shutdown()
        server.server_close()
    for thread in threads:
        thread.join()


@pytest.fixture
def browser(chromium: Any) -> Any:
    """The one browser of all stories: the driver runs once in a process."""
    return chromium


def draw(browser: Any, servers: tuple[str, str], resource: str, screenshot: Path) -> dict[str, Any]:
    """Open the page, and tell what is on it; nothing may come from elsewhere, and no error may be logged."""
    ours, theirs = servers
    page = browser.new_page(viewport={"width": 1000, "height": 500})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{theirs}/{resource}")
    page.wait_for_function("() => window.views !== undefined")
    page.wait_for_function("() => Bokeh.documents[0].is_idle")
    drawn = page.evaluate(DRAWN)
    page.screenshot(path=screenshot)
    page.close()
    assert all(url.startswith((ours, theirs, "data:", "blob:")) for url in asked), asked
    assert [text for text in complaints if "favicon" not in text and "404" not in text] == []
    return drawn


def test_chart_is_drawn_on_another_page(browser, servers, tmp_path):
    """Power, forecast and schedule are drawn with units and a legend, on the clock of the platform's time zone."""
    drawn = draw(browser, servers, "Test battery", tmp_path / "chart.png")
    assert drawn["title"] == "Electricity consumption of Test battery"
    assert drawn["axes"] == ["Time (Europe/Amsterdam, resolution of 15 minutes)", "Power [MW]"]
    assert drawn["legends"] == ["Actual", "Forecast (made 6 hours or more before)", "Schedule"]
    # Ticks are four hours apart; between the first two the clock goes forward by one.
    assert drawn["times"] == ["00:00\n29 Mar", "05:00", "09:00", "13:00", "17:00", "21:00"]
    assert set(drawn["powers"]) >= {"-1", "0", "1"}


def test_empty_chart_is_drawn_with_words(browser, servers, tmp_path):
    """A chart without data is drawn as well, and says why it is empty."""
    drawn = draw(browser, servers, "Test roof", tmp_path / "empty.png")
    assert drawn["labels"] == ["No power of Test roof is known for this period yet."]
    assert drawn["legends"] == []
