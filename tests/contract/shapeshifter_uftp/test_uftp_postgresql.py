"""The journal in a real PostgreSQL: nothing lost, duplicates known, two owners beside each other."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import JournalInUse
from shapeshifter_uftp.exchange import Identity, complete, seal_for_post
from shapeshifter_uftp.outbox import outgoing_entry
from shapeshifter_uftp.sealing import envelope_to_xml, seal_xml
from shapeshifter_uftp.store import Arrival, Direction, Journal, State, open_database
from shapeshifter_uftp.store.database import DuplicateRow
from shapeshifter_uftp.trading import make_order
from shapeshifter_uftp.uftp import UsefRole
from shapeshifter_uftp.writing import message_to_xml

HEADERS = {"Content-Type": "text/xml; charset=utf-8"}


@pytest.fixture(scope="session")
def server_url(shared_app):
    """Give the URL of a database of our own on the server of the tests."""
    url = make_url(shared_app.config["SQLALCHEMY_DATABASE_URI"])
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE uftp_journal"))
    engine.dispose()
    return url.set(database="uftp_journal").render_as_string(hide_password=False)


@pytest.fixture
def database_url(server_url):
    """Give the URL of an empty database."""
    engine = create_engine(server_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server_url


@pytest.fixture
def journal(database_url):
    """Give a journal in PostgreSQL."""
    journal = Journal(open_database(database_url), "dso.example.com DSO")
    yield journal
    journal.close()


@pytest.fixture
def entry(flex_request, market):
    """Give a builder of entries of complete, sealed messages."""
    identity = Identity("dso.example.com", UsefRole.DSO, market.key("dso.example.com").private_key)

    def make(**changes):
        message = complete(flex_request(**changes), "dso.example.com", "agr.example.com")
        body = seal_for_post(message, identity)
        return outgoing_entry("dso.example.com DSO", message, body, UsefRole.AGR, 1000.0, None)

    return make


def until(condition, timeout=10.0):
    """Wait for something to become true, and give it."""
    ends = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < ends, "it did not become true in time"
        time.sleep(0.01)
    return value


def test_entries_come_back_as_they_went_in(journal, entry):
    """Every field of an entry, its bytes included, is read as it was written, in order."""
    entries = [entry(revision=n) for n in range(3)]
    journal.add_outgoing(entries)
    assert [replace(found, seq=0) for found in journal.audit()] == entries
    assert journal.waiting_partners(Direction.OUT) == [("agr.example.com", UsefRole.AGR, 0.0)]
    assert [e.revision for e in journal.waiting(Direction.OUT, ("agr.example.com", UsefRole.AGR))] == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_url_need_not_name_the_driver(scheme, database_url):
    """The usual ways of writing the address of a PostgreSQL all lead there."""
    database = open_database(database_url.replace("postgresql+psycopg", scheme))
    assert database.read("SELECT version() AS it")[0]["it"].startswith("PostgreSQL")
    database.close()


def test_a_message_is_received_once_even_by_many_threads(journal, entry):
    """Of threads that bring the same message one is first; another content under its id is told apart."""
    received = replace(entry(), direction=Direction.IN)
    arrivals = []
    threads = [
        threading.Thread(target=lambda: arrivals.append(journal.add_received(received))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(arrivals) == [Arrival.FIRST] + [Arrival.REPEATED] * 5
    assert journal.add_received(replace(received, envelope=b"other")) is Arrival.CONFLICTING


def test_a_message_and_its_answers_are_kept_together_or_not_at_all(journal, entry):
    """When an answer cannot be kept, the message is not marked as handled."""
    journal.add_received(replace(entry(), direction=Direction.IN))
    received, reply = next(journal.audit()), entry()
    with pytest.raises(DuplicateRow):
        journal.finish(received, "Accepted", None, [reply, reply])
    assert [e.state for e in journal.audit()] == [State.NEW]
    journal.finish(received, "Accepted", None, [reply])
    assert [(e.direction, e.state) for e in journal.audit()] == [
        (Direction.IN, State.DONE),
        (Direction.OUT, State.NEW),
    ]


def test_owners_share_a_database_and_do_not_see_each_other(journal, entry, database_url):
    """Two participants with one database have two journals."""
    other = Journal(open_database(database_url), "other.example.com DSO")
    journal.add_outgoing([entry()])
    assert list(other.audit()) == []
    assert other.forget_before(2000.0) == 0
    journal.mark(next(journal.audit()), State.DONE, status=200)
    assert journal.forget_before(2000.0) == 1
    other.close()


def test_faulty_partners_are_known_to_every_process(journal, database_url):
    """A fault is seen and cleared by another process, and refusals after that count from the beginning."""
    partner = ("agr.example.com", UsefRole.AGR)
    other = Journal(open_database(database_url), journal.owner)
    assert journal.partners.refused(partner, "no", 1000.0, 2) is None
    fault = journal.partners.refused(partner, "no, no", 1001.0, 2)
    assert (fault.domain, fault.role, fault.since, fault.reason) == (*partner, 1001.0, "no, no")
    assert other.partners.faulty() == [fault]
    later = Journal(open_database(database_url), journal.owner)
    assert later.partners.clear(partner)
    assert journal.partners.fault_of(partner) is None
    assert [journal.partners.refused(partner, "no", t, 2) is None for t in (1002.0, 1003.0)] == [True, False]
    other.close()
    later.close()


def test_what_was_delivered_and_not_answered_is_found(journal, entry):
    """Requests that were delivered are unanswered until the partner's verdict is noted."""
    journal.add_outgoing([entry(revision=n) for n in range(2)])
    first, second = journal.audit()
    for sent in (first, second):
        journal.mark(sent, State.DONE, status=200, at=1500.0)
    assert [e.next_at for e in journal.unanswered(["FlexRequest"])] == [1500.0, 1500.0]
    journal.answered(first.message_id, "agr.example.com", "Rejected", "no")
    assert [e.seq for e in journal.unanswered(["FlexRequest"])] == [second.seq]
    assert journal.unanswered(["FlexOffer"]) == []


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "sqlite by SQLAlchemy"])
def test_participants_may_start_at_once(kind, database_url, tmp_path):
    """When several make their journals in an empty database at the same time, all of them get one."""
    url = {
        "postgresql": database_url,
        "sqlite": str(tmp_path / "one.sqlite3"),
        "sqlite by SQLAlchemy": f"sqlite+pysqlite:///{tmp_path}/two.sqlite3",
    }[kind]
    with ThreadPoolExecutor(6) as pool:
        journals = list(pool.map(lambda n: Journal(open_database(url), f"owner {n}"), range(6)))
    assert [list(journal.audit()) for journal in journals] == [[]] * 6
    for journal in journals:
        journal.close()


def test_lost_connections_are_made_again(market, database_url, flex_request):
    """After the server has ended all connections messages are taken, handled and answered as before."""
    agr = market.start(market.Agr, "agr.example.com", journal=database_url)
    dso = market.start(market.Dso, "dso.example.com")
    for revision in (1, 2):
        dso.send(flex_request(recipient_domain="agr.example.com", revision=revision))
        dso.wait_for(uftp.FlexRequestResponse, revision)
        engine = create_engine(database_url)
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
    assert [entry.state for entry in agr.journal.audit() if entry.direction is Direction.IN] == [
        State.DONE
    ] * 2


def test_the_longest_addresses_that_the_schemas_allow_are_kept(market, database_url, flex_request):
    """A congestion point of 500 characters, which the prose forbids and the schemas allow, is stored."""
    point = f"ea1.2013-11.{'a' * 244}:{'b' * 244}"
    market.know("dso.example.com", "DSO")
    agr = market.start(market.Agr, "agr.example.com", journal=database_url)
    request = complete(flex_request(), "dso.example.com", "agr.example.com")
    xml = message_to_xml(request).replace(request.congestion_point.encode(), point.encode())
    signed = seal_xml(xml, market.key("dso.example.com").private_key)
    body = envelope_to_xml(
        uftp.SignedMessage(sender_domain="dso.example.com", sender_role="DSO", body=signed)
    )
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    assert httpx.post(url, content=body, headers=HEADERS).status_code == 200
    kept = agr.journal.about(Direction.IN, "FlexRequest", f"{point}|{request.period}", "dso.example.com")
    assert [entry.message_id for entry in kept] == [request.message_id]


def test_what_partners_write_into_an_error_does_no_harm(market, database_url, flex_request):
    """A refusal whose text has NUL and line breaks ends the message like any other."""

    class Rude(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(400)
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"a\x00b\r\n\xffc")

        def log_message(self, *args):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Rude) as peer:
        threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        market.know("agr.example.com", "AGR", f"http://127.0.0.1:{peer.server_port}/")
        dso = market.start(market.Dso, "dso.example.com", journal=database_url)
        dso.send(flex_request(recipient_domain="agr.example.com"))
        until(lambda: dso.journal.count(Direction.OUT, State.FAILED) == 1)
        (kept,) = dso.journal.audit()
        assert kept.reason.endswith("answered 400: a b  \N{REPLACEMENT CHARACTER}c")
        peer.shutdown()


def test_services_trade_with_journals_in_postgresql(market, database_url, flex_request, flex_offer):
    """Request, offer and order go through, and a repeated message is known again, with one database for both."""
    agr = market.start(market.Agr, "agr.example.com", journal=database_url)
    dso = market.start(market.Dso, "dso.example.com", journal=database_url)
    sent = dso.send(flex_request(recipient_domain="agr.example.com"))
    request = agr.wait_for(uftp.FlexRequest)[0]
    agr.send(flex_offer(request))
    dso.send(make_order(dso.wait_for(uftp.FlexOffer)[0], "order-1"))
    assert dso.wait_for(uftp.FlexOrderResponse)[0].result == "Accepted"
    body = dso.journal.find(Direction.OUT, sent.message_id, "agr.example.com").envelope
    endpoint = f"http://127.0.0.1:{agr.port}{agr.path}"
    assert httpx.post(endpoint, content=body, headers=HEADERS).status_code == 200
    until(lambda: agr.journal.count(Direction.IN, State.NEW) == 0)
    assert sorted(e.message_type for e in agr.journal.audit() if e.direction is Direction.IN) == [
        "FlexOfferResponse", "FlexOrder", "FlexRequest",
    ]  # fmt: skip


VICTIM = """
import sys, time
from shapeshifter_uftp.addresses import DirectoryAddressBook
from shapeshifter_uftp.service import ShapeshifterAgrService
class Stuck(ShapeshifterAgrService):
    def process_flex_request(self, message):
        time.sleep(3600)
service = Stuck("agr.example.com", sys.argv[2], host="127.0.0.1", port=0, journal=sys.argv[3],
                address_book=DirectoryAddressBook(sys.argv[1]))
service.run_in_thread()
print(service.port, flush=True)
time.sleep(3600)
"""


def test_what_was_answered_200_survives_kill_9(market, database_url, flex_request, tmp_path):
    """Messages answered with 200 are in PostgreSQL when the process is killed, and are handled by the next one."""
    market.know("dso.example.com", "DSO")
    keys = market.key("dso.example.com")
    book = tmp_path / "book.json"
    book.write_text(json.dumps([{"domain": "dso.example.com", "role": "DSO", "public_key": keys.public_key}]))
    command = [
        sys.executable,
        "-c",
        VICTIM,
        str(book),
        market.key("agr.example.com").private_key,
        database_url,
    ]
    identity = Identity("dso.example.com", UsefRole.DSO, keys.private_key)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, httpx.Client() as http:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/shapeshifter/api/v3/message"
        for revision in range(10):
            message = complete(flex_request(revision=revision), "dso.example.com", "agr.example.com")
            answer = http.post(url, content=seal_for_post(message, identity), headers=HEADERS)
            assert answer.status_code == 200
        os.kill(process.pid, signal.SIGKILL)
    revived = market.start(market.Agr, "agr.example.com", journal=database_url)
    heard = revived.wait_for(uftp.FlexRequest, 10)
    assert [message.revision for message in heard] == list(range(10))


def test_a_journal_in_postgresql_is_claimed_once(database_url, journal):
    """A second service is told that the journal is in use; another owner in the same database is not concerned."""
    journal.claim()
    second = Journal(open_database(database_url), journal.owner)
    other = Journal(open_database(database_url), "agr.example.com AGR")
    with pytest.raises(JournalInUse, match=r"dso\.example\.com DSO in postgresql") as raised:
        second.claim()
    password = make_url(database_url).password
    assert not password or password not in str(raised.value)
    other.claim()
    journal.release()
    second.claim()
    for each in (second, other):
        each.close()


def test_a_claim_outlasts_the_loss_of_its_connection(database_url, journal):
    """When the server has forgotten a claim, as after a restart, it is taken again, unless another one was quicker."""
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    second = Journal(open_database(database_url), journal.owner)

    def forget():
        with engine.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            )

    journal.claim()
    forget()
    time.sleep(1.1)  # the server is asked once a second
    assert journal.is_claimed()
    with pytest.raises(JournalInUse):
        second.claim()
    forget()
    second.claim()
    time.sleep(1.1)
    assert not journal.is_claimed()
    second.close()
    time.sleep(1.1)
    assert journal.is_claimed()
    engine.dispose()
