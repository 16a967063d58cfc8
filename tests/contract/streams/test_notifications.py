"""WebSocket streams of notifications: who may open one, what comes, and what happens to those who do not keep up."""

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from flexmeasures.streams.hub import QUEUE


def opened(stage, token, query=""):
    """Open a stream."""
    return connect(stage.address + query, additional_headers={"Authorization": f"Bearer {token}"})


def next_of(socket, timeout=5):
    """The next notification."""
    return json.loads(socket.recv(timeout=timeout))


def test_a_change_comes_as_the_body_of_a_webhook_with_an_id(stage):
    """The business logic is told of a new event: type, operation and object, and the id to come back with."""
    with opened(stage, stage.token("bl", "bl")) as socket:
        number = stage.change(eventName="peak", programID="program-1")
        assert next_of(socket) == {
            "id": number,
            "objectType": "EVENT",
            "operation": "CREATE",
            "object": {
                "id": "object-1",
                "objectType": "EVENT",
                "eventName": "peak",
                "programID": "program-1",
            },
        }


def test_clients_see_what_is_theirs(stage):
    """A VEN sees untargeted events and those for a target it was granted, without the targets of others."""
    mine, other = stage.token("ven-1", targets=("feeder-7",)), stage.token("ven-2", targets=("feeder-8",))
    with opened(stage, mine) as first, opened(stage, other) as second:
        stage.change(targets=["feeder-7", "feeder-8"], eventName="both")
        stage.change(targets=["feeder-7"], eventName="first")
        stage.change("REPORT", clientID="ven-1", reportName="of the first")
        stage.change(eventName="all")
        seen = [next_of(first)["object"] for _ in range(4)]
        assert [one.get("eventName") or one["reportName"] for one in seen] == [
            "both",
            "first",
            "of the first",
            "all",
        ]
        assert seen[0]["targets"] == ["feeder-7"]
        seen = [next_of(second)["object"] for _ in range(2)]
        assert [one["eventName"] for one in seen] == ["both", "all"]
        assert seen[0]["targets"] == ["feeder-8"]


def test_production_and_sandbox_do_not_meet(stage):
    """A client of production hears nothing of the sandbox."""
    with opened(stage, stage.token("bl", "bl", environment="production")) as socket:
        stage.change()
        with pytest.raises(TimeoutError):
            next_of(socket, timeout=0.5)


def test_streams_are_narrowed_by_object_and_programme(stage):
    """With objects and programID only these come."""
    token = stage.token("bl", "bl")
    with opened(stage, token, "?objects=PROGRAM,EVENT&programID=p2") as socket:
        stage.change("VEN")
        stage.change(programID="p1")
        stage.change(programID="p2")
        assert next_of(socket)["object"]["programID"] == "p2"


def test_one_that_comes_back_gets_what_it_missed(stage):
    """With the id of the last notification the later ones come first, once each, then those that happen."""
    token = stage.token("bl", "bl")
    first, second, third = (stage.change() for _ in range(3))
    with opened(stage, token, f"?after={first}") as socket:
        fourth = stage.change()
        assert [next_of(socket)["id"] for _ in range(3)] == [second, third, fourth]


def test_what_the_job_store_lost_comes_from_the_outbox(stage):
    """A notification that was never published is sent all the same."""
    stage.change()
    with opened(stage, stage.token("bl", "bl")) as socket:
        number = stage.change(publish=False)
        assert next_of(socket)["id"] == number


def read_to_the_end(socket):
    """Read until the stream is closed."""
    while True:
        socket.recv(timeout=5)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
    ],
)
def test_strangers_are_told_to_send_a_token(stage, headers, status):
    """Without a valid token the handshake is refused with 401, WWW-Authenticate and a problem object."""
    with pytest.raises(InvalidStatus) as refused:
        connect(stage.address, additional_headers=headers)
    answer = refused.value.response
    assert answer.status_code == status
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status


def test_a_head_that_is_too_long_is_refused_at_once(stage):
    """A token of 9,000 characters is answered with 431 rather than left waiting."""
    with pytest.raises(InvalidStatus) as refused:
        connect(stage.address, additional_headers={"Authorization": "Bearer " + "x" * 9000})
    assert refused.value.response.status_code == 431


def test_a_token_without_the_right_to_read_is_refused(stage):
    """A client that may only write reports gets 403."""
    token = stage.token("ven-1", scopes=("write_reports",))
    with pytest.raises(InvalidStatus) as refused:
        opened(stage, token)
    assert refused.value.response.status_code == 403


def test_a_browser_sends_its_token_as_a_subprotocol(stage):
    """What cannot send headers offers ``bearer`` and the token as subprotocols; ``bearer`` is chosen."""
    with connect(stage.address, subprotocols=["bearer", stage.token("bl", "bl")]) as socket:
        assert socket.subprotocol == "bearer"
        number = stage.change()
        assert next_of(socket)["id"] == number


def test_one_client_cannot_take_all_connections(stage):
    """A tenth of all connections is for one client: of 20, two."""
    stage.app.config["FLEXMEASURES_STREAMS_CONNECTIONS"] = 20
    server = stage.serve()
    token = stage.token("bl", "bl")
    with opened(stage, token), opened(stage, token):
        with pytest.raises(InvalidStatus) as refused:
            opened(stage, token)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"]
    server.stop()
    server.thread.join(10)


def test_a_slow_reader_is_dropped_and_delays_nobody(stage):
    """One that reads nothing is closed with 1013 when its queue is full; another gets every notification meanwhile."""
    slow_token, quick_token = stage.token("slow", "bl"), stage.token("quick", "bl")
    slow_headers = {"Authorization": f"Bearer {slow_token}"}
    with (
        connect(stage.address, additional_headers=slow_headers, max_queue=1) as slow,
        opened(stage, quick_token) as quick,
    ):
        for number in range(1, QUEUE + 200):
            stage.publish(number, text="x" * 60_000)
            assert next_of(quick)["id"] == number
        with pytest.raises(ConnectionClosed) as closed:
            read_to_the_end(slow)
    assert closed.value.rcvd.code == 1013
