"""The OpenAPI document covers what is registered, and says what is true."""

import re

import pytest

from flexmeasures.api.openapi.operation import find_operation
from flexmeasures.api.usef import messages
from flexmeasures.api.usef.statuses import STATUSES
from flexmeasures.api.usef.versions import SERVICES, VERSIONS

MESSAGES = [
    kind for kind in vars(messages).values() if isinstance(kind, type) and hasattr(kind, "expected_type")
]


@pytest.fixture(scope="module")
def document(shared_app):
    """The document, as anybody gets it."""
    answer = shared_app.test_client().get("/api/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return answer.json


@pytest.fixture(scope="module")
def operations(document):
    """All operations by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_openapi_3_1(document):
    """The document names its version, and no operation twice."""
    assert document["openapi"] == "3.1.0"
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


def test_references_lead_somewhere(client, document):
    """Each reference in the document is to one of its own schemas."""
    references = re.findall(r'"\$ref":"#/components/schemas/(\w+)"', client.get("/api/openapi.json").text)
    assert references
    assert set(references) <= document["components"]["schemas"].keys()


def test_each_endpoint_is_in_it(shared_app, operations):
    """Whatever is registered under /api is in the document, and says itself what it takes and answers."""
    for rule in shared_app.url_map.iter_rules():
        if not rule.rule.startswith("/api/"):
            continue
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            assert (method, path) in operations
        assert "make_operation" in vars(shared_app.view_functions[rule.endpoint]), rule.rule


@pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda version: version.prefix)
def test_each_service_has_its_message(operations, version):
    """Each service of each version takes a message of its type, and answers with one of its type."""
    for service in SERVICES:
        if version.prefix not in service.versions:
            continue
        for method in service.methods:
            operation = operations[method, f"/api/{version.prefix}/{service.name}"]
            answered = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert answered["properties"]["type"] == {"const": service.response_type}
            if service.name in ("getService", "getConnection"):
                continue
            kind = {"const": f"{service.response_type.removesuffix('Response')}Request"}
            if method == "POST":
                body = operation["requestBody"]["content"]["application/json"]["schema"]
                assert body["properties"]["type"] == kind
            else:
                assert kind in [p["schema"] for p in operation["parameters"] if p["name"] == "type"]


def test_the_statuses_are_those_of_the_catalogue(operations):
    """Each status that the document names exists, with the HTTP code under which it is named."""
    named = set()
    for operation in operations.values():
        for code, answer in operation["responses"].items():
            for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", answer["description"]):
                assert STATUSES[name].http == int(code), name
                named.add(name)
    # These are given for what is not an operation of the document, or to any of them.
    unnamed = {"PROCESSED", "INVALID_METHOD", "REQUEST_ENTITY_TOO_LARGE"}
    unnamed |= {"TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE"}
    assert STATUSES.keys() - named == unnamed


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_required_fields_are_fields(kind):
    """What a message names as required is one of its fields."""
    assert set(kind.required) <= kind.model_fields.keys()


def test_horizons_are_written_as_the_version_reads_them(operations):
    """Below 2.0 a prognosis needs a horizon and no post takes a prior; in 2.0 both are optional."""
    schema = {
        version: operations["POST", f"/api/{version}/postPrognosis"]["requestBody"]["content"][
            "application/json"
        ]["schema"]
        for version in ("v1_3", "v2_0")
    }
    assert "horizon" in schema["v1_3"]["required"]
    assert "prior" not in schema["v1_3"]["properties"]
    assert "horizon" not in schema["v2_0"]["required"]
    assert "prior" in schema["v2_0"]["properties"]


def test_forms_are_described_by_their_models(operations):
    """Constraints and other names of fields are those that the forms check."""
    body = operations["POST", "/api/v2_0/assets"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["latitude"]["maximum"] == 90
    assert body["additionalProperties"] is False
    assert {"anyOf": [{"required": ["market_id"]}, {"required": ["market"]}]} in body["allOf"]
    assert "name" in body["required"]


def test_who_may_ask_is_said(app, operations, document):
    """The token's header is the configured one, and public endpoints say that they are."""
    header = app.config["SECURITY_TOKEN_AUTHENTICATION_HEADER"]
    assert document["components"]["securitySchemes"]["token"]["name"] == header
    public = {key for key, operation in operations.items() if operation.get("security") == []}
    listings = {("GET", f"/api/{version}/getService") for version in VERSIONS}
    assert public == listings | {
        ("GET", "/api/"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/ops/ping"),
        ("GET", "/api/ops/ready"),
        ("GET", "/api/opendata/landing/{community_id}"),
        ("GET", "/api/opendata/network"),
        ("POST", "/api/requestAuthToken"),
    }


def test_an_endpoint_that_says_nothing_is_listed_all_the_same():
    """A view without a description appears with what its docstring says."""
    assert find_operation(lambda: None).answers.keys() == {200}


def test_the_page_is_drawn_from_our_own_files(client):
    """The page of the API loads nothing from elsewhere, and all that it loads is there."""
    page = client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    assert all(link.startswith(("/", "#")) for link in links)
    kinds = {
        link: client.get(link, buffered=True).mimetype
        for link in links
        if link.startswith("/ui") or "openapi" in link
    }
    assert kinds["/api/openapi.json"] == "application/json"
    assert kinds["/ui/static/swagger/swagger-ui-bundle.js"] == "text/javascript"
    assert kinds["/ui/static/swagger/swagger-ui.css"] == "text/css"


@pytest.mark.parametrize("name", ["index.html", "..%2f__init__.py", "swagger-ui.js"])
def test_only_its_files_are_served(client, name):
    """The folder of the page's files gives away nothing else."""
    assert client.get(f"/ui/static/swagger/{name}").status_code == 404
