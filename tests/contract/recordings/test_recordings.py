"""The answers of the API about a fixed scene are what they were when they were recorded.

To record them anew, after a change that is meant to change them: RECORD=1 pytest tests/contract/recordings
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tests.contract.recordings.scene import PASSWORD, make_scene, questions

from flexmeasures import cli
from flexmeasures.data.database import db

PROSE = ("message", "detail", "description")
"""What refusals say in sentences, which may be said better."""

RECORDED = Path(__file__).parent / "answers.json.gz"


@pytest.fixture
def scene(app):
    """The scene, on a server whose name does not change with the month."""
    app.config["FLEXMEASURES_HOSTS_AND_AUTH_START"] = {"localhost": "2021-01"}
    with app.app_context():
        made = make_scene(db.session)
        db.session.commit()
    return made


def ask_all(client, scene):
    """Ask every question, and give the answers by question."""
    tokens = {}
    for name, email in scene.callers.items():
        answer = client.post("/api/requestAuthToken", json={"email": email, "password": PASSWORD})
        tokens[name] = {"Authorization": answer.json["auth_token"]}
        client.get("/logout", buffered=True)
    answers = {}
    for caller, method, path, fields in questions(scene):
        given = {"query_string": fields} if method == "GET" else {"json": fields}
        answer = client.open(path, method=method, headers=tokens[caller], buffered=True, **given)
        body = answer.json if answer.is_json else None
        if answer.status_code >= 400 and isinstance(body, dict):
            body = {key: value for key, value in body.items() if key not in PROSE}
        question = f"{caller} {method} {path} {json.dumps(fields)}"
        assert question not in answers
        answers[question] = {"status": answer.status_code, "body": tidy(body)}
    return answers


def show_all(app, monkeypatch):
    """Show what the commands show, by command."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)
    shown = {}
    for words in (["show", "orders", "--json"], ["show", "schedule", "--asset", "3", "--json"]):
        done = CliRunner().invoke(cli.cli, words)
        shown[" ".join(words)] = {"status": done.exit_code, "body": tidy(json.loads(done.stdout or "null"))}
    return shown


def tidy(body: Any) -> Any:
    """Leave out what changes by itself: when somebody logged in, and the numbers that Bokeh gives its models."""
    if isinstance(body, dict) and body.get("type") == "ndarray" and isinstance(body.get("array"), dict):
        payload = base64.b64decode(body["array"]["data"])
        payload = gzip.decompress(payload) if payload.startswith(b"\x1f\x8b") else payload
        column = np.frombuffer(payload, dtype=body["dtype"])
        return [None if np.isnan(value) else round(float(value), 9) for value in column]
    if isinstance(body, dict) and "doc" in body:
        return {"lines": [tidy(data) for data in columns_of(body["doc"])]}
    if isinstance(body, dict):
        if "flexmeasures_version" in body:  # of a checkout, it names the commit as well
            body = body | {"flexmeasures_version": body["flexmeasures_version"].partition("+")[0]}
        return {key: tidy(value) for key, value in body.items() if key not in ("last_login_at", "versions")}
    if isinstance(body, list):
        return [tidy(value) for value in body]
    return round(body, 9) if isinstance(body, float) else body


def columns_of(item: Any) -> list[Any]:
    """Find the data of all lines of a chart."""
    if isinstance(item, dict):
        own = [item["attributes"]["data"]["entries"]] if item.get("name") == "ColumnDataSource" else []
        return own + [data for value in item.values() for data in columns_of(value)]
    if isinstance(item, list):
        return [data for value in item for data in columns_of(value)]
    return []


def test_answers_are_as_recorded(app, client, scene, monkeypatch):
    """Every question about the scene is answered as it was when the answers were recorded."""
    answers = ask_all(client, scene) | show_all(app, monkeypatch)
    if os.environ.get("RECORD"):
        text = json.dumps(answers, ensure_ascii=False, separators=(",", ":"))
        RECORDED.write_bytes(gzip.compress(text.encode(), mtime=0))
    recorded = json.loads(gzip.decompress(RECORDED.read_bytes()))
    assert list(answers) == list(recorded)
    differing = [question for question in recorded if answers[question] != recorded[question]]
    assert not differing, [(q, answers[q], recorded[q]) for q in differing[:3]]
    served = [answer for answer in recorded.values() if answer["status"] == 200]
    assert len(served) > len(recorded) / 3
