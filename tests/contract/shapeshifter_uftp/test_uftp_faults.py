"""Faults of the application: nothing that was acknowledged is lost, and nobody else waits."""

import json
import time

import httpx
import pytest
from click.testing import CliRunner
from tests.contract.shapeshifter_uftp.test_uftp_trading_flow import until

from shapeshifter_uftp import uftp
from shapeshifter_uftp.backoff import HandlingPolicy
from shapeshifter_uftp.cli import main
from shapeshifter_uftp.exceptions import JournalInUse
from shapeshifter_uftp.exchange import complete
from shapeshifter_uftp.sealing import envelope_to_xml, seal_xml
from shapeshifter_uftp.service import ShapeshifterAgrService
from shapeshifter_uftp.store import Direction, State
from shapeshifter_uftp.writing import message_to_xml

pytestmark = pytest.mark.faults

BRIEFLY = HandlingPolicy(first_pause=0.02, longest_pause=0.05, jitter=0.0, give_up_after=0.3)


class Troubled(ShapeshifterAgrService):
    """An aggregator whose hook fails for some revisions, as long as its database is away."""

    def __init__(self, *args, failing=(), **kwargs):
        self.failing, self.calls, self.given_up = set(failing), [], []
        super().__init__(*args, **kwargs)

    def process_flex_request(self, message):
        """Fail, or take note."""
        self.calls.append(message.revision)
        if message.revision in self.failing:
            raise ConnectionError("the database is away: password=secret")

    def process_handling_failure(self, entry, error):
        """Take note of what is given up."""
        self.given_up.append((entry.message_id, error))


def stored(agr, sent):
    """Give the entry of a received message."""
    return agr.journal.find(Direction.IN, sent.message_id, "dso.example.com")


def test_a_fault_of_hours_loses_nothing():
    """With the default policy a message is tried for twelve hours: 0.5 s, 1 s, ... 256 s, and then every 5 minutes."""
    policy = HandlingPolicy()
    pauses = [policy.pause(n, 0.5) for n in range(1, 400)]
    attempts = next(n for n in range(1, 400) if policy.is_last(n))
    # 0.5 + 1 + ... + 256 = 511.5 s in ten attempts; then (43,200 - 511.5) / 300 = 142.3 pauses of 5 minutes fit.
    assert (pauses[:3], max(pauses), attempts) == ([0.5, 1.0, 2.0], 300.0, 10 + 142 + 1)


def test_a_message_outlasts_the_fault_of_its_hook(market, dso, flex_request):
    """A message whose hook fails is handled when the fault is over, and its partner gets the response."""
    policy = HandlingPolicy(first_pause=0.01, longest_pause=0.05)
    agr = market.start(Troubled, "agr.example.com", failing={1}, handling=policy)
    dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: len(agr.calls) > 8)  # more often than the six attempts after which it used to be lost
    agr.failing.clear()
    assert dso.wait_for(uftp.FlexRequestResponse)[0].result == "Accepted"
    assert agr.given_up == []


def test_other_messages_of_the_partner_do_not_wait(market, dso, flex_request):
    """While one message is retried, the later ones of the same partner are handled; its own conversation waits."""
    agr = market.start(
        Troubled, "agr.example.com", failing={1}, handling=HandlingPolicy(first_pause=1.5, jitter=0)
    )
    first = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: agr.calls)
    agr.failing.clear()
    dso.send(
        flex_request(recipient_domain="agr.example.com", revision=2, conversation_id=first.conversation_id)
    )
    for revision in range(3, 8):
        dso.send(flex_request(recipient_domain="agr.example.com", revision=revision))
    until(lambda: len(agr.calls) == 8)
    assert agr.calls == [1, 3, 4, 5, 6, 7, 1, 2]


def test_what_fails_finally_is_rejected_and_reported(market, dso, flex_request):
    """A request that is given up is rejected without a word about the fault, and the application is told once."""
    agr = market.start(Troubled, "agr.example.com", failing={1}, handling=BRIEFLY)
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    response = dso.wait_for(uftp.FlexRequestResponse)[0]
    assert response.result == "Rejected"
    assert "secret" not in response.rejection_reason
    assert "ConnectionError" not in response.rejection_reason
    assert [(id_, str(e)[:8]) for id_, e in agr.given_up] == [(sent.message_id, "the data")]
    assert (stored(agr, sent).state, stored(agr, sent).outcome) == (State.FAILED, "Rejected")


def test_operators_see_and_take_up_what_failed(market, dso, flex_request):
    """`status` lists what could not be handled, `try-again` takes up what was not rejected."""
    agr = market.start(Troubled, "agr.example.com", failing={1}, handling=BRIEFLY)
    journal = str(market.folder / "agr.example.com.sqlite3")
    where = ["--domain", "agr.example.com", "--role", "AGR", "--journal", journal]

    def fail(message):
        raise ConnectionError("away")

    agr.process_d_prognosis_response = fail
    request = dso.send(flex_request(recipient_domain="agr.example.com"))
    dso.wait_for(uftp.FlexRequestResponse)
    prognosis = agr.send(
        uftp.DPrognosis(
            recipient_domain="dso.example.com", isp_duration="PT15M", period=request.period,
            congestion_point=request.congestion_point, revision=1,
            isps=[uftp.DPrognosisISP(power=1, start=1, duration=92)],
        )
    )  # fmt: skip
    until(lambda: len(agr.given_up) == 2)
    shown = json.loads(CliRunner().invoke(main, ["status", *where, "--json"]).output)
    assert [(each["message"], each["state"]) for each in shown["unhandled"]] == [
        ("D-PrognosisResponse", "failed"), ("FlexRequest", "failed"),
    ]  # fmt: skip
    heard = []
    agr.process_d_prognosis_response = heard.append
    taken = CliRunner().invoke(main, ["try-again", *where])
    assert (taken.exit_code, taken.output) == (0, "1 received and 0 sent messages are taken up again.\n")
    until(lambda: heard)
    assert heard[0].d_prognosis_message_id == prognosis.message_id
    assert stored(agr, request).state is State.FAILED  # its rejection is sent: the partner sends a new one
    again = CliRunner().invoke(main, ["try-again", *where, "--message-id", request.message_id])
    assert (again.exit_code, "No message" in again.output) == (1, True)


@pytest.mark.parametrize("returned", [True, None, [], ()])
def test_a_hook_that_returns_no_message_accepts(returned, market, dso, flex_request):
    """`True` says as much as nothing: the request is accepted, once."""
    agr = market.start(Troubled, "agr.example.com")
    agr.process_flex_request = lambda message: agr.calls.append(message) or returned
    dso.send(flex_request(recipient_domain="agr.example.com"))
    assert dso.wait_for(uftp.FlexRequestResponse)[0].result == "Accepted"
    assert len(agr.calls) == 1


@pytest.mark.parametrize("returned", [False, "no", 0, [True], {"result": "Rejected"}])
def test_a_hook_that_returns_something_else_never_accepts(returned, market, dso, flex_request):
    """What is neither yes nor a message is a fault of the hook: the request waits for a better one."""
    agr = market.start(Troubled, "agr.example.com", handling=BRIEFLY)
    agr.process_flex_request = lambda message: returned
    dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: agr.given_up)
    assert "return nothing, a message, a list of messages" in str(agr.given_up[0][1])
    assert dso.wait_for(uftp.FlexRequestResponse)[0].result == "Rejected"


def test_two_services_do_not_share_a_journal(market, dso, flex_request):
    """A second service on a journal in use says so and does nothing; every message is handled once."""
    agr = market.start(Troubled, "agr.example.com")
    other = Troubled(
        "agr.example.com", market.key("agr.example.com").private_key, host="127.0.0.1", port=0,
        address_book=market.book, journal=market.folder / "agr.example.com.sqlite3",
    )  # fmt: skip
    with pytest.raises(
        JournalInUse, match=r"agr\.example\.com AGR in .*agr\.example\.com\.sqlite3 is in use"
    ):
        other.run_in_thread()
    with pytest.raises(JournalInUse):
        other.start_workers()
    for revision in range(30):
        dso.send(flex_request(recipient_domain="agr.example.com", revision=revision))
    dso.wait_for(uftp.FlexRequestResponse, 30)
    assert (sorted(agr.calls), other.calls) == (list(range(30)), [])
    agr.close()
    other.start_workers()  # free again
    other.close()


def test_a_port_that_is_taken_leaves_the_journal_free(market):
    """A service that cannot listen does not keep its journal from the next one."""
    agr = market.start(Troubled, "agr.example.com")
    other = Troubled(
        "other.example.com", market.key("agr.example.com").private_key, host="127.0.0.1", port=agr.port,
        address_book=market.book, journal=market.folder / "other.sqlite3",
    )  # fmt: skip
    with pytest.raises(OSError, match="in use"):
        other.run_in_thread()
    other.start_workers()
    other.close()


def test_a_journal_that_is_away_is_503_and_comes_back(market, dso, flex_request):
    """While the database is away senders get 503 and try again; then everything goes on by itself."""
    agr = market.start(Troubled, "agr.example.com")
    database = agr.journal._database
    add, faults = database.add, [True]

    def failing_add(statement, values):
        if faults[0]:
            raise database.faults[0]("disk I/O error: /secret/place")
        return add(statement, values)

    database.add = failing_add
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: dso.journal.find(Direction.OUT, sent.message_id, "agr.example.com").attempts)
    entry = dso.journal.find(Direction.OUT, sent.message_id, "agr.example.com")
    assert (entry.last_status, "secret" in entry.reason) == (503, False)
    faults[0] = False
    started = time.monotonic()
    assert dso.wait_for(uftp.FlexRequestResponse)
    assert time.monotonic() - started < 9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            (b'MinPower="-3000"', b'MinPower="-1' + b"0" * 4000 + b'"'),
            "Power value rejection: MinPower exceeds 10^15",
        ),
        ((b'Start="33"', b'Start="1' + b"0" * 4000 + b'"'), "ISPs out of bounds"),
        # ISPs 33 to 36 end at 9:00, and 24:00 is the midnight after.
        ((b"T00:00:00Z", b"T24:00:00Z"), "ExpirationDateTime out of bounds: "),
    ],
    ids=["power", "start", "end of day"],
)
def test_a_value_at_the_edge_is_answered_at_once(change, reason, market, dso, flex_request):
    """What a partner has signed is answered in words after one attempt, however large its numbers are."""
    agr = market.start(Troubled, "agr.example.com")
    message = complete(flex_request(), "dso.example.com", "agr.example.com")
    dso.journal.add_sent(dso.desk.outgoing(message))
    xml = message_to_xml(message).replace(*change)
    assert change[1] in xml
    key = market.key("dso.example.com").private_key
    body = envelope_to_xml(
        uftp.SignedMessage(sender_domain="dso.example.com", sender_role="DSO", body=seal_xml(xml, key))
    )
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    assert httpx.post(url, content=body, headers={"Content-Type": "text/xml"}).status_code == 200
    response = dso.wait_for(uftp.FlexRequestResponse)[0]
    assert str(response.rejection_reason).startswith(reason)
    assert stored(agr, message).attempts == 0
