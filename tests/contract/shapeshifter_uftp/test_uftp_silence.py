"""Partners who do not answer, and partners who refuse everything."""

import dataclasses
import json
import time

import pytest
from click.testing import CliRunner
from tests.contract.shapeshifter_uftp.test_uftp_trading_flow import Flaky, outcome_of, until

from shapeshifter_uftp import uftp
from shapeshifter_uftp.addresses import Participant
from shapeshifter_uftp.cli import main
from shapeshifter_uftp.exceptions import ClientTransportException, InvalidValue
from shapeshifter_uftp.outbox import RetryPolicy
from shapeshifter_uftp.sealing import envelope_to_xml
from shapeshifter_uftp.service import ANSWER_LATER, ShapeshifterAgrService, ShapeshifterDsoService
from shapeshifter_uftp.store import Direction, State
from shapeshifter_uftp.uftp import UsefRole

SOON = RetryPolicy(first_pause=0.01, longest_pause=0.05, answer_within=0.4, faulty_after=3)
REFUSED = (400, {}, b"no")
AGR = ("agr.example.com", UsefRole.AGR)


class Watching(ShapeshifterDsoService):
    """Keeps what it is told about silence and faults."""

    def __init__(self, *args, **kwargs):
        self.missing, self.faults = [], []
        super().__init__(*args, **kwargs)

    def process_missing_answer(self, entry):
        """Keep the id of the request."""
        self.missing.append(entry.message_id)

    def process_faulty_partner(self, fault):
        """Keep the fault."""
        self.faults.append(fault)


class Silent(ShapeshifterAgrService):
    """Takes requests and never says anything about them."""

    def process_flex_request(self, message):
        """Put it off, for ever."""
        return ANSWER_LATER


def state_of(service, message):
    """The state of a message that a service has sent."""
    return service.journal.find(Direction.OUT, message.message_id, "agr.example.com").state


def test_an_answer_that_never_comes_is_reported_once(market, flex_request):
    """A request that was delivered and is not answered in time expires, and the application is told, once."""
    market.start(Silent, "agr.example.com")
    dso = market.start(Watching, "dso.example.com", retry=SOON)
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: dso.missing)
    assert dso.missing == [sent.message_id]
    assert state_of(dso, sent) is State.EXPIRED
    assert dso.reply_watch.check() == []


def test_an_answer_in_time_is_not_missed(market, agr, flex_request):
    """What is answered is not reported, however long ago that was."""
    dso = market.start(Watching, "dso.example.com", retry=SOON)
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: outcome_of(dso, sent))
    time.sleep(0.6)  # longer than an answer may take
    assert (dso.reply_watch.check(), dso.missing, state_of(dso, sent)) == ([], [], State.DONE)


def test_a_restart_does_not_forget_who_owes_an_answer(market, flex_request):
    """What was delivered before a restart and not answered is reported after it; nothing is reported twice."""
    market.start(Silent, "agr.example.com")
    dso = market.start(Watching, "dso.example.com", retry=dataclasses.replace(SOON, answer_within=3600))
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: state_of(dso, sent) is State.DONE)
    dso.close()
    again = market.start(Watching, "dso.example.com", retry=SOON)
    until(lambda: again.missing)
    again.close()
    third = market.start(Watching, "dso.example.com", retry=SOON)
    time.sleep(0.6)
    assert (again.missing, third.missing) == ([sent.message_id], [])


def test_a_late_answer_still_counts(market, flex_request):
    """An answer that comes after it was reported as missing is handled like any other."""
    agr = market.start(Silent, "agr.example.com")
    dso = market.start(Watching, "dso.example.com", retry=SOON)
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: dso.missing)
    agr.send(
        uftp.FlexRequestResponse(
            recipient_domain="dso.example.com",
            conversation_id=sent.conversation_id,
            flex_request_message_id=sent.message_id,
        )
    )
    assert until(lambda: outcome_of(dso, sent)) == ("Accepted", None)


@pytest.fixture
def refused(market, flex_request):
    """A service whose partner refuses everything for good, after three messages; and a way to send more."""
    with Flaky(REFUSED, REFUSED, REFUSED) as peer:
        dso = market.start(Watching, "dso.example.com", retry=SOON)
        endpoint = f"http://127.0.0.1:{peer.server_port}/"
        market.book.add(Participant(*AGR, market.key("agr.example.com").public_key, endpoint))

        def send():
            return dso.send(flex_request(recipient_domain="agr.example.com"))

        for _ in range(3):
            send()
        until(lambda: dso.faults)
        yield dso, peer, send


def test_a_partner_who_refuses_everything_is_left_alone(refused):
    """After some permanent refusals in a row a partner is faulty: what goes to it waits, until it is cleared."""
    dso, peer, send = refused
    waiting = send()
    time.sleep(0.3)
    assert (len(peer.bodies), state_of(dso, waiting)) == (3, State.NEW)
    (fault,) = dso.journal.partners.faulty()
    assert (fault.domain, fault.role) == AGR
    assert "400" in fault.reason
    assert dso.clear_faulty_partner(*AGR)
    assert not dso.clear_faulty_partner(*AGR)
    dso.journal.postpone(dso.journal.find(Direction.OUT, waiting.message_id, AGR[0]), 0)
    until(lambda: state_of(dso, waiting) is State.DONE)


def test_a_faulty_partner_delays_nobody_else(refused, market, flex_request):
    """While one partner is faulty the others get their messages."""
    dso, _, send = refused
    send()
    market.start(Silent, "other.example.com")
    sent = dso.send(flex_request(recipient_domain="other.example.com"))
    until(lambda: dso.journal.find(Direction.OUT, sent.message_id, "other.example.com").state is State.DONE)


def test_a_success_ends_the_count(market, flex_request):
    """Refusals count only in a row."""
    ok = (200, {}, b"")
    with Flaky(REFUSED, REFUSED, ok, REFUSED, REFUSED) as peer:
        dso = market.start(Watching, "dso.example.com", retry=SOON)
        endpoint = f"http://127.0.0.1:{peer.server_port}/"
        market.book.add(Participant(*AGR, market.key("agr.example.com").public_key, endpoint))
        for _ in range(5):
            dso.send(flex_request(recipient_domain="agr.example.com"))
        until(lambda: dso.journal.count(Direction.OUT, State.NEW) == 0)
        assert (dso.faults, len(peer.bodies)) == ([], 5)


def test_operators_see_and_clear_faults(refused, market):
    """The command line shows faulty partners, and clears them for a service that runs."""
    dso, _, send = refused
    waiting = send()
    where = [
        "--domain",
        "dso.example.com",
        "--role",
        "DSO",
        "--journal",
        f"{market.folder}/dso.example.com.sqlite3",
    ]
    shown = CliRunner().invoke(main, ["status", *where])
    assert (shown.exit_code, "AGR agr.example.com" in shown.output) == (0, True), shown.output
    cleared = CliRunner().invoke(main, ["clear-partner", *where, "--partner", "AGR", "agr.example.com"])
    assert cleared.exit_code == 0, cleared.output
    again = CliRunner().invoke(main, ["clear-partner", *where, "--partner", "AGR", "agr.example.com"])
    assert (again.exit_code, "not marked as faulty" in again.output) == (1, True)
    until(lambda: state_of(dso, waiting) is State.DONE)
    nowhere = CliRunner().invoke(main, ["status", *where[:-1], "nowhere.sqlite3"])
    assert (nowhere.exit_code, "--journal" in nowhere.output) == (1, True)


def test_operators_see_what_was_lost(refused, market):
    """The command line lists what was refused or never answered, the newest first, for people and for machines."""
    dso, _, _ = refused
    where = [
        "--domain",
        "dso.example.com",
        "--role",
        "dso",
        "--journal",
        f"{market.folder}/dso.example.com.sqlite3",
    ]
    until(lambda: dso.journal.count(Direction.OUT, State.FAILED) == 3)
    shown = CliRunner().invoke(main, ["status", *where])
    lines = [line for line in shown.output.splitlines() if "to AGR agr.example.com failed: http" in line]
    assert (shown.exit_code, len(lines)) == (0, 3), shown.output
    kept = json.loads(CliRunner().invoke(main, ["status", *where, "--json", "--last", "2"]).output)
    assert kept["messages"]["out"] == {"new": 0, "done": 0, "failed": 3, "expired": 0}
    newest = [entry.message_id for entry in dso.journal.audit()][:0:-1]
    assert [(each["message_id"], each["state"]) for each in kept["lost"]] == [
        (id_, "failed") for id_ in newest
    ]
    assert [(each["role"], each["domain"]) for each in kept["faulty"]] == [("AGR", "agr.example.com")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "--domain", "a.example.com", "--role", "agr", "--journal", "absent"], "There is no journal absent"),
        (["status", "--domain", "a.example.com", "--role", "agr", "--journal", __file__], "cannot be opened"),
        (["clear-partner", "--domain", "a.example.com", "--role", "agr", "--partner", "who", "b.example.com"], "'who'"),
        (["send-test", "--from", "who", "a.example.com", "--to", "dso", "b.example.com", "--key", "x"], "'who'"),
    ],
)  # fmt: skip
def test_commands_with_wrong_arguments_say_so_in_a_line(arguments, words):
    """A journal or a role that is none is an error for people, without a traceback."""
    said = CliRunner().invoke(main, arguments)
    assert isinstance(said.exception, SystemExit)
    assert words in said.output


def test_clients_of_a_service_count_refusals_and_leave_faulty_partners_alone(market, flex_request):
    """What a client posts itself counts as well; to a faulty partner it posts nothing, and says why."""
    ok = (200, {}, b"")
    with Flaky(REFUSED, REFUSED, ok, REFUSED, REFUSED, REFUSED) as peer:
        dso = market.start(Watching, "dso.example.com", retry=SOON)
        endpoint = f"http://127.0.0.1:{peer.server_port}/"
        market.book.add(Participant(*AGR, market.key("agr.example.com").public_key, endpoint))
        client = dso.agr_client("agr.example.com")
        for status in (400, 400, 200, 400, 400, 400):
            if status == 200:
                client.send_flex_request(flex_request())
                continue
            assert dso.faults == []
            with pytest.raises(ClientTransportException) as raised:
                client.send_flex_request(flex_request())
            assert raised.value.http_status == status
        assert [(fault.domain, fault.role) for fault in dso.faults] == [AGR]
        with pytest.raises(
            ClientTransportException, match=r"AGR agr\.example\.com is marked as faulty"
        ) as raised:
            client.send_flex_request(flex_request())
        assert (len(peer.bodies), raised.value.temporary) == (6, True)
        dso.clear_faulty_partner(*AGR)
        assert client.send_flex_request(flex_request()).result == "Accepted"


def test_an_address_book_that_fails_stops_nothing(market, flex_request):
    """When an address book raises something of its own, the message is tried again later, and then delivered."""
    failures = iter([RuntimeError("no database"), InvalidValue("half a file")])

    class Moody:
        """Fails twice, then knows everybody."""

        def find(self, domain, role, *, refresh=False):
            """Look somebody up, in the end."""
            for error in failures:
                raise error
            return market.book.find(domain, role)

    market.start(Silent, "agr.example.com")
    dso = market.start(Watching, "dso.example.com", retry=SOON, address_book=Moody())
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: state_of(dso, sent) is State.DONE)
    assert dso.journal.find(Direction.OUT, sent.message_id, "agr.example.com").attempts == 3
    assert dso.faults == []


def test_a_key_that_is_none_does_not_make_a_stored_message_undelivered(market, flex_request):
    """A signed answer that cannot be verified for want of a key leaves the message delivered, once."""
    answered = envelope_to_xml(
        uftp.SignedMessage(sender_domain="agr.example.com", sender_role="AGR", body=b"x" * 80)
    )
    with Flaky((200, {}, answered)) as peer:
        dso = market.start(Watching, "dso.example.com", retry=SOON)
        market.book.add(Participant(*AGR, "no key at all", f"http://127.0.0.1:{peer.server_port}/"))
        sent = dso.send(flex_request(recipient_domain="agr.example.com"))
        until(lambda: state_of(dso, sent) is not State.NEW)
        assert (state_of(dso, sent), len(peer.bodies)) == (State.DONE, 1)
