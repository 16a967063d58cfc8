"""Metrics of a service, or of a member in it: what was produced, used, exported, and how complete the readings are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import CommunityService, EmissionFactorRow, Inscription
from flexmeasures.domain.communities.allocation import UNITS_PER_KWH
from flexmeasures.domain.communities.countries.profile import closing_day
from flexmeasures.domain.communities.metrics import (
    DEFAULT_FACTORS,
    EmissionFactor,
    Totals,
    find_factor,
    kwh,
)
from flexmeasures.domain.time import find_zone
from flexmeasures.services.communities.blocks import first_day_with_data, profile_of
from flexmeasures.services.communities.settle import PointDay, SettledDay, settle_days, settle_points

__all__ = [
    "DailyValue",
    "Series",
    "ServiceMetrics",
    "default_range",
    "final_until",
    "has_data",
    "member_metrics",
    "member_series",
    "service_metrics",
    "service_series",
]


class Series(StrEnum):
    """Kind of a daily series."""

    PRODUCTION = "energy_production"
    SELFCONSUMPTION = "energy_selfconsumption"
    EXPORTED = "energy_exported"
    CONSUMPTION = "energy_consumption"


@dataclass(frozen=True)
class DailyValue:
    """Energy of a local day [kWh]."""

    day: date
    value: float


@dataclass(frozen=True)
class ServiceMetrics:
    """Metrics of some local days, both ends included.

    Attributes:
        totals: Energies.
        coverage: Share of expected readings that were there, from 0 to 1; None where nothing was expected.
        provisional: Whether any value may still be corrected.
        avoided_grams: Estimated avoided emissions [g]; None where no factor is known.
        factor_grams_per_kwh: Factor by which they were worked out, on average [g/kWh].
        factor_source: Who says so.
        differences: How many values of the grid operator differ from ours.
        days: How many days were settled.
    """

    first: date
    last: date
    totals: Totals
    coverage: float | None
    provisional: bool
    avoided_grams: float | None
    factor_grams_per_kwh: float | None
    factor_source: str
    differences: int
    days: int


def default_range(
    session: Session, service: CommunityService, first: date | None, last: date | None, now: datetime
) -> tuple[date, date] | None:
    """Complete a range of days: from the first day with data to today, in the community's time zone.

    Returns:
        None if the service has no meter or no data.
    """
    start = first_day_with_data(session, service)
    if start is None:
        return None
    today = now.astimezone(find_zone(service.community.timezone)).date()
    return first or start, last or today


def has_data(session: Session, service: CommunityService) -> bool:
    """Tell whether a service is measured and has readings, so that it has metrics."""
    return first_day_with_data(session, service) is not None


def service_metrics(
    session: Session, service: CommunityService, first: date | None, last: date | None, now: datetime
) -> ServiceMetrics | None:
    """Work out the metrics of a service; None if it has no meter or no data.

    Args:
        session: Within its transaction; the caller commits.
        service: The service.
        first: First local day; None: the first one with data.
        last: Last local day; None: today.
        now: The present.
    """
    span = default_range(session, service, first, last, now)
    if span is None:
        return None
    days = settle_days(session, service, *span, now)
    totals = Totals(
        sum(day.produced for day in days),
        sum(day.consumed for day in days),
        sum(day.shared for day in days),
    )
    expected = sum(day.expected for day in days)
    grams, factor, source = _avoided(session, service, days)
    return ServiceMetrics(
        *span,
        totals,
        round(sum(day.readings for day in days) / expected, 4) if expected else None,
        _is_provisional(service, span[1], now),
        grams,
        factor,
        source,
        sum(day.differences for day in days),
        len(days),
    )


def member_metrics(
    session: Session,
    service: CommunityService,
    inscriptions: Sequence[Inscription],
    days: tuple[date | None, date | None],
    now: datetime,
) -> ServiceMetrics | None:
    """Work out a member's own metrics: production is what the service put at the disposal of the supply points
    of these inscriptions.
    """
    span = default_range(session, service, *days, now)
    if span is None:
        return None
    settled = settle_points(session, service, inscriptions, span, now)
    offered = sum(day.offered for day in settled)
    used = sum(day.used for day in settled)
    totals = Totals(offered, sum(day.consumed for day in settled), used)
    intervals = sum(day.intervals for day in settled)
    factor = _factor_of(session, service, span[1])
    energy = used if service.emission_basis == "selfconsumption" else offered
    return ServiceMetrics(
        *span,
        totals,
        round(sum(day.present for day in settled) / intervals, 4) if intervals else None,
        _is_provisional(service, span[1], now),
        None if factor is None else round(energy * factor.grams_per_kwh / UNITS_PER_KWH, 2),
        None if factor is None else factor.grams_per_kwh,
        "" if factor is None else factor.source,
        sum(1 for day in settled if day.used != day.computed),
        len(settled),
    )


def service_series(
    session: Session,
    service: CommunityService,
    series: Series,
    days: tuple[date | None, date | None],
    now: datetime,
) -> list[DailyValue]:
    """List a daily series of a service, ascending; days without any reading that counts are left out."""
    span = default_range(session, service, *days, now)
    if span is None:
        return []
    settled = settle_days(session, service, *span, now)
    return [
        DailyValue(day.day, _of_series(Totals(day.produced, day.consumed, day.shared), series))
        for day in settled
        if day.counted
    ]


def member_series(
    session: Session,
    service: CommunityService,
    inscriptions: Sequence[Inscription],
    series: Series,
    days: tuple[date | None, date | None],
    now: datetime,
) -> list[DailyValue]:
    """List a daily series of a member's own supply points, ascending; days without a reading are left out."""
    span = default_range(session, service, *days, now)
    if span is None:
        return []
    settled: list[PointDay] = settle_points(session, service, inscriptions, span, now)
    return [
        DailyValue(day.day, _of_series(Totals(day.offered, day.consumed, day.used), series))
        for day in settled
        if day.present
    ]


def _of_series(totals: Totals, series: Series) -> float:
    values = {
        Series.PRODUCTION: totals.produced,
        Series.SELFCONSUMPTION: totals.self_consumed,
        Series.EXPORTED: totals.exported,
        Series.CONSUMPTION: totals.consumed,
    }
    return kwh(values[series])


def final_until(service: CommunityService, day: date) -> date:
    """Find the day until which values of a day may still be corrected: by the service's setting, or the profile."""
    return closing_day(day, service.closing or profile_of(service).value("corrections", day))


def _is_provisional(service: CommunityService, last: date, now: datetime) -> bool:
    today = now.astimezone(find_zone(service.community.timezone)).date()
    return today <= final_until(service, min(last, today))


def _avoided(
    session: Session, service: CommunityService, days: Sequence[SettledDay]
) -> tuple[float | None, float | None, str]:
    """Add up avoided emissions [g], with the mean factor [g/kWh] and its source."""
    on_shared = service.emission_basis == "selfconsumption"
    energy = [day.shared if on_shared else day.produced for day in days]
    if service.intensity_sensor_id is not None:
        grams = [day.avoided_shared if on_shared else day.avoided for day in days]
        if any(value is None for value in grams):
            return None, None, f"sensor {service.intensity_sensor_id}, which lacks values of these days"
        total, source = sum(value for value in grams if value), f"sensor {service.intensity_sensor_id}"
        return round(total, 2), _mean(total, sum(energy)), source
    by_year = {day.day.year: _factor_of(session, service, day.day) for day in days}
    factors = [by_year[day.day.year] for day in days]
    if not days or any(factor is None for factor in factors):
        return None, None, "no factor is known for this zone"
    total = sum(
        units * factor.grams_per_kwh
        for units, factor in zip(energy, factors, strict=True)
        if factor is not None
    )
    names = dict.fromkeys(factor.source for factor in factors if factor is not None)
    single = factors[0].grams_per_kwh if len(set(factors)) == 1 and factors[0] is not None else None
    mean = single if single is not None else _mean(total / UNITS_PER_KWH, sum(energy))
    return round(total / UNITS_PER_KWH, 2), mean, "; ".join(names)


def _mean(grams: float, units: int) -> float | None:
    return round(grams * UNITS_PER_KWH / units, 4) if units else None


def _factor_of(session: Session, service: CommunityService, day: date) -> EmissionFactor | None:
    zone = service.community.zone
    query = select(EmissionFactorRow).where(EmissionFactorRow.zone == zone)
    entered = tuple(
        EmissionFactor(row.zone, row.year, row.grams_per_kwh, row.source, row.basis)
        for row in session.scalars(query)
    )
    return find_factor(entered + DEFAULT_FACTORS, zone, day)
