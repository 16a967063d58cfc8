"""Whatever is sent to an endpoint, it answers with what the OpenAPI document says, and never with an error of ours."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flexmeasures.connectors import mail

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    ignored_auth,
]
"""All but those that a message language cannot meet: what fits a schema may still name what is not there, and what
does not fit, such as a list under a key in the singular, is understood by promise."""

EXAMPLES = {
    "/api/v1/": 6,
    "/api/v1_1/": 2,
    "/api/v1_2/": 2,
    "/api/v1_3/": 4,
    "/api/v2_0/": 6,
    "/api/dev/": 6,
    "/api/ops/": 6,
    "/api/communities/": 4,
    "/api/energy-": 3,
    "/api/opendata/": 6,
}
"""How much is sent to each operation: versions that differ little get less."""


@pytest.fixture(autouse=True)
def post_office(monkeypatch):
    """Take all mails."""
    monkeypatch.setattr(mail, "send_mails", lambda config, messages: None)


def fuzz(operation, caller, mode, examples):
    """Send to an operation what fits its schema, or what does not."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case):
        answer = case.call(headers=caller.headers)
        case.validate_response(answer, checks=CHECKS, headers=caller.headers)
        assert "Traceback" not in answer.text

    try:
        send()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # there is nothing that could be wrong


def operations_under(app, prefix):
    """List the operations whose paths begin so."""
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    found = [result.ok() for result in schema.get_all_operations()]
    operations = [operation for operation in found if operation.path.startswith(prefix)]
    # A new password ends the session of who asks for it, so that comes last.
    return sorted(operations, key=lambda operation: operation.path.endswith("password-reset"))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "misfits"])
@pytest.mark.parametrize("prefix", EXAMPLES)
def test_endpoints_keep_their_word_to_a_user(app, owner, prefix, mode):
    """Whatever a user sends, the answer is one of those in the document."""
    operations = operations_under(app, prefix)
    assert operations
    for operation in operations:
        fuzz(operation, owner, mode, EXAMPLES[prefix])


@pytest.mark.parametrize("prefix", ["/api/v2_0/asset", "/api/v2_0/user", "/api/v2_0/charts", "/api/dev"])
def test_endpoints_keep_their_word_to_an_admin(app, admin, prefix):
    """Whatever an admin sends, the answer is one of those in the document."""
    for operation in operations_under(app, prefix):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            fuzz(operation, admin, mode, examples=7)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "misfits"])
def test_the_entrance_keeps_its_word(app, owner, mode):
    """Whatever is sent to the entrance, the answer is one of those in the document."""
    paths = ("/api/", "/api/requestAuthToken", "/api/restoreData")
    entrance = [operation for operation in operations_under(app, "/api/") if operation.path in paths]
    assert len(entrance) == len(paths)
    for operation in entrance:
        fuzz(operation, owner, mode, examples=10)
