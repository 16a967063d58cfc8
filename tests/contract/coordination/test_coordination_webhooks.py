"""Webhooks over real HTTP: who is told what, signatures, retries, dead endpoints, addresses that are refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.coordination.test_openadr3_objects import event, report_of, ven_of

from flexmeasures.connectors import callbacks
from flexmeasures.data.database import db
from flexmeasures.data.tables import DrDelivery, DrSubscription
from flexmeasures.domain.coordination import is_signed_by
from flexmeasures.services.coordination.deliveries import Outcome, claim_due, note_outcomes

EVERYTHING = ["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"]


def subscription(url, objects=("EVENT",), **more):
    """A subscription to all operations on some objects."""
    operation = {"objects": list(objects), "operations": ["CREATE", "UPDATE", "DELETE"], "callbackUrl": url}
    return {"clientName": "me", "objectOperations": [operation | more]}


def test_changes_are_told_in_their_order(bl, ven, program, receiver, deliver):
    """Create, update and delete arrive once each, with the object as it was, as plain JSON with the bearer token."""
    ven.made("/subscriptions", subscription(receiver.url, bearerToken="t0ken"))
    made = bl.made("/events", event(program))
    bl.ask("PUT", f"/events/{made['id']}", event(program, eventName="renamed"))
    bl.ask("DELETE", f"/events/{made['id']}")
    deliver()
    deliver()
    assert [m["operation"] for m in receiver.messages] == ["CREATE", "UPDATE", "DELETE"]
    assert receiver.messages[0] == {"objectType": "EVENT", "operation": "CREATE", "object": made}
    assert receiver.requests[0][0]["Authorization"] == "Bearer t0ken"


def test_secrets_of_callbacks_are_never_shown(app, ven, receiver):
    """Neither answers nor the database hold a token or secret in the clear."""
    body = subscription(receiver.url, bearerToken="t0ken-of-mine", webhookSecret="s3cret-of-mine")
    made = ven.made("/subscriptions", body)
    shown = json.dumps([made, ven.get("/subscriptions").json])
    with app.app_context():
        row = db.session.query(DrSubscription).one()
        kept = json.dumps(row.content) + repr(row.secrets)
    for text in (shown, kept):
        assert "of-mine" not in text


def test_only_what_one_may_see_is_told(as_client, bl, program, receiver, deliver):
    """A VEN with a subscription to everything is not told of objects of others, nor of hidden targets."""
    ven = as_client("ven-1")
    bl.made("/vens", ven_of("ven-1", "one", targets=["a"]))
    ven.made("/subscriptions", subscription(receiver.url, EVERYTHING))
    deliver()
    receiver.requests.clear()
    bl.made("/vens", ven_of("ven-2", "two"))
    bl.made("/events", event(program, eventName="hidden", targets=["b"]))
    shown = bl.made("/events", event(program, eventName="shown", targets=["a", "b"]))
    as_client("ven-2").made("/reports", report_of(bl.made("/events", event(program))))
    deliver()
    told = [m["object"] for m in receiver.messages]
    assert [one.get("eventName") for one in told] == ["shown", None]
    assert told[0] == shown | {"targets": ["a"]}


def test_subscriptions_filter_by_program_and_target(as_client, bl, program, receiver, deliver):
    """Only events of the programme, and with one of the targets, are told."""
    other = bl.made("/programs", {"programName": "other"})
    bl.made("/subscriptions", subscription(receiver.url) | {"programID": program["id"], "targets": ["a"]})
    bl.made("/events", event(other, targets=["a"]))
    bl.made("/events", event(program))
    wanted = bl.made("/events", event(program, targets=["a"]))
    deliver()
    assert [m["object"]["id"] for m in receiver.messages] == [wanted["id"]]


def test_a_foreign_program_cannot_be_subscribed_to(as_client, bl, receiver):
    """A programme that the client does not see is not one."""
    hidden = bl.made("/programs", {"programName": "hidden", "targets": ["a"]})
    body = subscription(receiver.url) | {"programID": hidden["id"]}
    assert as_client("ven-1").ask("POST", "/subscriptions", body).status_code == 400


def test_callbacks_must_echo(ven, receiver):
    """An endpoint that does not repeat the value of echo is refused, and nothing is stored."""
    receiver.echoes = False
    answer = ven.ask("POST", "/subscriptions", subscription(receiver.url))
    assert answer.status_code == 400
    assert "echo" in answer.json["detail"]
    assert ven.get("/subscriptions").json == []


def test_the_sandbox_may_do_without_echo(app, as_client, ven, receiver):
    """With FLEXMEASURES_OPENADR_ECHO off, endpoints need not repeat the value; production stays strict."""
    app.config["FLEXMEASURES_OPENADR_ECHO"] = False
    receiver.echoes = False
    ven.made("/subscriptions", subscription(receiver.url))
    production = as_client("ven-prod").ask("POST", "/subscriptions", subscription(receiver.url))
    assert production.status_code == 400


def test_operations_may_be_verbs_of_http(ven, receiver):
    """Clients of 3.1.0 send verbs as those of 3.0.1 did; they are kept in the words of the version."""
    entry = {"objects": ["EVENT"], "operations": ["POST", "PUT", "DELETE"], "callbackUrl": receiver.url}
    made = ven.made("/subscriptions", {"clientName": "me", "objectOperations": [entry]})
    assert made["objectOperations"][0]["operations"] == ["CREATE", "UPDATE", "DELETE"]


@pytest.mark.parametrize(
    ("client_id", "url"),
    [
        ("ven-1", "http://169.254.169.254/latest/meta-data"),
        ("ven-1", "http://10.0.0.1/"),
        ("ven-1", "https://192.168.1.1/"),
        ("ven-1", "http://[fd00::1]/"),
        ("ven-1", "ftp://127.0.0.1/"),
        ("ven-1", "http://user:password@127.0.0.1/"),
        ("ven-1", "http://[::ffff:10.0.0.1]/"),
        ("ven-1", "http://0.0.0.0/"),
        ("ven-1", "http://no-such-host.invalid/"),
        ("ven-1", "http:///nothing"),
        ("ven-prod", "https://127.0.0.1/"),
        ("ven-prod", "https://localhost/"),
        ("ven-prod", "https://2130706433/"),
        ("ven-prod", "http://93.184.216.34/"),
        ("ven-prod", "https://[::1]/"),
        ("ven-prod", "https://[64:ff9b::7f00:1]/"),
    ],
)
def test_callbacks_into_private_networks_are_refused(as_client, as_partner, client_id, url):
    """Private, link-local and other special addresses are refused, loopback and plain HTTP in production too."""
    answer = as_client(client_id).ask("POST", "/subscriptions", subscription(url))
    assert answer.status_code == 400, answer.json
    assert answer.json["detail"].startswith(("callbackUrl", "objectOperations[0].callbackUrl"))
    body = {"webhookUrl": url, "notificationTypes": ["PriceCurveCreated"]}
    assert as_partner(client_id).ask("POST", "/webhooks", body).status_code == 400


def test_an_address_is_checked_again_when_it_is_sent_to(app, bl, ven, program, receiver, deliver):
    """A name that leads elsewhere later (DNS rebinding) gets nothing: the address is checked when connecting."""
    ven.made("/subscriptions", subscription(receiver.url))
    with app.app_context():
        row = db.session.query(DrSubscription).one()
        row.content = json.loads(json.dumps(row.content).replace("127.0.0.1", "169.254.169.254"))
        db.session.commit()
    bl.made("/events", event(program))
    deliver()
    with app.app_context():
        (delivery,) = db.session.query(DrDelivery).all()
        assert "not in the public network" in delivery.answer


def test_redirects_are_not_followed(bl, ven, program, receiver, deliver):
    """An answer that points elsewhere is a failure like any other."""
    ven.made("/subscriptions", subscription(receiver.url))
    receiver.statuses = [302]
    bl.made("/events", event(program))
    deliver()
    assert len(receiver.requests) == 1


def test_failed_deliveries_are_tried_three_times_more(app, bl, ven, program, receiver, deliver):
    """After 2, 8 and 32 s or a little more; then it is given up, and after three of those the endpoint."""
    ven.made("/subscriptions", subscription(receiver.url))
    deliver()
    bl.made("/events", event(program))
    receiver.statuses = [500]
    deliver()
    with app.app_context():
        delivery = db.session.query(DrDelivery).one()
        assert (delivery.state, delivery.attempts, delivery.answer) == ("waiting", 1, "status 500")
        now = delivery.due_at
        for least, most in ((8, 12), (32, 48)):
            assert [w.id for w in claim_due(db.session, "k", now)] == [delivery.id]
            note_outcomes(db.session, [Outcome(delivery.id, False, "status 500", jitter=0.5)], now)
            wait = (delivery.due_at - now).total_seconds()
            assert least <= wait <= most
            now = delivery.due_at
        claim_due(db.session, "k", now)
        note_outcomes(db.session, [Outcome(delivery.id, False, "gone")], now)
        assert (delivery.state, delivery.attempts) == ("failed", 4)
        assert db.session.query(DrSubscription).one().failures == 1


def test_an_endpoint_that_is_dead_is_left_alone_until_it_is_changed(app, bl, ven, program, receiver, deliver):
    """After three deliveries were given up nothing is sent any more; a change of the subscription begins anew."""
    made = ven.made("/subscriptions", subscription(receiver.url))
    with app.app_context():
        db.session.query(DrSubscription).one().broken_at = datetime.now(UTC)
        db.session.commit()
    bl.made("/events", event(program))
    deliver()
    assert receiver.requests == []
    assert ven.ask("PUT", f"/subscriptions/{made['id']}", subscription(receiver.url)).status_code == 200
    bl.made("/events", event(program))
    deliver()
    assert len(receiver.requests) == 1


def test_a_claim_that_nobody_finishes_is_due_again(app, bl, ven, program, receiver):
    """A worker that dies while it sends costs a minute, not the notification."""
    ven.made("/subscriptions", subscription(receiver.url))
    bl.made("/events", event(program))
    with app.app_context():
        from flexmeasures.services.coordination.deliveries import address_notifications  # noqa: PLC0415

        now = datetime.now(UTC)
        address_notifications(db.session, now)
        assert len(claim_due(db.session, "k", now)) == 1
        assert claim_due(db.session, "k", now + timedelta(seconds=59)) == []
        assert len(claim_due(db.session, "k", now + timedelta(seconds=61))) == 1
        db.session.rollback()


def test_a_dead_receiver_delays_no_other(monkeypatch, app, bl, as_client, program, receiver, deliver):
    """While one endpoint does not answer, the others have their notification at once."""
    import socket  # noqa: PLC0415

    as_client("ven-1").made("/subscriptions", subscription(receiver.url))
    as_client("ven-2").made("/subscriptions", subscription(receiver.url))
    with socket.create_server(("127.0.0.1", 0)) as deaf, app.app_context():
        row = db.session.query(DrSubscription).filter_by(client_id="ven-1").one()
        port = deaf.getsockname()[1]
        row.content = json.loads(json.dumps(row.content).replace(receiver.url, f"http://127.0.0.1:{port}/"))
        db.session.commit()
        monkeypatch.setattr(callbacks, "TIMEOUT", 1.0)
        bl.made("/events", event(program))
        deliver()
        states = {d.state for d in db.session.query(DrDelivery)}
    assert len(receiver.requests) == 1
    assert states == {"waiting", "delivered"}


def test_notifications_of_3_0_1_speak_its_words(as_client, bl, program, receiver, deliver):
    """Operations are verbs and targets have types; no echo is asked for; both spellings of operations are taken."""
    former = as_client("ven-1", "3.0.1")
    receiver.echoes = False
    body = subscription(receiver.url) | {"programID": program["id"]}
    body["objectOperations"][0]["operations"] = ["POST", "DELETE"]
    made = former.made("/subscriptions", body)
    assert made["objectOperations"][0]["operations"] == ["POST", "DELETE"]
    bl.made("/events", event(program))
    deliver()
    (message,) = receiver.messages
    assert message["operation"] == "POST"
    assert message["object"]["intervals"]


def test_partners_are_told_with_a_signature(as_partner, receiver, deliver):
    """The notification has the payload of the event, and the header the signature over the raw body."""
    one = as_partner()
    body = {
        "webhookUrl": receiver.url,
        "notificationTypes": ["PriceCurveCreated"],
        "webhookSecret": "shared",
        "name": "mine",
    }
    made = one.made("/webhooks", body)
    assert "webhookSecret" not in made
    assert one.get("/webhooks") == {"webhooks": [made]}
    assert one.ask("POST", f"/webhooks/{made['id']}/test").json == {
        "isDelivered": True,
        "answer": "status 200",
    }
    made_event = one.made("/simulation/events/priceCurve", {})
    one.made("/simulation/events/locationLPC", {})
    deliver()
    headers, message, raw = receiver.requests[-1]
    assert len(receiver.requests) == 2
    assert message["payload"] == made_event["payload"]
    assert (message["eventId"], message["notificationType"]) == (made_event["id"], "PriceCurveCreated")
    assert message.keys() == {
        "notificationId",
        "eventId",
        "eventCreatedAtUtc",
        "notificationSentUtc",
        "notificationType",
        "payload",
    }
    assert is_signed_by("shared", raw, headers["X-Payload-Signature"])
    assert one.ask("DELETE", f"/webhooks/{made['id']}").status_code == 204
