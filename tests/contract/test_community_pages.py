"""Pages of energy communities: for staff, members and nobody else; figures as the services give them."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.cli.demonstration.served import add_community, add_people
from flexmeasures.data.database import db
from flexmeasures.data.tables import Community, CommunityMember, CommunityService
from flexmeasures.domain.communities.metrics import kwh
from flexmeasures.services.communities.metrics import service_metrics
from flexmeasures.services.structure import add_structure

PASSWORD = "correct horse"


@pytest.fixture
def community(app):
    """Four homes with a roof and the readings of three weeks; the owner is the member of the first."""
    with app.app_context():
        add_structure(db.session)
        people = add_people(db.session, hash_new_password(PASSWORD))
        number = add_community(db.session, people, datetime.now(UTC))
        db.session.commit()
    return number


@pytest.fixture
def visit(app, community):
    """Log somebody in with a browser of their own."""

    def log_in(name):
        browser = app.test_client()
        browser.post("/login", data={"email": f"{name}@example.com", "password": PASSWORD})
        return browser

    return log_in


def test_members_and_admins_see_a_community_and_others_do_not(visit, community):
    """A member and an admin find it in their list; for a stranger there is no difference to none."""
    for name in ("owner", "admin"):
        assert "Sunny street" in visit(name).get("/communities").text
        assert visit(name).get(f"/communities/{community}").status_code == 200
    stranger = visit("trader")
    assert "You belong to no energy community" in stranger.get("/communities").text
    for number in (community, 9999, 2**40):
        for path in ("", "/charts", "/statements/1"):
            assert stranger.get(f"/communities/{number}{path}").status_code == 403


def test_a_past_member_sees_nothing_any_more(app, visit, community):
    """Who left yesterday has no role today."""
    with app.app_context():
        member = db.session.scalar(select(CommunityMember).where(CommunityMember.user_id.is_not(None)))
        member.left_on = datetime.now(UTC).date() - timedelta(days=2)
        db.session.commit()
    assert "You belong to no energy community" in visit("owner").get("/communities").text
    assert visit("owner").get(f"/communities/{community}").status_code == 403


def test_figures_are_those_of_the_service(app, visit, community):
    """The chart's daily energies add up to what the service settles, and the page names the shared part."""
    today = datetime.now(UTC).date()
    span = (today - timedelta(days=15), today - timedelta(days=5))
    with app.app_context():
        service = db.session.scalar(select(CommunityService))
        metrics = service_metrics(db.session, service, *span, datetime.now(UTC))
        db.session.commit()
    query = f"first={span[0]}&last={span[1]}"
    browser = visit("owner")
    (chart,) = browser.get(f"/communities/{community}/charts?{query}").json["charts"]
    sums = {line["label"]: sum(value or 0 for value in line["values"]) for line in chart["lines"]}
    assert len(chart["times"]) == 11
    assert sums["Produced"] == pytest.approx(kwh(metrics.totals.produced), rel=1e-4)
    assert sums["Used by members"] == pytest.approx(kwh(metrics.totals.self_consumed), rel=1e-4)
    assert sums["Consumed by members"] == pytest.approx(kwh(metrics.totals.consumed), rel=1e-4)
    page = browser.get(f"/communities/{community}?{query}").text
    share = 100 * metrics.totals.self_consumed / metrics.totals.produced
    assert f"{share:.0f} %" in page
    assert "Your share is 25.0 %" in page


def test_only_staff_sees_meters_and_who_is_missing_data(app, visit, community):
    """Two days of one home are missing: the staff is told; a member does not see others."""
    assert "Home 4" not in visit("owner").get(f"/communities/{community}").text
    page = visit("admin").get(f"/communities/{community}").text
    assert "1 meter is missing data" in page
    assert page.count("missing data</span>") == 1
    assert "Home 4" in page


def test_statements_are_ones_own_and_the_staffs(app, visit, community):
    """A member gets their own as CSV, not those of another; staff gets each; wrong numbers are not found."""
    with app.app_context():
        service = db.session.scalar(select(CommunityService.id))
        others = db.session.scalars(select(CommunityMember.id).order_by(CommunityMember.id)).all()
    path = f"/communities/{community}/statements/{service}"
    owner, admin = visit("owner"), visit("admin")
    rows = list(csv.DictReader(io.StringIO(owner.get(path).text)))
    assert rows
    assert len({row["supply_point"] for row in rows}) == 1
    assert owner.get(f"{path}?member={others[1]}").status_code == 403
    assert admin.get(path).status_code == 404  # an admin takes no part
    assert admin.get(f"{path}?member={others[1]}").status_code == 200
    for wrong in ("x", "-1", "9" * 30, "99999"):
        assert admin.get(f"{path}?member={wrong}").status_code == 404
    assert owner.get(f"/communities/{community}/statements/99999").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "first=x",
        "first=2024-02-30",
        "first=2024-03-02&last=2024-03-01",
        "first=1990-01-01",
        "last=0001-01-01",
    ],
)
def test_days_that_are_none_are_a_friendly_page(visit, community, query):
    """Wrong, turned-round and much too long ranges are answered with 400 and a page."""
    answer = visit("owner").get(f"/communities/{community}?{query}")
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


def test_names_are_never_markup(app, visit, community):
    """A hostile name is text."""
    with app.app_context():
        db.session.get(Community, community).name = "<script>alert(1)</script>"
        db.session.commit()
    for path in ("/communities", f"/communities/{community}"):
        assert "<script>alert" not in visit("owner").get(path).text
