"""Each example in the OpenAPI document is sent as it stands, and answered as the document says."""

import json
import re
from datetime import timedelta

import jsonschema_rs
import pytest

from flexmeasures.api.usef.versions import VERSIONS
from flexmeasures.data.database import db
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.services.weather import find_or_make_weather_sensor

ORDER = ["post", "patch", "get"]
"""What is sent can then be read."""


@pytest.fixture
def document(client):
    """The document."""
    return client.get("/api/openapi.json").json


def validator(document, operation, code):
    """Make what checks the bodies of an operation's answers."""
    (content,) = operation["responses"][str(code)]["content"].values()
    schema = {**content["schema"], "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def examples(document, prefix):
    """List method, path, operation, and what to send, of all examples under a path."""
    found = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith(prefix)
    ]
    for method, path, operation in sorted(
        found, key=lambda one: ORDER.index(one[0]) if one[0] in ORDER else 9
    ):
        parameters = operation.get("parameters", ())
        query = {p["name"]: p["example"] for p in parameters if "example" in p}
        content = operation.get("requestBody", {"content": {}})["content"].get("application/json", {})
        bodies = content.get("examples", {})
        for name, example in bodies.items():
            yield method, path, operation, {"json": example["value"]}, name
        if query:
            yield method, path, operation, {"query_string": query}, "query"


def adapt(sent, cast):
    """Put the cast's ids into an example: it numbers the owner's assets from 1 on, in the order of the cast."""
    ids = list(cast.assets.values())

    def with_ids(match):
        return f"company:{cast.owner_id}:{ids[int(match[1]) - 1]}"

    adapted = json.loads(re.sub(r"company:1:(\d+)", with_ids, json.dumps(sent)))
    if "market" in adapted.get("json", {}) and "owner" in adapted["json"]:
        adapted["json"] |= {"market": cast.market, "owner": cast.owner_id}
    return adapted


def send(document, caller, example, cast):
    """Send an example, and hold its answer against the document."""
    method, path, operation, sent, name = example
    path, sent = path.format(asset_id=cast.assets["battery"], user_id=cast.owner_id), adapt(sent, cast)
    answer = caller.client.open(path, method=method.upper(), headers=caller.headers, buffered=True, **sent)
    assert answer.status_code in (200, 201), (path, name, answer.text)
    if answer.is_json:
        validator(document, operation, answer.status_code).validate(answer.json)
    return answer


@pytest.mark.parametrize("prefix", VERSIONS)
def test_the_messages_of_a_version(app, document, owner, cast, work, prefix):
    """The owner sends all examples of messages; then a worker plans, and the owner asks."""
    with app.app_context():
        place = WeatherSensorAddress("temperature", 33.4843866, 126.477859)
        find_or_make_weather_sensor(db.session, place, make_with=(timedelta(minutes=15), "°C"))
        db.session.commit()
    sent = []
    for example in examples(document, f"/api/{prefix}/"):
        method, path, *_ = example
        if "asset" in path or "user" in path or "charts" in path:
            continue
        if method == "get":
            work()
        answer = send(document, owner, example, cast)
        sent.append((method, path.rsplit("/", 1)[1]))
        if method == "get":
            assert answer.json["values"], path
    expected = {"v1": 7, "v1_1": 11, "v1_2": 13, "v1_3": 14, "v2_0": 14}
    assert len(sent) == expected[prefix], sent


def test_the_rest(document, admin, cast):
    """An admin sends the examples about assets, users and charts."""
    paths = {"/api/v2_0/asset", "/api/v2_0/user", "/api/v2_0/charts"}
    sent = [example for prefix in sorted(paths) for example in examples(document, prefix)]
    for example in sent:
        send(document, admin, example, cast)
    assert [method for method, *_ in sent] == ["post", "patch", "get", "patch"]


def test_the_token(document, client, cast):
    """Whoever puts their own address and password into the example gets a token."""
    ((method, path, operation, sent, _),) = examples(document, "/api/requestAuthToken")
    assert sent["json"].keys() == {"email", "password"}
    answer = client.open(path, method=method, json={"email": cast.owner_email, "password": cast.password})
    validator(document, operation, 200).validate(answer.json)
    wrong = client.open(path, method=method, json=sent["json"])
    assert wrong.status_code == 404
    validator(document, operation, 404).validate(wrong.json)


@pytest.mark.parametrize("prefix", VERSIONS)
def test_what_is_required_is_required(document, owner, cast, prefix):
    """An example without one of the fields that the document requires is refused as the document says."""
    for method, path, operation, sent, _ in examples(document, f"/api/{prefix}/"):
        if method != "post" or "assets" in path:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        for name in schema["required"]:
            message = {key: value for key, value in adapt(sent, cast)["json"].items() if key != name}
            answer = owner.post(path.rsplit("/", 1)[1], message, prefix)
            assert answer.status_code == 400, (path, name)
            validator(document, operation, 400).validate(answer.json)
