"""Starting, sharing and stopping the embedded services."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import stat
from pathlib import Path

import pytest

from flexmeasures.data.embedded import EmbeddedServices, postgres
from flexmeasures.data.postgres_programs import find_installed
from flexmeasures.domain.errors import StoreUnavailable


def test_addresses_are_known_before_anything_is_started(new_instance):
    """Asking for the addresses starts nothing and writes nothing."""
    assert new_instance.services.database_uri.startswith("postgresql+psycopg://")
    assert new_instance.services.redis_url.startswith("unix://")
    assert not new_instance.path.exists()


def test_data_survive_a_stop_and_the_stop_leaves_nothing(new_instance):
    """After the only process has left, no server and no lock remains, and the next start finds the data."""
    new_instance.start()
    new_instance.sql("CREATE TABLE note AS SELECT 42 AS answer")
    with contextlib.closing(new_instance.redis()) as store:
        store.set("note", "kept")
    assert set(new_instance.servers()) == {"postgres", "valkey-server"}
    new_instance.services.leave()
    assert new_instance.servers() == {}
    assert new_instance.remains() == []
    new_instance.start()
    assert new_instance.sql("SELECT answer FROM note") == [(42,)]
    with contextlib.closing(new_instance.redis()) as store:
        assert store.get("note") == b"kept"


def test_a_second_start_in_one_process_does_nothing(instance):
    """A process may ask for the services as often as it likes, through several objects."""
    instance.start()
    before = instance.servers()
    EmbeddedServices(instance.path).ensure_postgres()
    instance.start()
    assert instance.servers() == before


def test_the_last_to_leave_stops_the_services(instance):
    """While another process uses the services they go on; when it ends they end."""
    member = instance.start_member()
    instance.await_member(member)
    before = instance.servers()
    instance.start()
    assert instance.servers() == before
    instance.services.leave()
    assert instance.servers() == before
    instance.end_member(member)
    assert instance.servers() == {}
    assert instance.remains() == []


def test_whoever_started_may_leave_first(instance):
    """The services outlive the process that started them, as long as another one uses them."""
    instance.start()
    member = instance.start_member()
    instance.await_member(member)
    before = instance.servers()
    instance.services.leave()
    assert instance.servers() == before
    instance.end_member(member)
    assert instance.servers() == {}


def test_many_processes_may_start_at_once(new_instance):
    """Processes that start together at an empty folder get the same servers, and leave nothing together."""
    members = [new_instance.start_member() for _ in range(5)]
    for member in members:
        new_instance.await_member(member)
    assert set(new_instance.servers()) == {"postgres", "valkey-server"}
    for member in members:
        member.stdin.close()
        member.stdin = None
    for member in members:
        new_instance.end_member(member)
    assert new_instance.servers() == {}
    assert new_instance.remains() == []


def test_coming_and_going_never_meets_a_stopping_server(instance):
    """A process that starts while the last one stops waits, and then has servers that stay."""
    instance.start()
    for _ in range(3):
        member = instance.start_member()
        instance.services.leave()
        instance.await_member(member)
        instance.end_member(member)
        instance.start()
        assert instance.sql("SELECT 1") == [(1,)]


def test_a_forked_child_does_not_stop_the_services_of_its_parent(instance):
    """A child that ends, even one that used and left the services itself, leaves them to its parent."""
    instance.start()
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            instance.services.leave()
            instance.start()
            instance.services.leave()
            status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert instance.sql("SELECT 1") == [(1,)]
    instance.services.leave()
    assert instance.servers() == {}


def test_two_instances_run_side_by_side(make_instance):
    """Each folder has servers and data of its own."""
    one, other = make_instance("one"), make_instance("other")
    one.start()
    other.start()
    one.sql("CREATE TABLE note AS SELECT 1 AS number")
    assert other.sql("SELECT to_regclass('note')") == [(None,)]
    one.services.leave()
    assert set(other.servers()) == {"postgres", "valkey-server"}


@pytest.mark.parametrize("name", ["a folder, with 'signs' & 100% blanks", "deep/" * 30 + "folder", "Städte"])
def test_any_folder_will_do(make_instance, name):
    """Neither a long path nor strange signs in it keep the services from starting, or leave a socket."""
    instance = make_instance(name, new=True)
    instance.start()
    assert instance.sql("SELECT 1") == [(1,)]
    socket_folder = Path(instance.services.redis_url.removeprefix("unix://")).parent
    assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    instance.services.leave()
    assert not socket_folder.exists()


def test_nobody_else_may_look_at_the_data(new_instance):
    """Data, logs and sockets are for their owner only, whatever the umask says."""
    umask = os.umask(0)
    try:
        new_instance.start()
    finally:
        os.umask(umask)
    for name in ("postgres", "valkey", "logs", "run", "run-pg"):
        assert stat.S_IMODE((new_instance.path / name).stat().st_mode) == 0o700


def test_the_servers_do_not_hear_the_terminal(instance):
    """The servers have sessions of their own, so that Ctrl-C in a terminal does not end them too early."""
    instance.start()
    for pid in instance.servers().values():
        assert os.getsid(pid) == pid


def test_commits_are_durable_by_default(make_instance):
    """Unless told to be fast, PostgreSQL writes a commit to disk before it answers."""
    instance = make_instance("durable")
    instance.services = EmbeddedServices(instance.path)
    instance.start()
    assert instance.sql("SHOW fsync") == [("on",)]
    assert instance.sql("SHOW synchronous_commit") == [("on",)]
    with contextlib.closing(instance.redis()) as store:
        assert store.config_get("append*")["appendonly"] == "yes"


@pytest.mark.parametrize(
    ("ensure", "setting"),
    [("ensure_postgres", "SQLALCHEMY_DATABASE_URI"), ("ensure_valkey", "FLEXMEASURES_REDIS_URL")],
)
def test_a_platform_without_wheels_is_told_what_to_do(new_instance, monkeypatch, ensure, setting):
    """Where the package brings no program, the message names the setting for a server of one's own."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StoreUnavailable, match=f"(?s)o embedded.*{setting}"):
        getattr(new_instance.services, ensure)()


def test_a_server_that_cannot_start_says_why(instance):
    """The message holds the last words of the server, and the setting for another one."""
    instance.start()
    instance.services.leave()
    (instance.path / "postgres" / "postgresql.conf").write_text("nonsense = yes\n")
    with pytest.raises(StoreUnavailable, match=r"(?s)unrecognized configuration.*SQLALCHEMY_DATABASE_URI"):
        instance.services.ensure_postgres()


def test_data_of_another_release_are_not_touched(instance):
    """Data that no installed PostgreSQL can read are refused with both versions named."""
    instance.services.ensure_postgres()
    instance.services.leave()
    (instance.path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StoreUnavailable, match="written by PostgreSQL 9,"):
        instance.services.ensure_postgres()


def test_another_release_keeps_reading_its_data(new_instance, monkeypatch):
    """Data of a version that the package does not bring are served by the machine's own PostgreSQL of that version."""
    brought = postgres._find_program(None)
    others = {number: path for number, path in find_installed("postgres").items() if path != brought}
    if not others:
        pytest.skip("no other PostgreSQL is installed on this machine (Debian: apt-get install postgresql)")
    version, older = max(others.items())
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_find_program", lambda _: older)
        new_instance.services.ensure_postgres()
        new_instance.services.leave()
    new_instance.services.ensure_postgres()
    assert new_instance.sql("SHOW server_version")[0][0].startswith(f"{version}.")


def test_a_folder_whose_superuser_is_our_role_goes_on_serving(new_instance, monkeypatch):
    """A folder that a former version made, with our own role as its superuser, is served as it is."""
    monkeypatch.setattr(postgres, "_SUPERUSER", postgres.USER)
    new_instance.start()
    new_instance.sql("CREATE TABLE kept AS SELECT 7 AS value")
    new_instance.services.leave()
    monkeypatch.undo()
    new_instance.start()
    assert new_instance.sql("SELECT value FROM kept") == [(7,)]
