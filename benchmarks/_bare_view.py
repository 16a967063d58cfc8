"""The least that a post must cost: a bare Flask view with a token check, three queries and one insert of binary arrays.

It knows no versions, roles, horizons, units, jobs or errors. How many times longer the real API takes is a figure that
does not depend on how fast the machine is at the moment.
"""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
import psycopg
from flask import Flask, Response, abort, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.engine import make_url

from benchmarks._server import Server, free_port, wait_for
from flexmeasures.data.stores.arrays import (
    Float8Array,
    Int4Array,
    IntervalArray,
    TimestamptzArray,
    register_dumpers,
)

__all__ = ["create", "serve_bare"]

INSERT = (
    "insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value)"
    " select * from unnest(%b, %b, %b, %b, %b)"
)


@contextmanager
def serve_bare(server: Server) -> Iterator[Callable[[bytes], None]]:
    """Run the bare view beside a server, on its database and with the same kind of worker.

    Yields:
        How to post a body to it.
    """
    secret = secrets.token_hex()
    url = make_url(server.app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    environment = {
        **os.environ,
        "BARE_VIEW_SECRET": secret,
        "BARE_VIEW_DATABASE": url.render_as_string(hide_password=False),
    }
    port = free_port()
    command = ["gunicorn", "-w", "1", "-b", f"127.0.0.1:{port}", "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "benchmarks._bare_view:create()"], env=environment
    )
    headers = {"Authorization": URLSafeTimedSerializer(secret).dumps(server.cast.owner_id)}
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def post(body: bytes) -> None:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"The bare view answered {answer.status}.")

    try:
        wait_for(port)
        yield post
    finally:
        connection.close()
        process.terminate()
        process.wait()


def create() -> Flask:
    """Make the app, on the database that ``BARE_VIEW_DATABASE`` names."""
    app = Flask("bare")
    connection = psycopg.connect(os.environ["BARE_VIEW_DATABASE"])
    register_dumpers(connection.adapters)
    signer = URLSafeTimedSerializer(os.environ["BARE_VIEW_SECRET"])

    @app.post("/")
    def post() -> Response:
        try:
            user_id = signer.loads(request.headers["Authorization"], max_age=3600)
        except BadSignature:
            abort(401)
        message = orjson.loads(request.get_data())
        user = _row(connection, "select id, active from fm_user where id = %s", user_id)
        asset = _row(connection, "select id, owner_id from asset where id = %s", message["asset"])
        source = _row(connection, "select id from data_source where user_id = %s", user[0])
        values = np.array(message["values"])
        count = len(values)
        start = np.datetime64(datetime.fromisoformat(message["start"]).replace(tzinfo=None), "us")
        starts = start + np.arange(count) * np.timedelta64(timedelta(minutes=15))
        columns = (
            Int4Array(np.full(count, asset[0])),
            TimestamptzArray(starts),
            IntervalArray(np.zeros(count, dtype="timedelta64[us]")),
            Int4Array(np.full(count, source[0])),
            Float8Array(values),
        )
        connection.execute(INSERT, columns)
        connection.commit()
        return Response(orjson.dumps({"status": "PROCESSED"}), mimetype="application/json")

    return app


def _row(connection: psycopg.Connection[Any], query: str, key: int) -> Any:
    return connection.execute(query, (key,)).fetchone()
