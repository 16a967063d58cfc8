"""The promised names: import paths, constructors, methods, hooks."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import typing
from collections.abc import Awaitable
from pathlib import Path

import pytest

import shapeshifter_uftp
from shapeshifter_uftp import client, exceptions, service, transport, uftp
from shapeshifter_uftp.uftp import UsefRole

PROMISED = json.loads((Path(__file__).parent / "promised_clients.json").read_text())
"""The clients of the published reference: arguments as name, type and default, and method to message type."""
SERVICE_ARGUMENTS = [
    "sender_domain", "signing_key", "key_lookup_function", "endpoint_lookup_function", "oauth_lookup_function", "host",
    "port", "path", "version",
]  # fmt: skip
EXCEPTIONS = {
    "TransportException": [
        "MissingContentLengthException", "InvalidContentTypeException", "TooManyRequestsException", "SchemaException",
        "AuthenticationTimeoutException", "InvalidSignatureException",
    ],
    "FunctionalException": [
        "InvalidMessageException", "InvalidSenderException", "UnknownRecipientException", "BarredSenderException",
        "DuplicateIdentifierException", "AlreadySubmittedException", "ISPDurationRejectedException",
        "TimeZoneRejectedException", "InvalidCongestionPointException", "UnknownReferenceException",
        "ReferencePeriodMismatchException", "ReferenceMessageExpiredException", "ReferenceMessageRevokedException",
        "ISPsOutOfBoundsException", "ISPConflictException", "PeriodOutOfBoundsException",
        "ExpirationDateTimeOutOfBoundsException", "UnauthorizedException", "ConnectionConflictException",
        "SubordinateSequenceNumberException",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", PROMISED)
@pytest.mark.parametrize("prefix", ["", "Async"])
def test_clients_have_the_promised_arguments(name, prefix):
    """Each client takes the promised arguments by position, in their order and with their defaults."""
    parameters = list(inspect.signature(getattr(client, prefix + name)).parameters.values())
    promised = PROMISED[name]["arguments"]
    for parameter, (argument, type_name, *default) in zip(parameters, promised, strict=False):
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert (parameter.name, parameter.annotation) == (argument, type_name)
        assert parameter.default is (None if default else parameter.empty)
    newer = parameters[len(promised) :]
    assert [parameter.name for parameter in newer[:2]] == ["oauth_client", "version"]
    assert all(parameter.default is not parameter.empty for parameter in newer)
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in newer[2:])


@pytest.mark.parametrize("name", PROMISED)
@pytest.mark.parametrize("prefix", ["", "Async"])
def test_clients_have_the_promised_methods_and_no_others(name, prefix):
    """Each method takes the promised message and gives a PayloadMessageResponse, which asyncio awaits."""
    cls = getattr(client, prefix + name)
    tests = {"send_test_message": "TestMessage", "send_test_message_response": "TestMessageResponse"}
    promised = PROMISED[name]["methods"] | tests
    assert {method for method in dir(cls) if method.startswith("send_")} == set(promised)
    for method, message_type in promised.items():
        function = getattr(cls, method)
        assert list(inspect.signature(function).parameters) == ["self", "message"]
        hints = typing.get_type_hints(function)
        assert hints["message"] is getattr(uftp, message_type)
        assert isinstance(hints["return"], typing.TypeVar)
    (conversation,) = (base for base in cls.__orig_bases__ if typing.get_args(base))
    (returned,) = typing.get_args(conversation)
    response = uftp.PayloadMessageResponse
    assert returned == (Awaitable[response] if prefix else response)


@pytest.mark.parametrize("cls", list(uftp.routing_map))
def test_every_message_has_a_client_method_and_a_service_hook(cls):
    """Whoever may send a message has a method for it, whoever may get it a hook."""
    sender, recipient = uftp.routing_map[cls]
    name = uftp.snake_name(cls)
    if sender is None:
        assert all(hasattr(each, f"send_{name}") for each in client.CLIENTS.values())
    else:
        method = getattr(client.CLIENTS[sender, recipient], f"send_{name}")
        assert f"uftp.{cls.__name__}" in str(inspect.signature(method).parameters["message"].annotation)
    roles = [recipient] if recipient else list(UsefRole)
    for role in roles:
        service_class = getattr(service, f"Shapeshifter{role.title()}Service")
        assert hasattr(service_class, f"process_{name}")


@pytest.mark.parametrize("role", ["Agr", "Cro", "Dso"])
def test_services_have_the_promised_arguments(role):
    """Each service takes the nine arguments in their order, with their defaults."""
    signature = inspect.signature(getattr(service, f"Shapeshifter{role}Service"))
    assert list(signature.parameters)[:9] == SERVICE_ARGUMENTS
    assert signature.parameters["path"].default == "/shapeshifter/api/v3/message"
    assert (signature.parameters["host"].default, signature.parameters["port"].default) == ("0.0.0.0", 8080)
    for name in (
        "run",
        "run_in_thread",
        "stop",
        "__enter__",
        "app",
        "agr_client",
        "dso_client",
        "cro_client",
    ):
        assert hasattr(getattr(service, f"Shapeshifter{role}Service"), name)


@pytest.mark.parametrize("base", EXCEPTIONS)
def test_the_errors_have_their_names(base):
    """Every named error stands under its base."""
    for name in EXCEPTIONS[base]:
        assert issubclass(getattr(exceptions, name), getattr(exceptions, base))
    assert exceptions.TransportException(http_status=419).http_status_code == 419
    assert exceptions.FunctionalException("no").rejection_reason == "no"
    conflict = exceptions.ConnectionConflictException("ean.1", "ean.2")
    assert conflict.reason == "Connection conflict: ean.1 at ean.2"
    assert (
        exceptions.UnknownReferenceException("FlexOfferMessageID").reason
        == "Unknown reference FlexOfferMessageID"
    )


@pytest.mark.parametrize(
    ("error", "temporary"),
    [(None, True), (400, False), (401, False), (404, True), (411, False), (413, False), (419, True), (429, True),
     (500, True), (502, True), (524, True), (303, False)],
)  # fmt: skip
def test_statuses_are_temporary_or_final(error, temporary):
    """4xx are final but for 404, 408, 419, 425 and 429; no answer, 5xx and unknown ones are retried."""
    assert exceptions.TransportError("x", http_status=error).temporary is temporary


def test_the_functions_of_transport_are_there():
    """Sealing, XML, JSON and look-ups have their names."""
    for name in ("seal_message", "unseal_message", "to_xml", "from_xml", "to_json", "from_json", "get_keys", "get_key",
                 "get_endpoint", "get_version"):  # fmt: skip
        assert callable(getattr(transport, name))
    assert uftp.DEFAULT_TIME_ZONE == "Europe/Amsterdam"
    assert uftp.routing_map[uftp.FlexOffer] == (UsefRole.AGR, UsefRole.DSO)
    assert uftp.origin_map[uftp.FlexOffer] is UsefRole.AGR
    assert uftp.destination_map[uftp.FlexOffer] is UsefRole.DSO


def test_drafts_can_be_written_as_xml(make_message):
    """A message without metadata can be shown as XML; strictly it cannot."""
    draft = uftp.FlexOfferRevocation(flex_offer_message_id="00000000-0000-4000-8000-000000000001")
    assert 'FlexOfferMessageID="00000000' in transport.to_xml(draft)
    with pytest.raises(exceptions.InvalidValue):
        transport.to_xml(draft, strict=True)
    message = make_message(uftp.FlexOffer)
    assert transport.from_xml(transport.to_xml(message)) == message


@pytest.mark.parametrize("name", shapeshifter_uftp.__all__)
def test_every_public_name_can_be_imported(name):
    """What ``__all__`` promises is there."""
    assert getattr(shapeshifter_uftp, name) is not None


def test_unknown_names_are_attribute_errors():
    """The lazy look-up of names does not hide misspelt ones."""
    with pytest.raises(AttributeError, match="FlexOfer"):
        shapeshifter_uftp.FlexOfer  # noqa: B018


@pytest.mark.parametrize(
    "module",
    [
        m.name
        for m in pkgutil.walk_packages(shapeshifter_uftp.__path__, "shapeshifter_uftp.")
        if "__main__" not in m.name
    ],
)
def test_every_module_says_what_it_exports(module):
    """Every module has a docstring and an ``__all__`` of names that exist."""
    loaded = importlib.import_module(module)
    assert loaded.__doc__
    assert all(hasattr(loaded, name) for name in loaded.__all__)


def test_importing_loads_neither_http_nor_sql_nor_the_platform():
    """The package starts without HTTP client, database, DNS and command line."""
    code = (
        "import sys, shapeshifter_uftp; "
        "print([m for m in ('httpx', 'sqlalchemy', 'dns', 'click', 'rich', 'flexmeasures') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
