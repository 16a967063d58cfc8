"""HTTPS, proxies and logging in with a browser."""

import re
from urllib.parse import urlsplit

import pytest

from flexmeasures.app import create
from flexmeasures.data.database import db
from flexmeasures.data.tables import User


@pytest.fixture
def make_client(app):
    """Make somebody who asks an application with other settings, on the same servers."""

    def make(**settings):
        told = {"FLEXMEASURES_INSTANCE_PATH": app.instance_path, **settings}
        return create("testing", settings=told).test_client()

    return make


@pytest.fixture
def strict(make_client):
    """Somebody who asks an application that insists on HTTPS, as production and staging do."""
    return make_client(FLEXMEASURES_FORCE_HTTPS=True)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1", "127.0.0.1:5000", "[::1]", "[::1]:5000"]
)
def test_plain_http_works_on_this_machine(strict, host):
    """Nobody listens in on localhost: no redirect, whatever the environment."""
    assert strict.get("/api/", base_url=f"http://{host}").status_code == 200


@pytest.mark.parametrize(
    "host", ["energy.example.com", "192.168.1.5:5000", "localhost.example.com", "[::2]:5000"]
)
def test_other_hosts_are_sent_to_https(strict, host):
    """Plain HTTP to another host is sent on, with method, path and query kept."""
    answer = strict.post("/api/requestAuthToken?x=1", base_url=f"http://{host}", json={})
    assert answer.status_code == 308
    assert answer.location == f"https://{host}/api/requestAuthToken?x=1"
    assert strict.get("/api/", base_url=f"https://{host}").status_code == 200


@pytest.mark.parametrize(
    "settings", [{"FLEXMEASURES_FORCE_HTTPS": False}, {"DEBUG": True}], ids=["off", "debug"]
)
def test_https_need_not_be_insisted_on(make_client, settings):
    """The setting and debug mode let plain HTTP pass everywhere."""
    client = make_client(**{"FLEXMEASURES_FORCE_HTTPS": True, **settings})
    assert client.get("/api/", base_url="http://energy.example.com").status_code == 200


def test_strangers_cannot_pretend_to_be_a_proxy(strict):
    """Without trusted proxies, X-Forwarded headers mean nothing."""
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost"}
    answer = strict.get("/api/", base_url="http://energy.example.com", headers=headers)
    assert answer.status_code == 308
    assert answer.location == "https://energy.example.com/api/"


def test_proxies_are_believed_if_trusted(make_client):
    """Behind one trusted proxy its word counts; what the client wrote before it does not."""
    client = make_client(FLEXMEASURES_FORCE_HTTPS=True, FLEXMEASURES_TRUSTED_PROXIES=1)
    host = "http://energy.example.com"
    secure = client.get("/api/", base_url=host, headers={"X-Forwarded-Proto": "https"})
    assert secure.status_code == 200
    forged = client.get("/api/", base_url=host, headers={"X-Forwarded-Proto": "https, http"})
    assert forged.status_code == 308
    redirected = client.get(
        "/api/", headers={"X-Forwarded-Proto": "http", "X-Forwarded-Host": "energy.example.com"}
    )
    assert redirected.location == "https://energy.example.com/api/"


def log_in(client, email, password, **query):
    """Send the login form."""
    return client.post("/login", query_string=query, data={"email": email, "password": password})


def test_the_login_page_is_shown(client):
    """The page has its form, in the frame of the platform."""
    answer = client.get("/login")
    assert answer.status_code == 200
    assert "<title>Please log in - FlexMeasures</title>" in answer.text
    assert 'name="email"' in answer.text
    assert 'type="password"' in answer.text


def test_pages_ask_for_a_login(client, cast):
    """Who is not logged in is sent to the login page, which remembers where they wanted to go."""
    answer = client.get("/")
    assert answer.status_code == 302
    assert answer.location == "/login?next=/"
    assert 'action="/login?next=%2Fsome"' in client.get("/login?next=/some").text.replace(
        "next=/", "next=%2F"
    )


def test_a_login_leads_to_the_start_page(client, cast):
    """Who logs in sees what they own, and the login is counted."""
    answer = log_in(client, cast.owner_email, cast.password)
    assert (answer.status_code, answer.location) == (302, "/")
    page = client.get("/").text
    assert "Welcome, owner" in page
    assert "Test battery" in page
    assert "Foreign battery" not in page
    with client.application.app_context():
        user = db.session.get(User, cast.owner_id)
        assert user.login_count == 1
        assert user.last_login_at.tzinfo is not None


def test_a_login_leads_where_one_wanted_to_go(client, cast):
    """The page that asked for the login comes next."""
    assert log_in(client, cast.owner_email, cast.password, next="/somewhere?x=1").location == "/somewhere?x=1"


@pytest.mark.parametrize(
    "target", ["https://evil.example.com/", "//evil.example.com/", "\\\\evil.example.com"]
)
def test_a_login_leads_nowhere_else(client, cast, target):
    """A link that would lead to another host after login does not."""
    location = log_in(client, cast.owner_email, cast.password, next=target).headers.get("Location", "")
    assert urlsplit(location).netloc == ""
    assert "\\" not in location


@pytest.mark.parametrize(
    ("email", "password"),
    [
        pytest.param("owner@seita.nl", "wrong", id="wrong password"),
        pytest.param("nobody@seita.nl", "wrong", id="unknown address"),
        pytest.param("owner@seita.nl", "", id="no password"),
        pytest.param("<script>", "x", id="no address"),
    ],
)
def test_a_wrong_login_shows_the_page_again(client, cast, email, password):
    """The page comes again with an error; the address stays filled in, and nothing of it runs as a script."""
    answer = log_in(client, email, password)
    assert answer.status_code == 200
    assert 'class="notice error"' in answer.text
    assert "<script>" not in answer.text
    if "@" in email:
        assert f'value="{email}"' in answer.text
    assert client.get("/").status_code == 302


def test_no_other_site_can_log_somebody_in(make_client, cast):
    """The form is taken only with the token that it was shown with."""
    browser = make_client(WTF_CSRF_ENABLED=True)
    form = {"email": cast.owner_email, "password": cast.password}
    refused = browser.post("/login", data=form)
    assert (refused.status_code, "CSRF token is missing" in refused.text) == (200, True)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/login").text)[1]
    assert browser.post("/login", data={**form, "csrf_token": token}).status_code == 302


def test_an_inactive_user_cannot_log_in(client, cast):
    """An account that was closed does not open, not even with the right password, nor does an open session go on."""
    other = client.application.test_client()
    log_in(other, cast.owner_email, cast.password)
    with client.application.app_context():
        db.session.get(User, cast.owner_id).active = False
        db.session.commit()
    answer = log_in(client, cast.owner_email, cast.password)
    assert answer.status_code == 200
    assert 'class="notice error"' in answer.text
    assert client.get("/").status_code == 302
    assert other.get("/").status_code == 302


def test_sessions_are_kept_from_scripts_and_other_sites(client, cast):
    """The cookie of a session can neither be read by scripts nor sent along by other sites' forms."""
    cookie = log_in(client, cast.owner_email, cast.password).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_the_start_page_works_on_any_host(client, cast):
    """On a host whose owner nobody has configured, the list of assets says what to configure instead of failing."""
    base = "http://energy.example.com"
    client.post("/login", base_url=base, data={"email": cast.owner_email, "password": cast.password})
    assert client.get("/", base_url=base).status_code == 200
    answer = client.get("/assets/", base_url=base)
    assert answer.status_code == 200
    assert "Test battery" in answer.text
    assert "FLEXMEASURES_HOSTS_AND_AUTH_START" in answer.text


@pytest.mark.parametrize(
    ("path", "kind"), [("/no-such-page", "text/html"), ("/api/no-such-thing", "application/json")]
)
def test_errors_come_in_the_language_of_the_asker(client, path, kind):
    """People get a page of the platform, programs get JSON."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.mimetype == kind


def test_other_origins_are_allowed_on_request(make_client):
    """A browser may call the API from the origins that are configured, and from no others."""
    client = make_client(CORS_ORIGINS=["https://app.example.com"])
    allowed = client.get("/api/", headers={"Origin": "https://app.example.com"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert allowed.headers["Access-Control-Allow-Credentials"] == "true"
    assert (
        "Access-Control-Allow-Origin"
        not in client.get("/api/", headers={"Origin": "https://evil.example"}).headers
    )
    assert (
        "Access-Control-Allow-Origin"
        not in client.get("/login", headers={"Origin": "https://app.example.com"}).headers
    )


def test_other_origins_are_not_allowed_by_default(client):
    """Without configuration no origin is named."""
    assert (
        "Access-Control-Allow-Origin"
        not in client.get("/api/", headers={"Origin": "https://x.example"}).headers
    )


def test_all_origins_get_no_credentials(make_client):
    """Where all origins are allowed, cookies are not."""
    answer = make_client(CORS_ORIGINS="*").get("/api/", headers={"Origin": "https://x.example"})
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://x.example")
    assert "Access-Control-Allow-Credentials" not in answer.headers
