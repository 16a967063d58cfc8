"""The time window of a page: from its address, else from the session, else the day before and after now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import current_app, g, has_request_context, request, session
from werkzeug.exceptions import BadRequest

from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.forecasting.horizons import horizons_for
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import find_zone, format_duration, parse_duration

__all__ = ["Preset", "TimeWindow", "choose_resolution", "page_window", "presets", "shown_window"]

_DAY, _QUARTER = timedelta(days=1), timedelta(minutes=15)

FIRST_YEAR, LAST_YEAR = 1900, 2200

_RESOLUTIONS = (
    (timedelta(weeks=16), timedelta(weeks=1)),
    (timedelta(days=14), _DAY),
    (timedelta(hours=48), timedelta(hours=1)),
    (timedelta(hours=8), _QUARTER),
)
"""Windows longer than this are shown in steps of that length."""

LONGEST = timedelta(days=366 * 12)


@dataclass(frozen=True)
class TimeWindow:
    """What a page shows.

    Attributes:
        start: From this instant, in the zone ...
        end: ... up to this one (exclusive).
        resolution: Length of the steps that a screen can show.
        horizon: How long before their events the shown forecasts were made, at least.
        zone: IANA name of the platform's time zone.
    """

    start: datetime
    end: datetime
    resolution: timedelta
    horizon: timedelta
    zone: str

    @property
    def resolution_text(self) -> str:
        """The resolution as ISO 8601."""
        return format_duration(self.resolution)

    @property
    def resolution_words(self) -> str:
        """The resolution in words."""
        return word_duration(self.resolution)

    @property
    def horizon_words(self) -> str:
        """The horizon in words."""
        return word_duration(self.horizon)

    @property
    def horizons(self) -> tuple[timedelta, ...]:
        """Horizons that can be chosen."""
        return allowed_horizons(self.resolution)

    @property
    def query(self) -> str:
        """The window as a part of an address."""
        return urlencode({"start_time": self.start.isoformat(), "end_time": self.end.isoformat()})

    def moved(self, steps: int) -> str:
        """The window before (−1) or after (1) this one, as a part of an address."""
        width = steps * (self.end - self.start)
        start, end = (
            (one.astimezone(UTC) + width).astimezone(find_zone(self.zone)) for one in (self.start, self.end)
        )
        return urlencode({"start_time": start.isoformat(), "end_time": end.isoformat()})


@dataclass(frozen=True)
class Preset:
    """A window that can be chosen with one click."""

    name: str
    caption: str
    query: str
    is_chosen: bool


def choose_resolution(length: timedelta) -> timedelta:
    """Choose the steps in which a window is shown.

    >>> str(choose_resolution(timedelta(days=2))), str(choose_resolution(timedelta(hours=8)))
    ('0:15:00', '0:05:00')
    """
    return next((step for above, step in _RESOLUTIONS if length > above), timedelta(minutes=5))


def allowed_horizons(resolution: timedelta) -> tuple[timedelta, ...]:
    """List the forecast horizons that make sense for steps of a length."""
    return horizons_for(resolution) or (_DAY, 2 * _DAY)


def word_duration(duration: timedelta) -> str:
    """Say a duration in the largest unit that fits.

    >>> word_duration(timedelta(minutes=15)), word_duration(timedelta(hours=24)), word_duration(timedelta(0))
    ('15 minutes', '1 day', 'a moment')
    """
    seconds = int(duration.total_seconds())
    for unit, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds and seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "a moment"


def page_window() -> TimeWindow:
    """Read the window of this request, and keep it in the session.

    Raises:
        BadRequest: If it is not one; says why.
    """
    told: Mapping[str, Any] = request.values
    kept = session
    zone = current_app.config["FLEXMEASURES_TIMEZONE"]
    first, last = _default(zone)
    start = _read(told.get("start_time"), "start_time", zone) or _kept(kept.get("start_time"), zone) or first
    end = _read(told.get("end_time"), "end_time", zone) or _kept(kept.get("end_time"), zone) or last
    year = _demo_year()
    if year is not None:
        start, end = sorted((_with_year(start, year), _with_year(end, year)))
    if start >= end:
        raise BadRequest(
            f"Start time {start.isoformat()} is not before end time {end.isoformat()}: choose a later end."
        )
    if end - start > LONGEST:
        raise BadRequest(
            f"From {start.isoformat()} to {end.isoformat()} it is more than 12 years: choose less."
        )
    resolution = choose_resolution(end - start)
    horizon = _horizon(told.get("forecast_horizon") or kept.get("forecast_horizon"), resolution)
    if "start_time" in told or "end_time" in told:
        kept["start_time"], kept["end_time"] = start.isoformat(), end.isoformat()
    if "forecast_horizon" in told:
        kept["forecast_horizon"] = format_duration(horizon)
    window = TimeWindow(start, end, resolution, horizon, zone)
    g.window = window
    return window


def shown_window() -> TimeWindow:
    """Give the window that the view has read, or the usual one for pages that have none."""
    found: TimeWindow | None = g.get("window") if has_request_context() else None
    if found is not None:
        return found
    zone = current_app.config["FLEXMEASURES_TIMEZONE"]
    start, end = _default(zone)
    resolution = choose_resolution(end - start)
    return TimeWindow(start, end, resolution, _horizon(None, resolution), zone)


def presets(window: TimeWindow, now: datetime) -> list[Preset]:
    """List the windows that are looked at most."""
    zone = find_zone(window.zone)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)

    def day(offset: int) -> datetime:
        return (midnight.replace(tzinfo=None) + timedelta(days=offset)).replace(tzinfo=zone)

    monday = -midnight.weekday()
    month = midnight.replace(day=1)
    year = midnight.replace(month=1, day=1)
    choices = (
        ("yesterday", "Yesterday", day(-1), day(0)),
        ("today", "Today", day(0), day(1)),
        ("tomorrow", "Tomorrow", day(1), day(2)),
        ("48h", "Next 48 h", *_rounded(now, timedelta(0), 2 * _DAY, window.zone)),
        ("week", "This week", day(monday), day(monday + 7)),
        ("last7", "Last 7 days", day(-7), day(0)),
        ("month", "This month", month, (month + 32 * _DAY).replace(day=1)),
        ("year", "This year", year, year.replace(year=year.year + 1)),
    )
    return [
        Preset(
            name,
            caption,
            urlencode({"start_time": start.isoformat(), "end_time": end.isoformat()}),
            (start, end) == (window.start, window.end),
        )
        for name, caption, start, end in choices
    ]


def _rounded(now: datetime, before: timedelta, after: timedelta, zone: str) -> tuple[datetime, datetime]:
    seconds = int(now.timestamp()) // 900 * 900
    recent = datetime.fromtimestamp(seconds, UTC)
    return (recent - before).astimezone(find_zone(zone)), (recent + after).astimezone(find_zone(zone))


def _default(zone: str) -> tuple[datetime, datetime]:
    return _rounded(datetime.now(UTC), _DAY, _DAY, zone)


def _read(text: str | None, name: str, zone: str) -> datetime | None:
    """Read a time as it is on the clock of the platform, unless it names its own zone."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if not FIRST_YEAR <= read.year < LAST_YEAR:
            raise ValueError
    except ValueError:
        raise BadRequest(
            f"{name} is {quote(text)}, which is not an ISO 8601 time from {FIRST_YEAR} to {LAST_YEAR}, such as "
            "2021-04-29T00:00."
        ) from None
    local = find_zone(zone)
    return read.replace(tzinfo=local) if read.tzinfo is None else read.astimezone(local)


def _kept(text: Any, zone: str) -> datetime | None:
    try:
        return _read(text, "start_time", zone) if isinstance(text, str) else None
    except BadRequest:
        return None


def _horizon(text: Any, resolution: timedelta) -> timedelta:
    """Read a forecast horizon; the first one that is allowed, where another is asked for."""
    allowed = allowed_horizons(resolution)
    try:
        chosen = parse_duration(text, "forecast_horizon") if text else None
    except FlexError:
        chosen = None
    return chosen if isinstance(chosen, timedelta) and chosen in allowed else allowed[0]


def _demo_year() -> int | None:
    config = current_app.config
    return config["FLEXMEASURES_DEMO_YEAR"] if config["FLEXMEASURES_MODE"] == "demo" else None


def _with_year(instant: datetime, year: int) -> datetime:
    try:
        return instant.replace(year=year)
    except ValueError:  # 29 February
        return instant.replace(year=year, day=28)
