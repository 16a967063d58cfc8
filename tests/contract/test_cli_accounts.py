"""``flexmeasures users``, ``roles``, ``add user`` and ``db upgrade``: complete, in order, and without secrets."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from flexmeasures import cli
from flexmeasures.data.database import HEAD, db
from flexmeasures.data.stores.users import find_user
from flexmeasures.data.tables import DataSource, Role, User

PASSWORD = "battery staple 7"


@pytest.fixture
def run(app, cast, monkeypatch):
    """Run a command on the application of the test."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def command(*words, typed=""):
        done = CliRunner().invoke(cli.cli, words, input=typed)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "$2b$" not in done.output, "the hash of a password"
        assert "Traceback" not in done.output
        assert PASSWORD not in done.output
        return done

    return command


def log_in(app, email, password=PASSWORD):
    """Ask for a token; give the status."""
    answer = app.test_client().post("/api/requestAuthToken", json={"email": email, "password": password})
    return answer.status_code


def user(app, email):
    """Look a user up."""
    db.session.expire_all()
    return find_user(db.session, email=email)


@pytest.mark.parametrize(
    "words",
    [
        ("new@example.com",),
        ("email:new@example.com",),
        ("new@example.com", "username:newcomer", "timezone:Europe/Paris"),
        ("new@example.com", "--username", "newcomer"),
    ],
    ids=" ".join,
)
def test_users_are_created(run, app, words):
    """`users create` makes a whole user, with a data source; the password may be given or is asked for twice."""
    given = run("users", "create", *words, "--password", PASSWORD, "--active")
    assert given.exit_code == 0, given.output
    assert "User created successfully." in given.output
    assert "****" in given.output
    assert log_in(app, "new@example.com") == 200
    with app.app_context():
        made = user(app, "new@example.com")
        assert made.username == ("newcomer" if any("newcomer" in word for word in words) else "new")
        assert db.session.query(DataSource).filter_by(user_id=made.id).count() == 1
    asked = run("users", "create", "second@example.com", "-a", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert asked.exit_code == 0, asked.output
    assert log_in(app, "second@example.com") == 200


def test_a_new_user_is_not_active_unless_told(run, app):
    """As with Flask-Security, a user is created without --active may not log in until activated."""
    run("users", "create", "new@example.com", "--password", PASSWORD)
    assert log_in(app, "new@example.com") == 401
    assert "has been activated" in run("users", "activate", "new@example.com").output
    assert log_in(app, "new@example.com") == 200
    assert "was already activated" in run("users", "activate", "new@example.com").output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("owner@seita.nl",), "already exists"),
        (("OWNER@seita.nl", "username:other"), "already exists"),
        (("new@example.com", "username:owner"), "already exists"),
        (("not an address",), "not a valid email address"),
        (("new@example.com", "timezone:Europe/Nowhere"), "Europe/Nowhere"),
        (("new@example.com", "colour:red"), "colour"),
        (("new@example.com", "password:x"), "password"),
        ((), "email address"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_before_a_password_is_asked_for(run, words, told):
    """Address, name and the rest are checked first: nobody types a password in vain."""
    done = run("users", "create", *words)
    assert done.exit_code in (1, 2)
    assert told in done.output
    assert "Password" not in done.output


@pytest.mark.parametrize(
    "words", [("--email", "owner@seita.nl"), ("--email", "nonsense"), ("--timezone", "Nowhere")]
)
def test_adding_a_user_checks_first_as_well(run, monkeypatch, words):
    """`add user` says what is wrong with the rest before it asks for a password."""
    monkeypatch.setattr("flexmeasures.cli.add._read_password", lambda _: pytest.fail("it was asked for"))
    usual = {"--username": "new", "--email": "new@example.com", "--timezone": "UTC"} | dict([words])
    done = run("add", "user", *(word for pair in usual.items() for word in pair))
    assert done.exit_code == 1
    assert words[1] in done.output


@pytest.mark.parametrize("password", ["short", "1"])
def test_passwords_that_are_too_short_are_refused(run, app, password):
    """A password is checked as on the page for new passwords, for new users and for old ones."""
    for words in (("create", "new@example.com"), ("change_password", "owner@seita.nl")):
        done = run("users", *words, "--password", password)
        assert done.exit_code == 2
        assert "8 characters" in done.output
    with app.app_context():
        assert user(app, "new@example.com") is None


def test_passwords_are_changed(run, app, owner):
    """`users change_password` gives a new password, and ends the tokens that there are."""
    assert run("users", "change_password", "nobody@seita.nl").exit_code == 2
    done = run("users", "change_password", "owner@seita.nl", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert log_in(app, "owner@seita.nl") == 200
    assert log_in(app, "owner@seita.nl", "correct horse") == 401
    assert owner.get("getConnection").status_code == 401


@pytest.mark.parametrize("command", ["deactivate", "reset_access"])
def test_access_is_taken_away(run, app, owner, cast, command):
    """`users deactivate` and `reset_access` end tokens and logins; only the first keeps the user out."""
    assert "User not found" in run("users", command, "nobody@seita.nl").output
    assert run("users", command, "owner@seita.nl").exit_code == 0
    assert owner.get("getConnection").status_code == 401
    assert log_in(app, "owner@seita.nl", cast.password) == (401 if command == "deactivate" else 200)
    run("users", "activate", "owner@seita.nl")
    assert owner.get("getConnection").status_code == 401, "what has ended stays ended"


def test_roles_are_made_given_and_taken(run, app):
    """The group `roles` does all that Flask-Security's does: create, add, remove, and permissions."""
    assert run("roles", "create", "auditor", "-d", "Looks only", "-p", "read, list").exit_code == 0
    assert run("roles", "add", "owner@seita.nl", "auditor").exit_code == 0
    assert run("roles", "add_permissions", "auditor", "export,print").exit_code == 0
    assert run("roles", "remove_permissions", "auditor", "list").exit_code == 0
    with app.app_context():
        role = db.session.query(Role).filter_by(name="auditor").one()
        assert (role.description, set(role.permissions)) == ("Looks only", {"read", "export", "print"})
        assert "auditor" in [role.name for role in user(app, "owner@seita.nl").roles]
    assert run("roles", "remove", "owner@seita.nl", "auditor").exit_code == 0
    with app.app_context():
        assert "auditor" not in [role.name for role in user(app, "owner@seita.nl").roles]
    for words in (
        ("create", "auditor"),
        ("create", " "),
        ("create", "x" * 81),
        ("add", "owner@seita.nl", "nonesuch"),
        ("add", "nobody@seita.nl", "auditor"),
        ("add_permissions", "nonesuch", "x"),
    ):
        assert run("roles", *words).exit_code == 2, words


def test_the_groups_are_complete(run):
    """The commands are those of Flask-Security, by name."""
    listed = run("users", "--help").output
    assert all(
        name in listed for name in ("create", "activate", "deactivate", "reset_access", "change_password")
    )
    listed = run("roles", "--help").output
    assert all(
        name in listed for name in ("create", "add", "remove", "add_permissions", "remove_permissions")
    )


def test_a_refusal_of_the_database_shows_no_row(run, app, monkeypatch):
    """What the database refuses is said in one sentence, without the row, in which the hash of a password stands."""

    def fail(session, **_):
        session.add(User(email="x@y.zz", username="x", password="$2b$hash", fs_uniquifier="1", timezone=None))
        session.execute(db.text("insert into fm_user (email, password) values ('a@b.cc', '$2b$hash')"))

    monkeypatch.setattr("flexmeasures.cli.add.create_user", fail)
    done = CliRunner().invoke(
        cli.cli,
        ["add", "user", "--username", "n", "--email", "n@example.com", "--password-stdin"],
        input=PASSWORD,
    )
    assert done.exit_code == 1
    assert "The database refuses that" in done.output
    assert "$2b$" not in done.output


def test_upgrading_says_what_it_did(run, app):
    """`db upgrade` names the revision before and after, or says that there was nothing to do."""
    assert f"The schema is at revision {HEAD} (the newest), as before." in run("db", "upgrade").output
    down = run("db", "downgrade", "0004").output
    assert f"The schema was at revision {HEAD} and is now at revision 0004." in down
    up = run("db", "upgrade").output
    assert f"The schema was at revision 0004 and is now at revision {HEAD} (the newest)." in up
