"""MQTT with a real broker: what is published where, who can read it, and what happens while the broker is away."""

import json
import os
import queue
import resource
import time

import pytest
from sqlalchemy import func, select

from flexmeasures.data.database import db
from flexmeasures.data.tables import DrNotification
from flexmeasures.domain.coordination.notifications import Viewer
from flexmeasures.domain.coordination.topics import Topics, topic_prefix
from flexmeasures.domain.errors import PeerUnreachable
from flexmeasures.streams.broker import connect, read_broker_address

BL, VEN = Viewer("bl", "sandbox", is_business_logic=True), Viewer("ven-1", "sandbox")


class Subscriber:
    """A client of the broker that keeps what comes."""

    def __init__(self, broker, name, *topics):
        address = f"mqtt://{name}:{broker.passwords[name]}@127.0.0.1:{broker.port}"
        self.client = connect(read_broker_address(address, {}))
        self.messages = queue.Queue()
        subscribed = queue.Queue()
        self.client.on_message = lambda _c, _d, message: self.messages.put(message)
        self.client.on_subscribe = lambda *_: subscribed.put(True)
        self.client.subscribe([(topic, 1) for topic in topics])
        subscribed.get(timeout=5)

    def next(self, timeout=5):
        """The next message: its topic and its body."""
        message = self.messages.get(timeout=timeout)
        return message.topic, json.loads(message.payload)

    def close(self):
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def published(app, broker):
    """The broker, named in the settings before the door starts."""
    app.config["FLEXMEASURES_MQTT_BROKER_URL"] = broker.address
    return broker


@pytest.fixture
def subscribe(published):
    """Subscribe as a client of the broker."""
    made = []

    def make(name, *topics):
        made.append(Subscriber(published, name, *topics))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_business_logic_has_everything(subscribe, stage):
    """Each kind and operation has its topic, and the message is the body of a webhook."""
    reader = subscribe(
        "bl", *(Topics(f"{topic_prefix(BL)}/{kind}").names()["ALL"] for kind in ("events", "vens"))
    )
    stage.change(eventName="peak", targets=["feeder-9"])
    topic, body = reader.next()
    assert topic == "openadr3/sandbox/all/events/create"
    assert body["objectType"] == "EVENT"
    assert body["operation"] == "CREATE"
    assert body["object"]["targets"] == body["targets"] == ["feeder-9"]
    stage.change("VEN", "DELETE", clientID="ven-1")
    assert reader.next()[0] == "openadr3/sandbox/all/vens/delete"


def test_events_of_a_programme_have_topics_of_their_own(subscribe, stage):
    """Whoever follows one programme subscribes to its events, and to the programme itself."""
    names = Topics(f"{topic_prefix(VEN)}/programs/p7", of_one=True).names()
    assert set(names) == {"UPDATE", "DELETE", "ALL"}
    reader = subscribe(
        "ven-1", names["ALL"], Topics(f"{topic_prefix(VEN)}/programs/p7/events").names()["ALL"]
    )
    stage.change(programID="p8")
    stage.change(programID="p7")
    stage.change("PROGRAM", "UPDATE", id="p7")
    assert [reader.next()[0] for _ in range(2)] == [
        "openadr3/sandbox/public/programs/p7/events/create",
        "openadr3/sandbox/public/programs/p7/update",
    ]


def test_what_is_meant_for_one_client_reaches_no_other(subscribe, stage):
    """Targeted events, reports and VENs go to the topics of their clients, which the broker keeps from others."""
    stage.token("ven-1", targets=("feeder-7",))
    mine, other = (subscribe(name, "openadr3/#") for name in ("ven-1", "ven-2"))
    stage.change(targets=["feeder-7", "feeder-8"])
    stage.change("REPORT", clientID="ven-1")
    stage.change(eventName="for all")
    topic, body = mine.next()
    assert topic == "openadr3/sandbox/clients/ven-1/events/create"
    assert body["object"]["targets"] == ["feeder-7"]
    assert mine.next()[0] == "openadr3/sandbox/clients/ven-1/programs/program-1/events/create"
    assert mine.next()[0] == "openadr3/sandbox/clients/ven-1/reports/create"
    assert other.next()[1]["object"]["eventName"] == "for all"


def test_nothing_is_lost_while_the_broker_is_away(subscribe, stage, published):
    """What changes meanwhile waits in the outbox and is published, in order, when the broker is back."""
    published.stop()
    numbers = [stage.change(eventName=str(number)) for number in range(5)]
    time.sleep(1.5)
    with stage.app.app_context():
        waiting = select(func.count()).where(DrNotification.mqtt_at.is_(None))
        assert db.session.scalar(waiting) == len(numbers)
    published.start()
    reader = subscribe("bl", "openadr3/sandbox/all/events/+")
    assert [reader.next(timeout=20)[1]["object"]["eventName"] for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_a_refused_login_is_explained(broker):
    """The message says which broker and why, without the password."""
    address = read_broker_address(f"mqtt://publisher:wrong@127.0.0.1:{broker.port}", {})
    with pytest.raises(PeerUnreachable, match="refuses the login") as refused:
        connect(address)
    assert "wrong" not in str(refused.value)
    assert "wrong" not in repr(address)


def test_a_broker_that_is_not_there_is_explained():
    """The message names host and port."""
    with pytest.raises(PeerUnreachable, match=r"127\.0\.0\.1:1 cannot be reached"):
        connect(read_broker_address("mqtt://127.0.0.1:1", {}))


def test_the_broker_is_reached_with_many_connections_open(broker):
    """With 1,100 descriptors open, as a process with many streams has, the login still succeeds."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        client = connect(read_broker_address(broker.address, {}))
        message = client.publish("openadr3/sandbox/all/events/create", b"{}", qos=1)
        message.wait_for_publish(5)
        assert message.is_published()
        client.disconnect()
        client.loop_stop()
    finally:
        for descriptor in opened:
            os.close(descriptor)
