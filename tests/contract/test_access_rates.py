"""How often one may ask, and how often guess a password."""

import subprocess
import sys
import threading

import pytest
import redis

from flexmeasures.api import rates
from flexmeasures.api.rates import Rate
from flexmeasures.data.database import redis_connection
from flexmeasures.settings import SETTINGS


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still, half a minute after a full one, until it is moved."""

    class Clock:
        now = 1_000_000_000 * 60 + 30.0

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    return clock


def try_to_log_in(client, email, password="wrong", address="192.0.2.1"):
    """Ask for a token."""
    return client.post(
        "/api/requestAuthToken",
        json={"email": email, "password": password},
        environ_overrides={"REMOTE_ADDR": address},
    )


def test_guessing_is_stopped(app, client, cast, clock):
    """After ten wrong passwords in a minute the right one is not let in either, until the minute has passed."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "10 per minute"
    assert [try_to_log_in(client, cast.owner_email).status_code for _ in range(11)] == [401] * 10 + [429]
    refused = try_to_log_in(client, f" {cast.owner_email.upper()} ", cast.password)
    assert refused.status_code == 429
    assert refused.json["status"] == 429
    wait = int(refused.headers["Retry-After"])
    assert refused.json["errors"] == [f"Too many attempts to log in have failed. Try again in {wait} s."]
    clock.now += wait - 1
    assert try_to_log_in(client, cast.owner_email, cast.password).status_code == 429
    clock.now += 1
    assert try_to_log_in(client, cast.owner_email, cast.password).status_code == 200


def test_others_are_not_kept_out(app, client, cast, clock):
    """Guessing at one account from one address locks out neither other accounts nor other addresses."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    for _ in range(3):
        try_to_log_in(client, cast.owner_email)
    assert try_to_log_in(client, cast.owner_email, cast.password).status_code == 429
    assert try_to_log_in(client, cast.stranger_email, cast.password).status_code == 200
    assert try_to_log_in(client, cast.owner_email, cast.password, "192.0.2.2").status_code == 200


def test_trying_many_accounts_is_stopped(app, client, cast, clock):
    """One password tried at many accounts, known or not, is guessing, too: five times the limit of one account."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    tried = [try_to_log_in(client, f"{n}@example.com").status_code for n in range(11)]
    assert tried == [404] * 10 + [429]
    assert try_to_log_in(client, cast.owner_email, cast.password).status_code == 429


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:c000:201", "192.0.2.1", True),
    ],
)
def test_a_client_is_an_address_or_a_network(app, client, cast, clock, first, second, same):
    """Who has a network of IPv6 addresses is one client all the same."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "1 per minute"
    try_to_log_in(client, cast.owner_email, address=first)
    answer = try_to_log_in(client, cast.owner_email, cast.password, address=second)
    assert answer.status_code == (429 if same else 200)


def test_right_passwords_do_not_count(app, client, cast, clock):
    """A program that asks for a token again and again is not guessing."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    answers = [try_to_log_in(client, cast.owner_email, cast.password).status_code for _ in range(12)]
    assert answers == [200] * 12


@pytest.mark.parametrize("as_json", [False, True], ids=["form", "json"])
def test_the_login_page_is_limited_too(app, client, cast, clock, as_json):
    """Guessing on the page or with JSON is stopped as well, and both count together with the API."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "3 per minute"
    kind = "json" if as_json else "data"
    wrong = {"email": cast.owner_email, "password": "wrong"}
    for _ in range(2):
        assert client.post("/login", **{kind: wrong}).status_code in (200, 400)
    try_to_log_in(client, cast.owner_email, address="127.0.0.1")
    refused = client.post("/login", **{kind: {**wrong, "password": cast.password}})
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    assert "Try again in" in (refused.json["message"] if as_json else refused.text)
    assert client.get("/login").status_code == 200
    clock.now += 120
    assert client.post("/login", data={**wrong, "password": cast.password}).status_code == 302


@pytest.mark.parametrize("body", ["", "[]", "{", '{"email": 7}', "email=x"])
def test_bodies_that_name_nobody_are_answered_as_ever(app, client, cast, body):
    """The limit reads the address where there is one, and leaves the rest to the view."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "5 per minute"
    answer = client.post("/api/requestAuthToken", data=body, content_type="application/json")
    assert answer.status_code == 400


def test_logins_are_limited_unless_told_otherwise():
    """Production has a limit for guessing, and none for asking."""
    defaults = {setting.name: setting.default for setting in SETTINGS}
    assert defaults["FLEXMEASURES_LOGIN_RATE_LIMIT"] == "10 per minute"
    assert defaults["FLEXMEASURES_API_RATE_LIMIT"] == ""


def test_asking_can_be_limited(app, owner, stranger, clock):
    """With a limit set, each user may ask so often, whatever others do; refusals do not count."""
    app.config["FLEXMEASURES_API_RATE_LIMIT"] = "3 per minute"
    assert [owner.get("getConnection").status_code for _ in range(5)] == [200] * 3 + [429] * 2
    refused = owner.get("getConnection")
    assert refused.json["status"] == "TOO_MANY_REQUESTS"
    assert refused.json["message"].startswith("You may send 3 requests in 60 s. Try again in ")
    assert stranger.get("getConnection").status_code == 200
    clock.now += int(refused.headers["Retry-After"])
    assert owner.get("getConnection").status_code == 200
    assert owner.client.get("/docs").status_code == 200


def test_strangers_are_told_apart_by_address(app, client, clock):
    """Where nobody is logged in, the address counts; a browser's question beforehand does not."""
    app.config["FLEXMEASURES_API_RATE_LIMIT"] = "1 per hour"
    client.options("/api/")
    assert client.get("/api/").status_code == 200
    assert client.get("/api/").status_code == 429
    assert client.get("/api/", environ_overrides={"REMOTE_ADDR": "192.0.2.9"}).status_code == 200


def test_the_count_slides(app, clock):
    """Of the period before counts what the window still covers, so that nobody gets twice the rate at a boundary."""
    connection, rate = redis_connection(app), Rate(10, 60)
    assert [rates.count(connection, rate, "x") for _ in range(10)] == [0] * 10
    # half of this minute is left, and a tenth of the next one until 9 of the 10 count
    assert rates.count(connection, rate, "x") == 36
    clock.now += 60
    assert [bool(rates.count(connection, rate, "x")) for _ in range(6)] == [False] * 5 + [True]


def test_counters_disappear(app, clock):
    """What is counted is forgotten once it no longer matters."""
    connection = redis_connection(app)
    rates.count(connection, Rate(10, 60), "x")
    (key,) = connection.keys("flexmeasures:rate:*")
    assert 0 < connection.ttl(key) <= 120


def test_many_at_once_are_counted_once_each(app, clock):
    """Several server processes let in no more than one would."""
    connection, rate, let_in = redis_connection(app), Rate(20, 60), []

    def ask():
        let_in.extend(rates.count(connection, rate, "x") == 0 for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(let_in) <= 20
    assert len(let_in) == 50


def test_without_redis_there_is_no_limit(app, client, cast, monkeypatch, caplog):
    """That nothing can be counted is logged, and keeps nobody from working."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = app.config["FLEXMEASURES_API_RATE_LIMIT"] = "1 per day"

    def fail(*_):
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(rates, "redis_connection", fail)
    assert [try_to_log_in(client, cast.owner_email).status_code for _ in range(3)] == [401] * 3
    assert "Redis does not answer" in caplog.text


@pytest.mark.parametrize("text", ["", "10", "10/minute", "0 per minute", "ten per day"])
def test_only_rates_are_rates(text):
    """Anything else is not a limit; the settings refuse it, but for an empty text."""
    assert Rate.parse(text) is None


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1 per second", Rate(1, 1)), ("500 per hour", Rate(500, 3600)), ("9 per day", Rate(9, 86400))],
)
def test_rates_are_read(text, rate):
    """A rate is a number and a unit of time."""
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("door", ["/api/requestAuthToken", "/login"])
def test_guesses_at_once_get_no_further(app, cast, door):
    """Of forty guesses that come all at once no more than ten are looked at, and then the right one is not either."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "10 per hour"
    start, statuses = threading.Barrier(40), []

    def guess(number):
        browser = app.test_client()
        start.wait()
        body = {"email": cast.owner_email, "password": f"wrong {number}"}
        statuses.append(browser.post(door, json=body).status_code)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    looked_at = [status for status in statuses if status in (400, 401)]
    assert len(looked_at) <= 10
    assert statuses.count(429) == 40 - len(looked_at)
    body = {"email": cast.owner_email, "password": cast.password}
    for _ in range(10 - len(looked_at)):
        app.test_client().post(door, json={**body, "password": "wrong"})
    assert app.test_client().post(door, json=body).status_code == 429


def test_processes_share_one_count(app, cast):
    """What several processes reserve at once is counted as if it were one: the step is inside Redis."""
    code = (
        "import sys, redis\nfrom flexmeasures.api.rates import Rate, reserve\n"
        "connection = redis.Redis.from_url(sys.argv[1])\nsys.stdin.readline()\n"
        "limits = [(Rate(10, 3600), 'x:y'), (Rate(50, 3600), 'x')]\n"
        "print(sum(reserve(connection, limits).wait == 0 for _ in range(20)))"
    )
    command = [sys.executable, "-c", code, app.extensions["embedded"].services.redis_url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    outputs = [process.communicate("\n", timeout=60)[0] for process in processes]
    assert sum(map(int, outputs)) == 10


@pytest.mark.parametrize(
    "written",
    [
        "OWNER@SEITA.NL",
        " owner@seita.nl ",
        "owner@SEITA.nl",
        "\uff4fwner@seita.nl",
        "owner@\uff53eita.nl",
        "owner@\u017feita.nl",
    ],
)
@pytest.mark.parametrize("door", ["/api/requestAuthToken", "/login"])
def test_an_account_is_counted_once_however_it_is_written(app, client, cast, clock, door, written):
    """Whatever way of writing an address leads to an account, all guesses at it count together."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    for _ in range(2):
        client.post(door, json={"email": written, "password": "wrong"})
    answer = client.post(door, json={"email": cast.owner_email, "password": cast.password})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "email", [["owner@seita.nl"], {"0": "owner@seita.nl"}, 7, True, None, [], [["owner@seita.nl"]]], ids=repr
)
@pytest.mark.parametrize("door", ["/api/requestAuthToken", "/login"])
def test_what_is_not_a_text_names_no_account(app, client, cast, clock, door, email):
    """An address in a list, or of another type, is refused before any password is looked at, the right one included."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    for _ in range(4):
        answer = client.post(door, json={"email": email, "password": cast.password})
        assert answer.status_code == 400
        assert "auth_token" not in answer.text
    assert client.get("/").status_code == 302


def test_two_addresses_name_no_account(app, client, cast, clock):
    """A form with two addresses is refused: what is counted must be what is looked up."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    form = {"email": ["x@example.com", cast.owner_email], "password": cast.password}
    assert client.post("/login", data=form).status_code == 400


def test_mails_for_new_passwords_are_limited(app, client, postbox, cast, clock):
    """Nobody's post box is filled: links for new passwords are limited like attempts to log in, and apart from them."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    statuses = [client.post("/reset", data={"email": cast.owner_email}).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert len(postbox.mails) == 2
    assert (
        client.post("/login", data={"email": cast.owner_email, "password": cast.password}).status_code == 302
    )


def test_one_who_guesses_locks_out_nobody_elsewhere(app, client, cast, clock):
    """A stranger who fails everywhere keeps the owner out from no other address, IPv4 written as IPv6 included."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "2 per minute"
    for number in range(12):
        try_to_log_in(
            client, cast.owner_email if number < 3 else f"{number}@x.org", address="::ffff:198.51.100.7"
        )
    for address in ("::ffff:198.51.100.8", "198.51.100.8", "2001:db8::7"):
        assert try_to_log_in(client, cast.owner_email, cast.password, address).status_code == 200
