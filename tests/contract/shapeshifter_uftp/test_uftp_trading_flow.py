"""Trading between services: answers, follow-ups, retries, order, the 1.x way, and death of a process."""

import asyncio
import datetime as dt
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.addresses import Participant
from shapeshifter_uftp.client import AsyncShapeshifterDsoAgrClient, ShapeshifterDsoAgrClient
from shapeshifter_uftp.exceptions import ClientTransportException, Rejection
from shapeshifter_uftp.exchange import Identity, complete, seal_for_post
from shapeshifter_uftp.outbox import RetryPolicy
from shapeshifter_uftp.sealing import envelope_from_xml, envelope_to_xml, seal_message
from shapeshifter_uftp.service import ANSWER_LATER, ShapeshifterAgrService, ShapeshifterDsoService
from shapeshifter_uftp.store import Direction, Journal, State, open_database
from shapeshifter_uftp.trading import make_order
from shapeshifter_uftp.uftp import AcceptedRejected, PayloadMessageResponse, UsefRole

WRONG = "00000000-0000-4000-8000-000000000009"
HEADERS = {"Content-Type": "text/xml; charset=utf-8"}


def until(condition, timeout=10.0):
    """Wait for something to become true, and give it."""
    ends = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < ends, "it did not become true in time"
        time.sleep(0.01)
    return value


def outcome_of(service, message):
    """Give what the partner answered to a message that we sent."""
    found = [
        e
        for e in service.journal.audit()
        if e.message_id == message.message_id and e.direction is Direction.OUT
    ]
    return (found[0].outcome, found[0].reason) if found and found[0].outcome else None


@pytest.fixture
def asked(agr, dso, flex_request):
    """Give a request that the aggregator has accepted."""
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: outcome_of(dso, sent))
    return agr.wait_for(uftp.FlexRequest)[0]


def test_request_offer_order_and_their_answers(agr, dso, asked, flex_offer):
    """A whole trade: each message is answered Accepted, in one conversation."""
    offer = agr.send(flex_offer(asked))
    received = dso.wait_for(uftp.FlexOffer)[0]
    until(lambda: outcome_of(agr, offer))
    order = dso.send(make_order(received, "order-1"))
    assert until(lambda: outcome_of(dso, order)) == ("Accepted", None)
    assert agr.wait_for(uftp.FlexOrder)[0].conversation_id == asked.conversation_id


def test_a_wrong_order_is_rejected_with_the_reason(agr, dso, asked, flex_offer):
    """An order at another price comes back rejected, and does not reach the hook."""
    offer = agr.send(flex_offer(asked))
    until(lambda: outcome_of(agr, offer))
    order = make_order(dso.wait_for(uftp.FlexOffer)[0], "order-1")
    order.price += 1
    sent = dso.send(order)
    outcome, reason = until(lambda: outcome_of(dso, sent))
    assert outcome == "Rejected"
    assert reason.startswith("Price mismatch")
    assert not [m for m in agr.heard if isinstance(m, uftp.FlexOrder)]


def revocation_of(offer):
    """Give the revocation of an offer."""
    return uftp.FlexOfferRevocation(
        recipient_domain=offer.recipient_domain,
        conversation_id=offer.conversation_id,
        flex_offer_message_id=offer.message_id,
    )


def test_an_offer_is_ordered_once_and_revoked_only_before(agr, dso, asked, flex_offer):
    """A second order is rejected, and so is a revocation after the order was accepted."""
    offer = agr.send(flex_offer(asked))
    until(lambda: outcome_of(agr, offer))
    received = dso.wait_for(uftp.FlexOffer)[0]
    first = dso.send(make_order(received, "order-1"))
    assert until(lambda: outcome_of(dso, first))[0] == "Accepted"
    second = dso.send(make_order(received, "order-2"))
    assert "already ordered" in until(lambda: outcome_of(dso, second))[1]
    sent = agr.send(revocation_of(offer))
    assert until(lambda: outcome_of(agr, sent)) == (
        "Rejected",
        "Flexibility procured",
    )


def test_a_revoked_offer_cannot_be_ordered(agr, dso, asked, flex_offer):
    """After a revocation an order of the offer is rejected."""
    offer = agr.send(flex_offer(asked))
    until(lambda: outcome_of(agr, offer))
    sent = agr.send(revocation_of(offer))
    assert until(lambda: outcome_of(agr, sent))[0] == "Accepted"
    order = dso.send(make_order(dso.wait_for(uftp.FlexOffer)[0], "order-1"))
    assert until(lambda: outcome_of(dso, order)) == ("Rejected", "Reference message revoked")


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
def test_answers_are_in_the_version_of_the_request(version, agr, dso, flex_request):
    """A partner that speaks 3.0.0 is answered in 3.0.0."""
    dso.send(flex_request(recipient_domain="agr.example.com", version=version))
    assert dso.wait_for(uftp.FlexRequestResponse)[0].version == version


def test_hooks_decide(market, dso, flex_request):
    """A hook accepts by saying nothing, rejects by raising, answers by returning, or answers later."""

    class Deciding(ShapeshifterAgrService):
        """Decides by the revision of the request."""

        def process_flex_request(self, message):
            if message.revision == 1:
                raise Rejection("Not today")
            if message.revision == 2:
                return PayloadMessageResponse(result=AcceptedRejected.REJECTED, rejection_reason="No")
            return ANSWER_LATER if message.revision == 3 else None

    agr = market.start(Deciding, "agr.example.com")
    sent = [dso.send(flex_request(recipient_domain="agr.example.com", revision=n)) for n in (1, 2, 3, 4)]
    assert until(lambda: outcome_of(dso, sent[3])) == ("Accepted", None)
    assert outcome_of(dso, sent[0]) == ("Rejected", "Not today")
    assert outcome_of(dso, sent[1]) == ("Rejected", "No")
    assert outcome_of(dso, sent[2]) is None
    assert agr.journal.find(Direction.IN, sent[2].message_id, "dso.example.com").state is State.DONE


def test_a_failing_hook_is_tried_again_and_delays_no_other_partner(market, flex_request):
    """A hook that fails is called again later; meanwhile messages of other partners are handled."""
    calls = []

    class Failing(ShapeshifterAgrService):
        """Fails twice for one partner."""

        def process_flex_request(self, message):
            calls.append(message.sender_domain)
            if message.sender_domain == "dso.example.com" and calls.count("dso.example.com") < 3:
                raise RuntimeError("not yet")

    market.start(Failing, "agr.example.com")
    first = market.start(ShapeshifterDsoService, "dso.example.com")
    second = market.start(ShapeshifterDsoService, "other.example.com")
    one = first.send(flex_request(recipient_domain="agr.example.com"))
    until(lambda: calls)
    two = second.send(flex_request(recipient_domain="agr.example.com"))
    assert until(lambda: outcome_of(second, two))[0] == "Accepted"
    assert calls.count("dso.example.com") < 3
    assert until(lambda: outcome_of(first, one))[0] == "Accepted"
    assert calls.count("dso.example.com") == 3


def test_an_answer_that_cannot_be_written_is_asked_for_again(market, dso, flex_request):
    """When a hook gives a message that the schema does not allow, nothing is sent, and the hook is asked again."""
    answers = []

    class Careless(ShapeshifterAgrService):
        """Forgets at first what an offer needs."""

        def process_flex_request(self, message):
            answers.append(message)
            return uftp.FlexOffer(conversation_id=message.conversation_id) if len(answers) == 1 else None

    agr = market.start(Careless, "agr.example.com")
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    assert until(lambda: outcome_of(dso, sent)) == ("Accepted", None)
    assert [entry.message_type for entry in agr.journal.audit()] == ["FlexRequest", "FlexRequestResponse"]
    assert (len(answers), next(agr.journal.audit()).attempts) == (2, 1)


def test_hooks_of_the_1x_kind_answer_within_the_request(market, flex_request):
    """With a pre_process hook the 200 carries a signed verdict, the same for a repetition, and nothing follows."""
    handled = []

    class Old(ShapeshifterAgrService):
        """Answers at once."""

        def pre_process_flex_request(self, message):
            if message.revision == 13:
                return PayloadMessageResponse(result=AcceptedRejected.REJECTED, rejection_reason="Bad luck")
            return PayloadMessageResponse()

        def process_flex_request(self, message):
            handled.append(message.revision)

    agr = market.start(Old, "agr.example.com")
    dso = market.start(ShapeshifterDsoService, "dso.example.com")
    client = dso.agr_client("agr.example.com")
    answer = client.send_flex_request(flex_request(revision=13))
    assert (answer.result, answer.rejection_reason) == ("Rejected", "Bad luck")
    assert answer.sender_domain == "agr.example.com"
    request = complete(flex_request(revision=14), "dso.example.com", "agr.example.com")
    body = seal_for_post(request, dso.identity)
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    contents = {httpx.post(url, content=body, headers=HEADERS).content for _ in range(2)}
    assert len(contents) == 1
    until(lambda: handled)
    time.sleep(0.1)
    assert handled == [14]
    assert agr.journal.count(Direction.OUT, State.DONE) + agr.journal.count(Direction.OUT, State.NEW) == 0


def test_asyncio_clients_send_too(agr, market, flex_request):
    """The asyncio form sends and answers as the synchronous one."""
    market.know("dso.example.com", "DSO")

    async def talk():
        async with AsyncShapeshifterDsoAgrClient(
            "dso.example.com",
            market.key("dso.example.com").private_key,
            "agr.example.com",
            address_book=market.book,
        ) as client:
            return await asyncio.gather(
                *(client.send_flex_request(flex_request(revision=n)) for n in range(5))
            )

    assert [answer.result for answer in asyncio.run(talk())] == ["Accepted"] * 5
    agr.wait_for(uftp.FlexRequest, 5)


def test_a_message_of_a_wrong_role_blocks_nothing(agr, dso, market, flex_request):
    """What no partner of this role may send is not answered, and what comes after it is."""
    market.book.add(Participant("dso.example.com", UsefRole.CRO, market.key("dso.example.com").public_key))
    stray = complete(
        uftp.FlexOfferRevocation(flex_offer_message_id=WRONG), "dso.example.com", "agr.example.com"
    )
    body = envelope_to_xml(
        uftp.SignedMessage(
            sender_domain="dso.example.com", sender_role=UsefRole.DSO,
            body=seal_message(stray, market.key("dso.example.com").private_key),
        )
    )  # fmt: skip
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    assert httpx.post(url, content=body, headers=HEADERS).status_code == 200
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    assert until(lambda: outcome_of(dso, sent))[0] == "Accepted"
    stored = agr.journal.find(Direction.IN, stray.message_id, "dso.example.com")
    assert stored.reason.startswith("Invalid Sender")


def test_a_journal_may_live_in_any_database(market, flex_request, tmp_path):
    """With an SQLAlchemy URL a trade goes as with the built-in SQLite, duplicates included."""
    url = f"sqlite+pysqlite:///{tmp_path}/journal.db"
    agr = market.start(ShapeshifterAgrService, "agr.example.com", journal=url)
    dso = market.start(ShapeshifterDsoService, "dso.example.com")
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    assert until(lambda: outcome_of(dso, sent))[0] == "Accepted"
    body = dso.journal.find(Direction.OUT, sent.message_id, "agr.example.com").envelope
    endpoint = f"http://127.0.0.1:{agr.port}{agr.path}"
    assert httpx.post(endpoint, content=body, headers=HEADERS).status_code == 200
    assert [entry.direction for entry in agr.journal.audit()] == [Direction.IN, Direction.OUT]


def test_test_messages_are_answered(agr, dso):
    """A connectivity test is answered in its conversation."""
    sent = dso.send(uftp.TestMessage(recipient_domain="agr.example.com"), UsefRole.AGR)
    assert dso.wait_for(uftp.TestMessageResponse)[0].conversation_id == sent.conversation_id


class Flaky(http.server.ThreadingHTTPServer):
    """An endpoint that answers as it is told, and keeps what was posted."""

    def __init__(self, *answers):
        self.answers, self.bodies = list(answers), []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __exit__(self, *args):
        self.shutdown()
        super().__exit__(*args)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, headers, body = self.server.answers.pop(0) if self.server.answers else (200, {}, b"")
        if status == 0:  # the connection breaks before the answer
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def send_to(market, endpoint, message, **arguments):
    """Send a message to an endpoint and give service and entry when it is done with."""
    failures = []

    class Reporting(ShapeshifterDsoService):
        """Keeps what could not be delivered."""

        def process_transport_failure(self, entry, error):
            failures.append(error)

    dso = market.start(Reporting, "dso.example.com", **arguments)
    market.book.add(
        Participant("agr.example.com", UsefRole.AGR, market.key("agr.example.com").public_key, endpoint)
    )
    dso.send(message)
    entry = until(lambda: next((e for e in dso.journal.audit() if e.state is not State.NEW), None))
    return entry, failures


@pytest.mark.parametrize("status", [500, 404, 419, 429, 524, 0])
def test_temporary_failures_are_retried_with_the_same_bytes(status, market, flex_request):
    """After a temporary failure the very same bytes are posted again."""
    with Flaky((status, {}, b""), (status, {}, b"")) as peer:
        entry, failures = send_to(
            market, f"http://127.0.0.1:{peer.server_port}/", flex_request(recipient_domain="agr.example.com")
        )
        assert entry.state is State.DONE
        assert len(peer.bodies) == 3
        assert len(set(peer.bodies)) == 1
        assert failures == []


@pytest.mark.parametrize("status", [400, 401, 411, 413])
def test_permanent_failures_end_the_message_and_are_reported(status, market, flex_request):
    """After a permanent failure nothing is posted again, and the application is told."""
    with Flaky((status, {}, b"no")) as peer:
        entry, failures = send_to(
            market, f"http://127.0.0.1:{peer.server_port}/", flex_request(recipient_domain="agr.example.com")
        )
        assert (entry.state, entry.last_status, len(peer.bodies)) == (State.FAILED, status, 1)
        assert [error.http_status for error in failures] == [status]


def test_a_duplicate_after_an_unclear_end_means_delivered(market, flex_request):
    """When a connection broke and the repetition is refused as a duplicate, the first attempt had arrived."""
    with Flaky((0, {}, b""), (400, {}, b"Duplicate message")) as peer:
        entry, failures = send_to(
            market, f"http://127.0.0.1:{peer.server_port}/", flex_request(recipient_domain="agr.example.com")
        )
        assert entry.state is State.DONE
        assert failures == []


def test_retry_after_is_respected(market, flex_request):
    """A partner that asks for a second is given a second."""
    with Flaky((429, {"Retry-After": "1"}, b"")) as peer:
        started = time.monotonic()
        send_to(
            market, f"http://127.0.0.1:{peer.server_port}/", flex_request(recipient_domain="agr.example.com")
        )
        assert time.monotonic() - started >= 1


def test_what_has_expired_is_not_sent_any_more(market, flex_request):
    """A request that nobody could take before its expiry leaves the queue as expired."""
    expiry = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.4)
    with Flaky(*[(500, {}, b"")] * 100) as peer:
        entry, failures = send_to(
            market, f"http://127.0.0.1:{peer.server_port}/",
            flex_request(recipient_domain="agr.example.com", expiration_date_time=expiry),
        )  # fmt: skip
        assert entry.state is State.EXPIRED
        assert len(failures) == 1


def test_after_the_agreed_time_a_message_is_given_up(market, flex_request):
    """A partner that stays away is given up after the time of the policy."""
    policy = RetryPolicy(first_pause=0.05, longest_pause=0.1, jitter=0, give_up_after=0.4)
    with Flaky(*[(503, {}, b"")] * 100) as peer:
        entry, failures = send_to(
            market,
            f"http://127.0.0.1:{peer.server_port}/",
            flex_request(recipient_domain="agr.example.com"),
            retry=policy,
        )
        assert (entry.state, entry.last_status) == (State.FAILED, 503)
        assert len(failures) == 1


def test_order_is_kept_for_each_partner_and_a_dead_one_delays_nobody(market, agr, flex_request):
    """Messages arrive in the order in which they were sent, also while another partner is away."""
    dso = market.start(ShapeshifterDsoService, "dso.example.com")
    market.know("dead.example.com", "AGR", "http://127.0.0.1:9/")
    dso.send(flex_request(recipient_domain="dead.example.com"))
    for revision in range(1, 31):
        dso.send(flex_request(recipient_domain="agr.example.com", revision=revision))
    assert [m.revision for m in agr.wait_for(uftp.FlexRequest, 30)] == list(range(1, 31))


def test_redirects_are_followed_by_post(agr, market, flex_request):
    """A 308 is followed with the same post."""
    market.know("dso.example.com", "DSO")
    target = f"http://127.0.0.1:{agr.port}{agr.path}"
    with (
        Flaky((308, {"Location": target}, b"")) as peer,
        ShapeshifterDsoAgrClient(
            "dso.example.com", market.key("dso.example.com").private_key, "agr.example.com",
            f"http://127.0.0.1:{peer.server_port}/",
        ) as client,
    ):  # fmt: skip
        assert client.send_flex_request(flex_request()).result == "Accepted"
    assert agr.wait_for(uftp.FlexRequest)


def test_a_client_without_answer_gets_an_error(market, flex_request):
    """When nobody listens the error says so, without a status."""
    client = ShapeshifterDsoAgrClient(
        "dso.example.com", market.key("dso.example.com").private_key, "agr.example.com", "http://127.0.0.1:9/"
    )
    with client, pytest.raises(ClientTransportException) as raised:
        client.send_flex_request(flex_request())
    assert raised.value.http_status is None
    assert raised.value.temporary


VICTIM = """
import json, sys, time
from shapeshifter_uftp.addresses import DirectoryAddressBook
from shapeshifter_uftp.service import ShapeshifterAgrService
class Stuck(ShapeshifterAgrService):
    def process_flex_request(self, message):
        time.sleep(3600)
book = DirectoryAddressBook(sys.argv[1])
service = Stuck("agr.example.com", sys.argv[2], host="127.0.0.1", port=0, address_book=book, journal=sys.argv[3])
service.run_in_thread()
print(service.port, flush=True)
time.sleep(3600)
"""


def victim(tmp_path, market, code, *arguments):
    """Start a process that is going to be killed."""
    book = tmp_path / "book.json"
    entries = [
        {"domain": p.domain, "role": p.role, "public_key": p.public_key, "endpoint": p.endpoint}
        for p in market.book._participants.values()
    ]
    book.write_text(json.dumps(entries))
    command = [sys.executable, "-c", code, str(book), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_was_answered_200_survives_kill_9(tmp_path, market, flex_request):
    """Messages answered with 200 are handled after the process was killed and started again."""
    market.know("dso.example.com", "DSO")
    journal = tmp_path / "agr.sqlite3"
    process = victim(tmp_path, market, VICTIM, market.key("agr.example.com").private_key, str(journal))
    port = int(process.stdout.readline())
    sent = []
    identity = Identity("dso.example.com", UsefRole.DSO, market.key("dso.example.com").private_key)
    with httpx.Client() as http:
        for revision in range(20):
            message = complete(flex_request(revision=revision), "dso.example.com", "agr.example.com")
            body = seal_for_post(message, identity)
            answer = http.post(
                f"http://127.0.0.1:{port}/shapeshifter/api/v3/message", content=body, headers=HEADERS
            )
            assert answer.status_code == 200
            sent.append((message.message_id, body))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = Journal(open_database(journal), "agr.example.com AGR")
    assert [(entry.message_id, entry.envelope) for entry in kept.audit()] == sent
    assert kept.count(Direction.IN, State.NEW) == 20
    kept.close()
    revived = market.start(Listener, "agr.example.com", journal=journal)
    until(lambda: len(revived.revisions) == 20)
    assert revived.revisions == list(range(20))


class Listener(ShapeshifterAgrService):
    """Keeps the revisions of the requests that it hears of."""

    def __init__(self, *args, **kwargs):
        self.revisions = []
        super().__init__(*args, **kwargs)

    def process_flex_request(self, message):
        """Keep the revision."""
        self.revisions.append(message.revision)


SENDER = """
import sys, datetime as dt
from shapeshifter_uftp import uftp
from shapeshifter_uftp.addresses import DirectoryAddressBook
from shapeshifter_uftp.service import ShapeshifterDsoService
book = DirectoryAddressBook(sys.argv[1])
service = ShapeshifterDsoService("dso.example.com", sys.argv[2], host="127.0.0.1", port=0, address_book=book,
                                 journal=sys.argv[3])
service.run_in_thread()
day = dt.date.fromisoformat(sys.argv[4])
isps = [uftp.FlexRequestISP(disposition="Requested", min_power=-1, max_power=0, start=1)]
for revision in range(20):
    service.send(uftp.FlexRequest(recipient_domain="agr.example.com", isp_duration="PT15M", period=day,
                 congestion_point="ean.871685900012636543", revision=revision, isps=isps,
                 expiration_date_time=f"{day - dt.timedelta(1)}T12:00:00Z"))
print("kept", flush=True)
import time; time.sleep(3600)
"""


def test_what_was_to_be_sent_survives_kill_9(tmp_path, market, tomorrow):
    """Messages in the outbox are sent, the same bytes, after the process was killed and started again."""
    market.know("agr.example.com", "AGR", "http://127.0.0.1:9/")
    journal = tmp_path / "dso.sqlite3"
    process = victim(
        tmp_path, market, SENDER, market.key("dso.example.com").private_key, str(journal), str(tomorrow)
    )
    assert process.stdout.readline() == "kept\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = Journal(open_database(journal), "dso.example.com DSO")
    bodies = [entry.envelope for entry in kept.audit()]
    assert len(bodies) == 20
    kept.close()
    with Flaky() as peer:
        market.book.add(
            Participant("agr.example.com", UsefRole.AGR, None, f"http://127.0.0.1:{peer.server_port}/")
        )
        market.start(ShapeshifterDsoService, "dso.example.com", journal=journal)
        until(lambda: len(peer.bodies) == 20)
        assert peer.bodies == bodies


def test_the_journal_is_an_audit_log_of_signed_bytes(agr, dso, asked):
    """Both sides have kept both messages of an exchange as they travelled, and their signatures still hold."""
    until(lambda: dso.journal.count(Direction.OUT, State.DONE) == 1)
    ours, theirs = list(dso.journal.audit()), list(agr.journal.audit())
    assert {e.envelope for e in ours} == {e.envelope for e in theirs}
    assert [e.message_type for e in theirs] == ["FlexRequest", "FlexRequestResponse"]
    assert envelope_from_xml(theirs[0].envelope).sender_domain == "dso.example.com"
    assert agr.journal.forget_before(time.time() + 1) == 2
