"""Credentials of coordination: secrets, tokens, scopes."""

from datetime import UTC, datetime, timedelta

import pytest

from flexmeasures.data.database import db
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.services.coordination.clients import (
    BL_SCOPES,
    VEN_SCOPES,
    BadCredentials,
    BadToken,
    NewClient,
    authenticate,
    create_client,
    issue_token,
    read_token,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "a key for tests"


@pytest.fixture
def session(app):
    """A database session."""
    with app.app_context():
        yield db.session


def test_a_secret_is_shown_once_and_opens_the_client(session):
    """The secret that is made is long, is not stored, and authenticates its client alone."""
    secret = create_client(session, NewClient(client_id="shop"))
    client = authenticate(session, "shop", secret, {})
    assert len(secret) >= 32
    assert secret not in client.secret_hash
    for wrong in (("shop", secret + "x"), ("another", secret), ("shop", ""), ("shop", "x" * 10_000)):
        with pytest.raises(BadCredentials):
            authenticate(session, *wrong, {})


def test_tokens_carry_client_scopes_and_environment(session):
    """A token says whose it is; without a wish it has all scopes of the client, unknown ones are ignored."""
    create_client(session, NewClient(client_id="bl", secret="s", role="bl", environment="production"))
    client = authenticate(session, "bl", "s", {})
    token = issue_token(client, (), key=KEY, now=NOW)
    caller = read_token(session, token.text, key=KEY, now=NOW)
    assert (caller.client_id, caller.environment, caller.is_business_logic) == ("bl", "production", True)
    assert caller.scopes == set(BL_SCOPES)
    few = issue_token(client, ("read_all", "write_users"), key=KEY, now=NOW)
    assert few.scopes == ("read_all",)


def test_a_ven_may_not_get_scopes_of_the_business_logic(session):
    """A VEN that asks for write_events gets a token without it."""
    create_client(session, NewClient(client_id="ven", secret="s"))
    client = authenticate(session, "ven", "s", {})
    assert issue_token(client, (), key=KEY, now=NOW).scopes == VEN_SCOPES
    assert issue_token(client, ("write_events", "write_vens"), key=KEY, now=NOW).scopes == ("write_vens",)


@pytest.mark.parametrize("spoil", ["expired", "foreign", "changed", "closed", "nonsense"])
def test_bad_tokens_are_refused(session, spoil):
    """Expired, foreign and changed tokens, and those of closed clients, are refused."""
    create_client(session, NewClient(client_id="ven", secret="s"))
    client = authenticate(session, "ven", "s", {})
    text = issue_token(client, (), key="other" if spoil == "foreign" else KEY, now=NOW).text
    if spoil == "changed":
        text = text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")
    if spoil == "nonsense":
        text = "no.token.at-all"
    if spoil == "closed":
        client.active = False
        session.flush()
    with pytest.raises(BadToken):
        read_token(session, text, key=KEY, now=NOW + timedelta(hours=1 if spoil == "expired" else 0))


def test_preset_clients_come_from_the_settings(session):
    """A client of the settings is stored when it first comes, with its role; a wrong secret opens nothing."""
    presets = {"bl_client": {"secret": "1001", "role": "bl"}}
    with pytest.raises(BadCredentials):
        authenticate(session, "bl_client", "999", presets)
    assert authenticate(session, "bl_client", "1001", presets).role == "bl"


@pytest.mark.parametrize(
    "new",
    [
        NewClient(client_id="x", role="admin"),
        NewClient(client_id="x", environment="staging"),
        NewClient(client_id=""),
        NewClient(client_id="a:b"),
        NewClient(client_id="x", scopes=("write_events",)),
    ],
)
def test_impossible_clients_are_refused(session, new):
    """Roles, environments, ids and scopes that do not exist are refused."""
    with pytest.raises(InvalidInput):
        create_client(session, new)


def test_a_client_id_is_taken_once(session):
    """A second client of the same id is a conflict."""
    create_client(session, NewClient(client_id="x"))
    with pytest.raises(Conflict):
        create_client(session, NewClient(client_id="x"))
