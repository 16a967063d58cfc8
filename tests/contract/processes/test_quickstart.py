"""The quickstart of the documentation, typed as it is printed, in a shell of its own on a new database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from flexmeasures.data.database import redis_connection

# Where the documentation breaks a line within a word, it is broken between words here; placeholders are filled in.
QUICKSTART = r"""
export SECRET_KEY=something-secret
python -c "import secrets; print(secrets.token_urlsafe())"
export FLASK_ENV=development
flexmeasures db upgrade
echo secret-1 | flexmeasures add user --username me --email me@example.com --roles=admin
flexmeasures add structure
flexmeasures add weather-sensor --name "my rooftop thermometer" --weather-sensor-type-name temperature \
    --unit °C --event-resolution 15 --latitude 33 --longitude 2.4
flexmeasures add asset --name "my basement battery pack" --asset-type-name battery \
    --capacity-in-MW 30 --event-resolution 2 --latitude 65 --longitude 123.76 --owner-id 1
flexmeasures add asset --name my-solar-panel --asset-type-name solar \
    --capacity-in-MW 1 --event-resolution 60 --latitude 33 --longitude 2.4 --owner-id 1
flexmeasures add forecasts --from-date 2020-03-08 --to-date 2020-03-09 --asset-type Asset --asset my-solar-panel
flexmeasures add external-weather-forecasts --location 33.4366,126.5269 --store-in-db
flexmeasures clear-queue --queue forecasting
flexmeasures clear-queue --queue scheduling
"""

DATA = """
flexmeasures db-ops dump
flexmeasures db-ops reset <<< y
flexmeasures db-ops restore pgbackup_*.dump
flexmeasures delete measurements --force
flexmeasures delete forecasts --force
flexmeasures delete structure --force
"""
"""The recipe of the chapter about data, and its commands to get rid of them."""


@pytest.fixture
def weather() -> Iterator[str]:
    """A weather service on this machine; its address."""
    first = int(datetime.now(UTC).timestamp()) // 3600 * 3600
    body = {
        "hourly": {
            "time": [first + 3600 * n for n in range(24)],
            "temperature_2m": [20.0] * 24,
            "wind_speed_10m": [5.0] * 24,
            "shortwave_radiation": [100.0] * 24,
        }
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def shell(app: Flask, tmp_path: Path, weather: str) -> Iterator[dict[str, str]]:
    """The environment of somebody who follows the documentation, with a new database."""
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"])
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("drop database if exists quickstart with (force)")
        connection.execute("create database quickstart")
    socket = redis_connection(app).connection_pool.connection_kwargs["path"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK", "FLEX"))}
    yield {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "FLEXMEASURES_INSTANCE_PATH": str(tmp_path / "instance"),
        "SQLALCHEMY_DATABASE_URI": url.set(database="quickstart").render_as_string(hide_password=False),
        "FLEXMEASURES_REDIS_URL": f"unix://{socket}?db=1",
        "OPEN_METEO_URL": weather,
    }
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("drop database quickstart with (force)")


def _type(environment: dict[str, str], folder: Path, script: str) -> str:
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_the_quickstart_as_it_is_printed(shell: dict[str, str], tmp_path: Path) -> None:
    """Each command of the quickstart, and of the recipe for data, does what the documentation says."""
    said = _type(shell, tmp_path, QUICKSTART)
    for told in (
        "Successfully created user <User me (ID:1)>",
        "DB now has 1 Market(s)",
        "Successfully created sensor with ID",
        "Successfully created asset with ID",
        "You can access it at its entity address ea1.",
        "0 Power Forecasts were made",
        "weather forecasts were stored",
        "Cleared 0 jobs from <Queue forecasting>. Queue now contains 0 jobs.",
    ):
        assert told in said, told
    said = _type({**shell, "SECRET_KEY": "something-secret", "FLASK_ENV": "development"}, tmp_path, DATA)
    for told in ("db dump successful", " Weather Forecasts", "Deleted 1 Users"):
        assert told in said, told
