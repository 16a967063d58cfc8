"""The promised names: import paths, constructors, methods, hooks."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import shapeshifter_uftp
from shapeshifter_uftp import client, exceptions, service, transport, uftp
from shapeshifter_uftp.uftp import UsefRole

CLIENTS = {
    "ShapeshifterAgrCroClient": ["agr_portfolio_update", "agr_portfolio_query"],
    "ShapeshifterAgrDsoClient": [
        "d_prognosis", "flex_request_response", "flex_offer", "flex_offer_revocation", "flex_order_response",
        "flex_settlement_response", "flex_reservation_update_response", "metering",
    ],
    "ShapeshifterCroAgrClient": ["agr_portfolio_update_response", "agr_portfolio_query_response"],
    "ShapeshifterCroDsoClient": ["dso_portfolio_update_response", "dso_portfolio_query_response"],
    "ShapeshifterDsoAgrClient": [
        "d_prognosis_response", "flex_request", "flex_offer_response", "flex_order", "flex_reservation_update",
        "flex_settlement", "flex_offer_revocation_response", "metering_response",
    ],
    "ShapeshifterDsoCroClient": ["dso_portfolio_update", "dso_portfolio_query"],
}  # fmt: skip
ARGUMENTS = [
    "sender_domain",
    "signing_key",
    "recipient_domain",
    "recipient_endpoint",
    "recipient_signing_key",
]
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


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("prefix", ["", "Async"])
def test_clients_have_the_promised_arguments_and_methods(name, prefix):
    """Each client takes the five arguments in their order and has its send methods, in both forms."""
    cls = getattr(client, prefix + name)
    arguments = list(inspect.signature(cls).parameters)
    assert arguments[:7] == [*ARGUMENTS, "oauth_client", "version"]
    assert all(
        parameter.kind is parameter.KEYWORD_ONLY
        for parameter in list(inspect.signature(cls).parameters.values())[7:]
    )
    methods = {method for method in dir(cls) if method.startswith("send_")}
    tests = {"send_test_message", "send_test_message_response"}
    assert methods == {f"send_{message}" for message in CLIENTS[name]} | tests


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
