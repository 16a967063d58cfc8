"""Whatever is killed, the next start finds everything that was committed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time

import psutil
import psycopg
import pytest

from flexmeasures.app import create
from flexmeasures.data.database import db, prepare, redis_connection

pytestmark = pytest.mark.faults


def _remember(instance) -> None:
    instance.sql("CREATE TABLE note AS SELECT 42 AS answer")
    with contextlib.closing(instance.redis()) as store:
        store.set("note", "kept")


def _recall(instance) -> tuple:
    with contextlib.closing(instance.redis()) as store:
        return instance.sql("SELECT answer FROM note"), store.get("note")


def test_killed_servers_are_started_again_with_their_data(instance):
    """After kill -9 of both servers the next process starts them, with all that was committed."""
    member = instance.start_member()
    instance.await_member(member)
    _remember(instance)
    for pid in instance.servers().values():
        psutil.Process(pid).kill()
    member.kill()
    member.communicate()
    instance.start()
    assert _recall(instance) == ([(42,)], b"kept")


def test_killed_servers_are_started_again_while_their_starter_lives(instance):
    """Dead servers whose parent lives, and has not asked after them yet, do not pass for living ones."""
    instance.start()
    _remember(instance)
    for pid in instance.servers().values():
        os.kill(pid, 9)
    member = instance.start_member()
    instance.await_member(member)
    assert _recall(instance) == ([(42,)], b"kept")
    instance.end_member(member)


def test_who_has_used_them_starts_killed_servers_again(instance):
    """A process that has used both servers starts them anew when they have died since, with their data."""
    instance.start()
    _remember(instance)
    _kill_servers(instance)
    instance.start()
    assert _recall(instance) == ([(42,)], b"kept")
    assert set(instance.servers()) == {"postgres", "valkey-server"}


def test_an_application_goes_on_when_its_servers_are_killed(instance):
    """The very next request finds both stores ready again: no process has to be started anew."""
    app = create("testing", settings={"FLEXMEASURES_INSTANCE_PATH": str(instance.path)})
    prepare(app)
    client = app.test_client()
    try:
        assert client.get("/api/ops/ready").status_code == 200
        _kill_servers(instance)
        assert client.get("/api/ops/ready").status_code == 200
    finally:
        with app.app_context():
            db.engine.dispose()
        redis_connection(app).connection_pool.disconnect()


def _kill_servers(instance) -> None:
    for pid in instance.servers().values():
        os.kill(pid, 9)
    while instance.servers():  # a dead one that nobody has asked after yet has no command line
        time.sleep(0.01)


def test_everything_killed_at_once(instance):
    """After kill -9 of all processes together the next start has the data, and its end leaves nothing."""
    member = instance.start_member()
    instance.await_member(member)
    _remember(instance)
    instance.kill_everything()
    instance.start()
    assert _recall(instance) == ([(42,)], b"kept")
    instance.services.leave()
    assert instance.servers() == {}
    assert instance.remains() == []


def test_orphaned_servers_are_used_again_and_then_stopped(instance):
    """Servers whose users were all killed go on, serve the next process, and are stopped when that leaves."""
    member = instance.start_member()
    instance.await_member(member)
    before = instance.servers()
    member.kill()
    member.communicate()
    instance.start()
    assert instance.servers() == before
    instance.services.leave()
    assert instance.servers() == {}
    assert instance.remains() == []


def test_a_process_number_used_again_is_no_server(instance):
    """A pid file that names a living stranger, as after the restart of a container, is not an obstacle."""
    instance.start()
    _remember(instance)
    pid_files = [instance.path / "postgres" / "postmaster.pid", instance.path / "valkey" / "valkey.pid"]
    kept = [path.read_text().split("\n", 1) for path in pid_files]
    instance.services.leave()
    for path, (_, *rest) in zip(pid_files, kept, strict=True):
        path.write_text("\n".join([str(os.getpid()), *rest]))
    instance.start()
    assert _recall(instance) == ([(42,)], b"kept")


def test_a_start_that_was_killed_half_way_is_taken_up(new_instance):
    """Folders of a first start that was killed are made anew."""
    draft = new_instance.path / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    new_instance.start()
    assert new_instance.sql("SELECT 1") == [(1,)]
    assert not draft.exists()


def test_a_start_killed_at_any_moment_is_taken_up(new_instance):
    """Wherever kill -9 meets a first start, the next one succeeds and leaves nothing when it ends."""
    for delay in (0.5, 0.8, 1.0):
        member = new_instance.start_member()
        with contextlib.suppress(subprocess.TimeoutExpired):
            member.wait(delay)
        member.kill()
        member.communicate()
    new_instance.start()
    assert new_instance.sql("SELECT 1") == [(1,)]
    new_instance.services.leave()
    assert new_instance.servers() == {}
    assert new_instance.remains() == []


def test_a_stop_that_was_killed_is_completed(instance):
    """A server that is shutting down when the next process comes is waited for, and started again."""
    member = instance.start_member()
    instance.await_member(member)
    _remember(instance)
    pid = instance.servers()["postgres"]
    member.kill()
    member.communicate()
    os.kill(pid, 2)
    instance.start()
    assert _recall(instance) == ([(42,)], b"kept")


@pytest.mark.skipif(sys.platform != "linux", reason="sessions of a dead server are found through /proc")
def test_a_busy_session_of_a_killed_server_does_not_prevent_a_start(instance):
    """A session that computes on after its server was killed is ended: it would keep a new one away."""
    member = instance.start_member()
    instance.await_member(member)
    server = psutil.Process(instance.servers()["postgres"])

    def compute() -> None:
        with contextlib.suppress(psycopg.OperationalError):
            instance.sql("SELECT count(*) FROM generate_series(1, 3000000000)")

    thread = threading.Thread(target=compute)
    thread.start()
    while not instance.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%series(1, 3%' AND pid <> pg_backend_pid()"
    ):
        pass
    server.kill()
    member.kill()
    member.communicate()
    instance.start()
    assert instance.sql("SELECT 1") == [(1,)]
    thread.join(10)
    assert not thread.is_alive()


def test_a_server_without_socket_is_replaced(instance, monkeypatch):
    """A server whose socket somebody has removed can be reached by nobody; it is ended and started again."""
    monkeypatch.setattr("flexmeasures.data.embedded.server.DEAF_PATIENCE", 0.3)
    member = instance.start_member()
    instance.await_member(member)
    _remember(instance)
    for file in (*(instance.path / "run").iterdir(), *(instance.path / "run-pg").iterdir()):
        file.unlink()
    instance.start()
    assert _recall(instance) == ([(42,)], b"kept")


def test_servers_of_a_removed_folder_are_stopped(instance):
    """If somebody removes the instance folder under running servers, the last process to leave still ends them."""
    instance.start()
    shutil.rmtree(instance.path)
    instance.services.leave()
    assert instance.servers() == {}
    assert instance.remains() == []
