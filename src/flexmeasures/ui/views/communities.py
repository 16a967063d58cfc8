"""Energy communities, for their staff and their members: what was shared and saved, and who is missing data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from flask import Response, abort, request
from flask_login import current_user
from werkzeug.exceptions import BadRequest

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import find_zone, to_datetime64
from flexmeasures.services.communities.access import (
    find_community_of,
    find_service,
    list_services,
    own_inscriptions,
)
from flexmeasures.services.communities.look import is_staff, list_meters, list_readable
from flexmeasures.services.communities.metrics import (
    Series,
    ServiceMetrics,
    has_data,
    member_metrics,
    service_metrics,
    service_series,
)
from flexmeasures.services.communities.overview import own_share, view_community
from flexmeasures.services.communities.statement_forms import FORMULAS, as_csv, as_data
from flexmeasures.services.communities.statements import make_statements, member_of
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.charts import Chart, Line
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from flexmeasures.ui.views.asset import answer_charts

_USUAL = timedelta(days=30)
_LONGEST = timedelta(days=366 * 3)


@dataclass(frozen=True)
class _Days:
    """Days that are looked at, both included, in the time zone of a community."""

    first: date
    last: date

    @property
    def query(self) -> str:
        """As a part of an address."""
        return f"first={self.first.isoformat()}&last={self.last.isoformat()}"


@dataclass(frozen=True)
class _Shown:
    """A service as its page shows it: figures of all, of the one who looks, and statements of the latter."""

    service: Any
    metrics: ServiceMetrics | None
    own: ServiceMetrics | None
    share: float | None
    statements: Sequence[dict[str, Any]]
    meters: Sequence[Any]


def _read_days(zone: str, now: datetime) -> _Days:
    today = now.astimezone(find_zone(zone)).date()
    first = _read_day("first", today - _USUAL)
    last = _read_day("last", today)
    if not first <= last <= first + _LONGEST:
        raise BadRequest(
            f"From {first} to {last}: choose up to three years, and a last day that is not before."
        )
    return _Days(first, last)


def _read_day(name: str, usual: date) -> date:
    text = request.args.get(name)
    if not text:
        return usual
    try:
        found = date.fromisoformat(text)
        if not 1900 <= found.year < 2200:
            raise ValueError
    except ValueError:
        raise BadRequest(f"{name} is {quote(text)}, which is not a day such as 2021-04-29.") from None
    return found


@blueprint.get("/communities", strict_slashes=False)
@needs_login
def show_communities() -> str:
    """List the communities that the user belongs to or looks after."""
    now = datetime.now(UTC)
    found = list_readable(db.session, current_user, now.date())
    views = [view_community(db.session, one, now.date()) for one in found]
    return render_flexmeasures_template("pages/communities.html", views=views)


@blueprint.get("/communities/<int:community_id>", strict_slashes=False)
@needs_login
def show_community(community_id: int) -> str:
    """Show what a community shared and saved; to its staff, also who is missing data."""
    now = datetime.now(UTC)
    community = find_community_of(db.session, current_user, community_id, now.date())
    days = _read_days(community.timezone, now)
    user = current_user._get_current_object()
    staff = is_staff(db.session, user, community, now.date())
    shown = as_transaction(_read)(user, community, days, staff, now)
    return render_flexmeasures_template(
        "pages/community.html",
        community=community,
        days=days,
        today=now.astimezone(find_zone(community.timezone)).date(),
        is_staff=staff,
        services=shown,
        members=view_community(db.session, community, now.date()).members,
        formulas=FORMULAS,
    )


def _read(user: Any, community: Any, days: _Days, staff: bool, now: datetime) -> list[_Shown]:
    """Read all services of a community; days that were not settled yet are settled on the way."""
    own = {view.service.id: view for view in own_inscriptions(db.session, user)}
    span = (days.first, days.last)
    shown = []
    for service in list_services(db.session, community):
        measured = service.status == "active" and has_data(db.session, service)
        view = own.get(service.id) if measured else None
        shown.append(
            _Shown(
                service,
                service_metrics(db.session, service, *span, now) if measured else None,
                member_metrics(db.session, service, view.inscriptions, span, now) if view else None,
                own_share(db.session, view, now.date()).share if view else None,
                [as_data(one) for one in make_statements(db.session, service, view.inscriptions, span, now)]
                if view
                else [],
                list_meters(db.session, service, now) if staff else [],
            )
        )
    return shown


@blueprint.get("/communities/<int:community_id>/charts")
@needs_login
def get_community_charts(community_id: int) -> Response:
    """Get what the charts of a community show; with ``chart`` and ``format``, one of them as a file."""
    now = datetime.now(UTC)
    community = find_community_of(db.session, current_user, community_id, now.date())
    days = _read_days(community.timezone, now)
    charts = as_transaction(_draw)(community, days, now)
    return answer_charts(charts, f"community_{community.id}")


def _draw(community: Any, days: _Days, now: datetime) -> list[Chart]:
    zone = find_zone(community.timezone)
    count = (days.last - days.first).days + 1
    starts = [
        datetime.combine(days.first + timedelta(days=number), datetime.min.time(), zone)
        for number in range(count + 1)
    ]
    edges = np.array([to_datetime64(one) for one in starts])
    charts = []
    for service in list_services(db.session, community, only_active=True):
        lines = []
        for series, label, style, colour in (
            (Series.PRODUCTION, "Produced", "area", "solar"),
            (Series.SELFCONSUMPTION, "Used by members", "area", "money"),
            (Series.CONSUMPTION, "Consumed by members", "measured", "building"),
        ):
            values = np.full(count, np.nan)
            span = (days.first, days.last)
            for one in service_series(db.session, service, series, span, now):
                values[(one.day - days.first).days] = one.value
            lines.append(Line(label, values, style, colour))  # type: ignore[arg-type]
        title = f"{service.name}: energy of each day"
        charts.append(Chart(f"service-{service.id}", title, "kWh", edges, lines, community.timezone, now))
    return charts


@blueprint.get("/communities/<int:community_id>/statements/<int:service_id>")
@needs_login
def get_community_statements(community_id: int, service_id: int) -> Response:
    """Get statements as CSV: one's own, or for staff those of a ``member``."""
    now = datetime.now(UTC)
    community = find_community_of(db.session, current_user, community_id, now.date())
    service = find_service(db.session, community, service_id)
    days = _read_days(community.timezone, now)
    inscriptions = _whose(service, community, now)
    made = make_statements(db.session, service, inscriptions, (days.first, days.last), now)
    answer = Response(as_csv(made), mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=f"statements_{service.id}.csv")
    return answer


def _whose(service: Any, community: Any, now: datetime) -> Any:
    """Find the inscriptions whose statements are asked for."""
    text = request.args.get("member", "")
    if text:
        if not is_staff(db.session, current_user, community, now.date()):
            abort(403)
        return member_of(
            db.session, service, int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        )
    own = own_inscriptions(db.session, current_user, service.id)
    if not own:
        abort(404)
    return own[0].inscriptions
