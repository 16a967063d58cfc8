"""People in browsers: links in mails, cookies, foreign pages, logging out, and what pages may load."""

from __future__ import annotations

import re

import pytest

from flexmeasures.app import create
from flexmeasures.data.database import db
from flexmeasures.data.tables import User

OURS = "https://energy.example.com"
EVIL = "evil.example"


@pytest.fixture
def make_client(app):
    """Make a browser of an application with other settings, on the same servers."""

    def make(**settings):
        mail = {name: app.config[name] for name in ("MAIL_SERVER", "MAIL_PORT")}
        told = {"FLEXMEASURES_INSTANCE_PATH": app.instance_path, **mail, **settings}
        return create("testing", settings=told).test_client()

    return make


def log_in(client, cast, base_url=OURS, **form):
    """Log the owner in with the form; give the cookies that are set, by name."""
    form = {"email": cast.owner_email, "password": cast.password, **form}
    answer = client.post("/login", base_url=base_url, data=form)
    assert answer.status_code == 302, answer.text
    return {text.partition("=")[0]: text for text in answer.headers.getlist("Set-Cookie")}


def links_in(postbox):
    """Find all addresses of the web in all mails."""
    bodies = [
        part.get_content()
        for mail in postbox.mails
        for part in mail.walk()
        if part.get_content_type().startswith("text/")
    ]
    return re.findall(r"https?://[^\s\"<]+", " ".join(bodies))


FORGED = [
    pytest.param("Host", EVIL, id="host"),
    pytest.param("Host", f"{EVIL}:443", id="host with port"),
    pytest.param("Host", "energy.example.com.evil.example", id="host that begins like ours"),
    pytest.param("Host", "energy.example.com:8443", id="another port of ours"),
    pytest.param("X-Forwarded-Host", EVIL, id="forwarded host"),
    pytest.param("X-Forwarded-Host", f"energy.example.com, {EVIL}", id="forwarded hosts"),
]


@pytest.mark.parametrize("door", ["form", "json", "api"])
@pytest.mark.parametrize(("header", "value"), FORGED)
def test_no_mail_leads_to_a_host_that_is_not_ours(make_client, postbox, cast, header, value, door):
    """Asked under another name, directly or behind one trusted proxy, no mail is sent and nothing is changed."""
    client = make_client(
        FLEXMEASURES_HOSTS_AND_AUTH_START={"energy.example.com": "2021-01"}, FLEXMEASURES_TRUSTED_PROXIES=1
    )
    headers = {header: value}
    if door == "api":
        token = client.post(
            "/api/requestAuthToken", json={"email": cast.owner_email, "password": cast.password}
        ).json["auth_token"]
        path = f"/api/v2_0/user/{cast.owner_id}/password-reset"
        answer = client.patch(path, base_url=OURS, headers={**headers, "Authorization": token})
    else:
        body = {"data" if door == "form" else "json": {"email": cast.owner_email}}
        answer = client.post("/reset", base_url=OURS, headers=headers, **body)
    assert answer.status_code == 400
    assert "FLEXMEASURES_HOSTS_AND_AUTH_START" in answer.text
    assert EVIL not in answer.text
    assert postbox.mails == []
    assert (
        client.post("/login", data={"email": cast.owner_email, "password": cast.password}).status_code == 302
    )


@pytest.mark.parametrize(
    ("base", "link"),
    [
        (OURS, OURS),
        ("https://ENERGY.example.com:443", OURS),
        ("http://localhost:5000", "http://localhost:5000"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
    ],
)
def test_mails_lead_to_hosts_of_ours(make_client, postbox, cast, base, link):
    """The link in the mail leads to the configured name under which one asked, or to this machine, and it works."""
    hosts = {"energy.example.com": "2021-01", "app.example.com:8443": "2021-01"}
    client = make_client(FLEXMEASURES_HOSTS_AND_AUTH_START=hosts)
    client.post("/reset", base_url=base, data={"email": cast.owner_email})
    found = links_in(postbox)
    assert found
    assert {one.lower().replace(":443/", "/").startswith(f"{link}/reset/") for one in found} == {True}
    path = found[0].partition("/reset/")[2]
    assert "Choose a new password" in client.get(f"/reset/{path}", base_url=base).text
    chosen = {"password": "a new one, and long", "password_confirm": "a new one, and long"}
    assert client.post(f"/reset/{path}", base_url=base, data=chosen).status_code == 302
    with client.application.app_context():
        db.session.remove()
    again = {"email": cast.owner_email, "password": "a new one, and long"}
    assert client.post("/api/requestAuthToken", json=again).status_code == 200


def test_the_reset_page_does_not_tell_who_has_an_account(client, postbox, cast):
    """Known and unknown addresses get the same page; only the known one gets a mail."""
    pages = [client.post("/reset", data={"email": email}) for email in (cast.owner_email, "nobody@seita.nl")]
    assert {page.status_code for page in pages} == {200}
    same = [page.text.replace(cast.owner_email, "X").replace("nobody@seita.nl", "X") for page in pages]
    assert same[0] == same[1]
    assert [mail["To"] for mail in postbox.mails] == [cast.owner_email]


def test_the_login_page_does_not_tell_who_has_an_account(client, cast):
    """A wrong password and an unknown address look the same, as a page and as JSON."""
    for kind in ("data", "json"):
        answers = [
            client.post("/login", **{kind: {"email": email, "password": "wrong"}}).text.replace(email, "X")
            for email in (cast.owner_email, "nobody@seita.nl")
        ]
        assert answers[0] == answers[1]


def test_the_pages_for_passwords_look_like_the_login_page(client, cast):
    """The page for a forgotten password has the platform's frame and card, and the login page leads there."""
    page = client.get("/reset").text
    assert 'class="card"' in page
    assert re.search(r"/ui/static/style\.[0-9a-f]{12}\.css", page)
    assert 'href="/login"' in page
    assert 'href="/reset"' in client.get("/login").text


def test_all_pages_for_accounts_have_the_platforms_frame(make_client, cast):
    """Pages of Flask-Security that a setting switches on, or that are seldom seen, look like the others."""
    client = make_client(SECURITY_REGISTERABLE=True, SECURITY_CHANGEABLE=True)
    register = client.get("/register").text
    log_in(client, cast, base_url="http://localhost")
    for page in (register, client.get("/change").text, client.get("/verify").text):
        assert re.search(r"/ui/static/style\.[0-9a-f]{12}\.css", page)
        assert 'class="brand"' in page
        assert "<form" in page


def test_cookies_over_https_are_kept_safe(client, cast):
    """Both cookies of a login are closed to scripts, other sites and plain HTTP."""
    cookies = log_in(client, cast, remember="y")
    assert cookies.keys() == {"session", "remember_token"}
    for cookie in cookies.values():
        attributes = {part.strip() for part in cookie.split(";")}
        assert {"HttpOnly", "Secure", "SameSite=Lax"} <= attributes, cookie


def test_cookies_work_over_plain_http_on_this_machine(client, cast):
    """Without HTTPS cookies are not marked Secure, because they would not come back."""
    cookies = log_in(client, cast, base_url="http://localhost", remember="y")
    assert not any("Secure" in cookie for cookie in cookies.values())
    assert client.get("/").status_code == 200


def udi_event(cast):
    """Write a message that changes something."""
    return {
        "type": "PostUdiEventRequest",
        "event": cast.address("battery", "205:soc"),
        "value": 3,
        "unit": "MWh",
        "datetime": "2015-01-01T00:00:00+00:00",
    }


FOREIGN = [
    pytest.param({"Origin": f"https://{EVIL}"}, id="another site"),
    pytest.param({"Origin": "null"}, id="no site"),
    pytest.param({"Origin": "https://energy.example.com.evil.example"}, id="a name that begins like ours"),
    pytest.param({"Origin": "https://energy.example.com:8443"}, id="another port"),
    pytest.param(
        {"Origin": "https://sub.energy.example.com", "Sec-Fetch-Site": "same-site"}, id="a neighbour"
    ),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site without name"),
    pytest.param({}, id="nobody says"),
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_foreign_page_changes_nothing(client, cast, headers, kind):
    """What a foreign page makes a browser send with its cookies is refused before it is looked at."""
    log_in(client, cast)
    path, body = "/api/v2_0/postUdiEvent", udi_event(cast)
    answer = client.post(
        path, base_url=OURS, headers=headers, content_type=kind, data=client.application.json.dumps(body)
    )
    assert answer.status_code == 403
    assert "application/json" in answer.json["message"]


def test_our_pages_and_programs_go_on(client, cast):
    """Pages of ours, programs that send JSON, and programs with a token are let in, cookie or not."""
    log_in(client, cast)
    path = f"/api/v2_0/user/{cast.owner_id}"
    for headers in (
        {"Origin": OURS},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxied.example"},
        {},
    ):
        answer = client.patch(path, base_url=OURS, headers=headers, json={"timezone": "Europe/Paris"})
        assert answer.status_code == 200, headers
    token = client.post(
        "/api/requestAuthToken", base_url=OURS, json={"email": cast.owner_email, "password": cast.password}
    ).json["auth_token"]
    stranger = client.application.test_client()
    foreign = {"Origin": "https://dashboard.example", "Authorization": token}
    answer = stranger.patch(
        path, base_url=OURS, headers=foreign, data='{"timezone": "UTC"}', content_type="text/plain"
    )
    assert answer.status_code == 200


def test_origins_that_are_let_in_may_use_cookies(make_client, cast):
    """What CORS_ORIGINS names may act with cookies; what it lets in as "everybody" may not."""
    path, change = f"/api/v2_0/user/{cast.owner_id}", {"timezone": "UTC"}
    for origins, status in (
        (["https://app.example"], 200),
        ([r"https://.*\\.app\\.example"], 403),
        ("*", 403),
    ):
        client = make_client(CORS_ORIGINS=origins)
        log_in(client, cast)
        answer = client.patch(path, base_url=OURS, headers={"Origin": "https://app.example"}, json=change)
        assert answer.status_code == status, origins


def test_logging_out_makes_copied_cookies_void(client, cast):
    """After a logout neither the session's nor the remembering cookie opens anything, wherever they were copied to."""
    log_in(client, cast, remember="y")
    cookies = {
        name: client.get_cookie(name, domain="energy.example.com").value
        for name in ("session", "remember_token")
    }
    token = client.post(
        "/api/requestAuthToken", base_url=OURS, json={"email": cast.owner_email, "password": cast.password}
    ).json["auth_token"]
    other = client.application.test_client()
    log_in(other, cast)

    def opens(**chosen):
        thief = client.application.test_client()
        for name, value in chosen.items():
            thief.set_cookie(name, value, domain="energy.example.com", secure=True)
        return thief.get("/", base_url=OURS).status_code == 200

    assert opens(session=cookies["session"])
    assert opens(remember_token=cookies["remember_token"])
    answer = client.post("/logout", base_url=OURS)
    assert (answer.status_code, answer.location) == (302, "/")
    assert not opens(session=cookies["session"])
    assert not opens(remember_token=cookies["remember_token"])
    assert not opens(**cookies)
    assert client.get("/", base_url=OURS).status_code == 302
    # What was opened elsewhere goes on: the login of another browser, and tokens of programs.
    assert other.get("/", base_url=OURS).status_code == 200
    with_token = client.application.test_client().get(
        "/api/v2_0/assets", headers={"Authorization": token, "Content-Type": "application/json"}
    )
    assert with_token.status_code == 200


def test_a_link_to_logout_asks_first(client, cast):
    """Asked with GET, as any page can make a browser do, /logout shows a button and ends nothing."""
    assert client.get("/logout").location == "/"
    log_in(client, cast, base_url="http://localhost")
    page = client.get("/logout")
    assert page.status_code == 200
    assert 'action="/logout" method="post"' in page.text
    assert client.get("/").status_code == 200
    assert client.post("/logout", json={}).status_code == 200
    assert client.get("/").status_code == 302


def test_a_cookie_without_a_session_opens_nothing(client, cast):
    """A signed cookie that names the user alone, as older versions set it, asks for a new login."""
    with client.application.app_context():
        uniquifier = db.session.get(User, cast.owner_id).fs_uniquifier
    for text in (uniquifier, f"{uniquifier}.x", f"{uniquifier}.x.now", f"{uniquifier}.x.0"):
        with client.session_transaction() as session:
            session["_user_id"] = text
        assert client.get("/").status_code == 302, text


def test_pages_have_their_headers(client, cast):
    """Pages may not be framed, guessed about, kept, or run scripts of others; answers of the API neither."""
    for path in ("/login", "/reset", "/docs", "/no-such-page"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert ("unsafe-inline" in policy) == (path == "/docs"), (
            "only the page of the API sets styles as it goes"
        )
        assert "script-src" not in policy, "then default-src would not hold for scripts"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", answer.text)
    for path in ("/login", "/api/", "/no-such-page", "/api/v2_0/assets"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "no-store" in headers["Cache-Control"]
    with client.get("/ui/static/style.css") as answer:
        assert "no-store" not in answer.headers.get("Cache-Control", "")


def test_https_is_remembered_where_it_is_insisted_on(make_client):
    """Over HTTPS, browsers are told to stay with it; over plain HTTP and in development they are not."""
    strict = make_client(FLEXMEASURES_FORCE_HTTPS=True)
    assert "max-age=" in strict.get("/login", base_url=OURS).headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in strict.get("/login").headers
    assert "Strict-Transport-Security" not in make_client().get("/login", base_url=OURS).headers


def test_a_cookie_is_no_reason_to_fail_when_the_database_is_away(make_client):
    """Who is logged in hears that the platform is not available, as a page and as JSON; the login is not taken away."""
    client = make_client(SQLALCHEMY_DATABASE_URI="postgresql://nobody@127.0.0.1:1/nothing")
    with client.session_transaction() as session:
        session["_user_id"] = login = "0123456789abcdef.session.9999999999"
    for path, kind in (("/", "text/html"), ("/api/v2_0/assets", "application/json")):
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == (503, kind), answer.text
        assert answer.headers["Retry-After"]
        with client.session_transaction() as session:
            assert session["_user_id"] == login
