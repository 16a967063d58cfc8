"""Links that show an asset without a login: made by its owner, limited to what they are for, and revoked."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, Market, SharedLink, User
from flexmeasures.domain.errors import Conflict
from flexmeasures.jobs.schedules import planning_of
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.services.shared_links import MOST, create_link
from flexmeasures.testing import store_values

KINDS = ("page", "chart", "calendar")


@pytest.fixture
def battery(app, cast):
    """Give the id of a battery with a plan around the present: it charges in the two cheap hours."""
    app.config["FLEXMEASURES_TIMEZONE"] = "UTC"
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with app.app_context():
        market = db.session.get(Market, cast.market)
        store_values(db.session, market, now - timedelta(hours=24), [90.0] * 26 + [5.0] * 2 + [90.0] * 30)
        asset = db.session.get(Asset, cast.assets["battery"])
        asset.soc_in_mwh, asset.soc_datetime = 0.0, now
        db.session.commit()
        order = PortfolioOrder((asset.id,), now, timedelta(hours=24), now)
        assert reschedule(db.session, order, planning_of(app.config)).made == 1
        db.session.commit()
    return cast.assets["battery"]


@pytest.fixture
def visit(app, cast):
    """Log somebody in with a browser of their own."""

    def log_in(email):
        browser = app.test_client()
        browser.post("/login", data={"email": email, "password": cast.password})
        return browser

    return log_in


def make(browser, asset, kind):
    """Make a link by the form; give its path."""
    answer = browser.post(f"/assets/{asset}/links", data={"kind": kind})
    assert answer.status_code == 200, answer.text
    return re.search(r'id="link">https?://[^/]+([^<]+)<', answer.text).group(1)


def test_anybody_with_the_link_sees_the_asset_and_no_money(app, battery, cast, visit):
    """The page says what the battery does and draws power and state of charge; no price, saving, address or place."""
    path = make(visit(cast.owner_email), battery, "page")
    somebody = app.test_client()
    answer = somebody.get(path)
    assert answer.status_code == 200
    assert "Test battery" in answer.text
    for private in ("saves", "EUR", "52.37", "ea1.", "owner@seita.nl", 'name="version"'):
        assert private not in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    charts = somebody.get(f"{path}/charts").json["charts"]
    assert [one["name"] for one in charts] == ["power", "soc"]
    assert charts[0]["lines"]
    assert somebody.get("/assets/").status_code == 302


def test_a_chart_can_stand_in_a_frame_of_any_page_and_sets_no_cookie(app, battery, cast, visit):
    """Only the answer for frames allows them; it needs and sets no cookie."""
    path = make(visit(cast.owner_email), battery, "chart")
    answer = app.test_client().get(path)
    assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert app.test_client().get(f"{path}/charts").json["charts"][0]["lines"]
    assert app.test_client().get("/login").headers["X-Frame-Options"] == "SAMEORIGIN"


def test_calendars_can_subscribe_to_the_plan(app, battery, cast, visit):
    """The two cheap hours are an entry, with the same id whenever it is asked for; the owner gets it as a file, too."""
    owner = visit(cast.owner_email)
    path = make(owner, battery, "calendar")
    answer = app.test_client().get(path)
    assert answer.mimetype == "text/calendar"
    assert "Test battery charges with 2 MW" in answer.text.replace("\r\n ", "")
    uids = re.findall(r"UID:(\S+)", answer.text)
    assert len(uids) == len(set(uids)) > 0
    assert re.findall(r"UID:(\S+)", owner.get(f"/assets/{battery}/calendar.ics").text) == uids


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_shows_nothing_but_what_it_is_for(app, battery, cast, visit, kind):
    """The secret of one kind opens no page of another."""
    secret = re.split(r"[/.]", make(visit(cast.owner_email), battery, kind))[2]
    for other, path in (("page", "/shared/{}"), ("chart", "/embed/{}"), ("calendar", "/calendar/{}.ics")):
        expected = 200 if other == kind else 404
        assert app.test_client().get(path.format(secret)).status_code == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_revoked_link_shows_nothing(app, battery, cast, visit, kind):
    """From the revocation on it is as if there had never been one; a stranger cannot revoke it."""
    owner, stranger = visit(cast.owner_email), visit(cast.stranger_email)
    path = make(owner, battery, kind)
    with app.app_context():
        number = db.session.query(SharedLink.id).scalar()
    assert stranger.post(f"/assets/{battery}/links/revoke", data={"link": number}).status_code == 404
    stranger.post(f"/assets/{cast.foreign_asset}/links/revoke", data={"link": number})
    assert app.test_client().get(path).status_code == 200
    owner.post(f"/assets/{battery}/links/revoke", data={"link": number})
    assert app.test_client().get(path).status_code == 404


def test_a_link_ends_with_the_rights_of_its_maker(app, battery, cast, visit):
    """Who was deactivated, or does not own the asset any more, shows nothing of it."""
    path = make(visit(cast.owner_email), battery, "page")
    with app.app_context():
        db.session.get(User, cast.owner_id).active = False
        db.session.commit()
    assert app.test_client().get(path).status_code == 404
    with app.app_context():
        db.session.get(User, cast.owner_id).active = True
        stranger = db.session.query(User).filter_by(email=cast.stranger_email).one()
        db.session.get(Asset, battery).owner_id = stranger.id
        db.session.commit()
    assert app.test_client().get(path).status_code == 404


def test_only_who_may_change_an_asset_shares_it(app, battery, cast, visit):
    """A stranger finds no such asset, a visitor is sent to log in, and an unknown kind is refused."""
    assert (
        visit(cast.stranger_email).post(f"/assets/{battery}/links", data={"kind": "page"}).status_code == 404
    )
    assert app.test_client().post(f"/assets/{battery}/links", data={"kind": "page"}).status_code == 401
    owner = visit(cast.owner_email)
    assert owner.post(f"/assets/{battery}/links", data={"kind": "everything"}).status_code == 400
    assert owner.post(f"/assets/{battery}/links", data={}).status_code == 400


def test_the_secret_is_not_kept(app, battery, cast, visit):
    """The database holds a digest, and the list of links does not show the secret again."""
    owner = visit(cast.owner_email)
    secret = make(owner, battery, "page").rpartition("/")[2]
    with app.app_context():
        row = db.session.query(SharedLink).one()
        assert secret.encode() not in row.token_hash
        assert len(row.token_hash) == 32
    page = owner.get(f"/assets/{battery}/").text
    assert secret not in page
    assert "a page to read" in page


def test_links_are_bounded(app, battery, cast):
    """One more than allowed is refused, and the message says what to do."""
    with app.app_context():
        user, asset = db.session.get(User, cast.owner_id), db.session.get(Asset, battery)
        for _ in range(MOST):
            create_link(db.session, user, asset, "page", datetime.now(UTC))
        with pytest.raises(Conflict, match="Revoke one first"):
            create_link(db.session, user, asset, "page", datetime.now(UTC))


@pytest.mark.parametrize("token", ["x", "x" * 5000, "%00", "../../etc", "é"])
def test_a_wrong_secret_is_not_found(app, cast, token):
    """Whatever is tried, the answer is the page for what does not exist."""
    assert app.test_client().get(f"/shared/{token}").status_code == 404


def test_the_audit_page_shows_who_shared_what_to_those_concerned(app, battery, cast, visit):
    """The owner and an admin read who made the link; a stranger does not; wrong numbers are refused."""
    owner = visit(cast.owner_email)
    make(owner, battery, "page")
    for email in (cast.owner_email, cast.admin_email):
        page = visit(email).get(f"/audit?asset={battery}").text
        assert "that shows a page of asset" in page
        assert "owner" in page
    assert "that shows a page of asset" not in visit(cast.stranger_email).get("/audit").text
    for wrong in ("asset=x", "user=-1", "account=99999999999", "page=x"):
        assert owner.get(f"/audit?{wrong}").status_code == 400
    assert owner.get("/audit?page=9999").status_code == 200
