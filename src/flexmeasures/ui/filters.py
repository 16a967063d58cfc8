"""How pages write numbers, times and names; the filters of version 0.4, for templates of plugins too, and ours."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, current_app
from markupsafe import Markup

from flexmeasures.domain.time import find_zone
from flexmeasures.services.resources import pluralise
from flexmeasures.ui.csrf import new_token
from flexmeasures.ui.window import word_duration

__all__ = ["people_energy", "people_power", "register"]

_ICONS = {"solar", "wind", "battery", "one-way_evse", "two-way_evse", "building"}
_STATIONS = ("one-way_evse", "two-way_evse")
_WEATHER = ("radiation", "temperature", "wind_direction", "wind_speed")


def register(app: Flask) -> None:
    """Give the templates of an app the filters."""
    app.jinja_env.filters.update(
        zip=lambda first, *others: list(zip(first, *others, strict=False)),
        localized_datetime=localized_datetime,
        naturalized_datetime=naturalized_datetime,
        naturalized_timedelta=word_duration,
        capitalize=lambda text: text[:1].upper() + text[1:],
        parameterize=lambda text: "_".join(str(text).lower().replace("-", " ").split()),
        isnan=lambda number: number is None or math.isnan(number),
        hide_nan_if_desired=hide_nan,
        asset_icon=asset_icon,
        username=lambda user: getattr(user, "username", str(user)),
        clock=clock,
        power=people_power,
        energy=people_energy,
        money=money,
        number=number,
        plural=pluralise,
        icon=icon,
        type_icon=type_icon,
    )
    app.jinja_env.globals.update(icon=icon, new_csrf_token=new_token)


def _local(instant: datetime) -> datetime:
    return instant.astimezone(find_zone(current_app.config["FLEXMEASURES_TIMEZONE"]))


def localized_datetime(instant: datetime | None, pattern: str = "%Y-%m-%d %I:%M %p") -> str:
    """Write a time on the clock of the platform; now, if none is given."""
    return _local(instant or datetime.now(UTC)).strftime(pattern)


def naturalized_datetime(instant: datetime | None) -> str:
    """Say how long ago something was, within a day; else on which date."""
    if instant is None:
        return "never"
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    ago = datetime.now(UTC) - instant
    if not timedelta(0) <= ago < timedelta(days=1):
        return _local(instant).strftime("%b %d %Y")
    for unit, size in (("hour", 3600), ("minute", 60)):
        count = int(ago.total_seconds()) // size
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def clock(instant: datetime | None, zone: str | None = None) -> str:
    """Write a time for people: with the day unless it is today."""
    if instant is None:
        return "–"
    local = instant.astimezone(find_zone(zone)) if zone else _local(instant)
    today = datetime.now(UTC).astimezone(local.tzinfo).date()
    if local.date() == today:
        return local.strftime("%H:%M")
    pattern = "%a %d %b %H:%M" if abs((local.date() - today).days) < 300 else "%d %b %Y %H:%M"
    return local.strftime(pattern)


def hide_nan(number: Any) -> Any:
    """Write nothing for what is not a number, where the setting says so."""
    text = str(number)
    if text in ("nan", "nan%") and current_app.config["FLEXMEASURES_HIDE_NAN_IN_UI"]:
        return ""
    return number


def asset_icon(type_name: str) -> str:
    """Name the icon of an asset type or of a kind of weather."""
    if type_name in _STATIONS:
        return "icon-charging_station"
    if type_name in _WEATHER:
        return f"wi wi-{type_name.replace('_', '-')}"
    return "icon-wind" if type_name == "renewables" else f"icon-{type_name}"


def icon(name: str) -> Markup:
    """Draw a symbol beside a word."""
    from flexmeasures.ui.static_files import static_url  # noqa: PLC0415 - the address depends on the file's content

    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        static_url("icons.svg"), name
    )


def type_icon(type_name: str) -> Markup:
    """Draw the symbol of an asset type in its colour."""
    name = type_name if type_name in _ICONS else "other"
    return Markup('<span class="type-{}">{}</span>').format(name, icon(name))


def people_power(power_mw: float | None) -> str:
    """Write a power in the unit that suits people.

    >>> people_power(0.0074), people_power(12.5), people_power(None)
    ('7.4 kW', '12.5 MW', '–')
    """
    return _scaled(power_mw, "W")


def people_energy(energy_mwh: float | None) -> str:
    """Write an energy in the unit that suits people.

    >>> people_energy(0.05)
    '50 kWh'
    """
    return _scaled(energy_mwh, "Wh")


def _scaled(value: float | None, unit: str) -> str:
    if value is None or math.isnan(value):
        return "–"
    size = abs(value)
    if size >= 1:
        return f"{number(value)} M{unit}"
    if size >= 1e-3:
        return f"{number(value * 1e3)} k{unit}"
    return f"{number(value * 1e6)} {unit}" if size >= 5e-7 else f"0 k{unit}"


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with three significant digits, or as many as its whole part has.

    >>> number(1234.56), number(0.0123), number(-7.0), number(None)
    ('1,235', '0.0123', '−7', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    before = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    if before:
        text = f"{value:,.{max(digits - before, 0)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.{digits}g}"
    return ("0" if text in ("-0", "0") else text).replace("-", "−")


def money(value: float | None, currency: str = "") -> str:
    """Write an amount with two decimals."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{0.0 if abs(value) < 0.005 else value:,.2f}".replace("-", "−")
    return f"{text} {currency}".strip()
