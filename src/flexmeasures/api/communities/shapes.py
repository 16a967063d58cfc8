"""Shapes of services, metrics and daily series on the wire, and their schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flexmeasures.api.openapi.operation import Answer
from flexmeasures.api.openapi.shapes import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    an_object,
    list_of,
    nullable,
    one_of,
)
from flexmeasures.domain.communities.metrics import FORMULAS, kwh
from flexmeasures.services.communities.metrics import DailyValue, ServiceMetrics
from flexmeasures.services.communities.overview import OwnShare, ServiceView

__all__ = [
    "ADDRESS",
    "DAILY",
    "ERRORS",
    "MEMBER_METRICS",
    "MEMBER_SERVICE",
    "METRICS",
    "SERVICE",
    "describe_day",
    "describe_metrics",
    "describe_service",
    "error_shape",
    "listed",
    "single",
]

_RATIOS = "selfproduction_ratio", "surplus_ratio", "gridconsumption_ratio", "selfconsumption_ratio"

ADDRESS_FIELDS = ("street", "street2", "postal_code", "city", "state", "country")

ADDRESS = an_object(**dict.fromkeys(ADDRESS_FIELDS, STRING))

_SERVICE: dict[str, Schema] = {
    "id": INTEGER,
    "type": STRING,
    "name": STRING,
    "status": one_of("inscription", "activation", "active"),
    "power": {**nullable(NUMBER), "description": "Rated power [kW]; null unless it is photovoltaic."},
    "inscriptions": {**INTEGER, "description": "People and entities attached to it."},
    "address": ADDRESS,
    "has_monitoring": BOOLEAN,
    "open_inscriptions": BOOLEAN,
    "inscriptions_url_form": STRING,
}
SERVICE = an_object(**_SERVICE)
MEMBER_SERVICE = an_object(
    **_SERVICE,
    shares={**nullable(NUMBER), "description": "Own coefficient, from 0 to 1; the mean of hourly ones."},
    inscription_date=nullable(STRING),
)


def _metric(unit: str, meaning: str) -> Schema:
    return {**an_object(value=nullable(NUMBER), unit=one_of(unit)), "description": meaning}


_FRACTION = "On the wire a fraction from 0 to 1, although the unit says percentage; null where it is unknown."

_METRICS: dict[str, Schema] = {
    "id": INTEGER,
    "type": STRING,
    "name": STRING,
    "energy_consumption": _metric("kWh", FORMULAS["energy_consumption"]),
    "energy_production": _metric("kWh", FORMULAS["energy_production"]),
    **{name: _metric("percentage", f"{FORMULAS[name]}. {_FRACTION}") for name in _RATIOS},
    "environment_saves": _metric("grCO2", FORMULAS["environment_saves"]),
    "power": _metric("kW", "Rated power; null unless it is photovoltaic."),
    "coverage": {
        **nullable(NUMBER),
        "description": "Share of expected readings that were there, from 0 to 1.",
    },
    "provisional": {**BOOLEAN, "description": "Whether any value may still be corrected."},
    "emission_factor": an_object(
        value=nullable(NUMBER), unit=one_of("grCO2/kWh"), source=STRING, basis=STRING
    ),
    "differences": {**INTEGER, "description": "Values of the grid operator that differ from ours."},
}
METRICS = an_object(**_METRICS)
MEMBER_METRICS = an_object(
    **_METRICS,
    shares=_metric("percentage", "Own coefficient, as a fraction from 0 to 1."),
    energy_shares=_metric("kW", "Own part of the rated power."),
)
DAILY = an_object(value=NUMBER, date={"type": "string", "format": "date"})

_LINKS = an_object(self_=STRING, next_page=nullable(STRING), previous_page=nullable(STRING))


def single(item: Schema, meaning: str) -> dict[int, Answer]:
    """Describe an answer with one object."""
    return {200: Answer(meaning, an_object(data=nullable(item), links=_LINKS))}


def listed(item: Schema, meaning: str) -> dict[int, Answer]:
    """Describe an answer with a page of a list."""
    page = an_object(data=list_of(item), page=INTEGER, count=INTEGER, total_results=INTEGER, links=_LINKS)
    return {200: Answer(meaning, page)}


def error_shape(code: int, name: str) -> Schema:
    """Make the schema of an error."""
    return an_object(("description",), code=one_of(code), name=one_of(name), description=STRING)


ERRORS = {
    400: Answer("A parameter or header is wrong; says which.", error_shape(400, "Bad Request")),
    401: Answer("There is no token, or it is not valid (any more).", error_shape(401, "Unauthorized")),
    403: Answer("The user has no role in the community.", error_shape(403, "Forbidden")),
    404: Answer("There is no such thing here.", error_shape(404, "Not Found")),
    500: Answer("A fault of ours.", error_shape(500, "Internal Server Error")),
}


def describe_service(view: ServiceView, own: OwnShare | None = None) -> dict[str, Any]:
    """Write a service; for a member with its own share and date of inscription."""
    service = view.service
    described: dict[str, Any] = {
        "id": service.id,
        "type": service.type,
        "name": service.name,
        "status": service.status,
        "power": _power(service),
        "inscriptions": view.inscriptions,
        "address": {name: service.address.get(name, "") for name in ADDRESS_FIELDS},
        "has_monitoring": view.has_monitoring,
        "open_inscriptions": service.has_open_inscriptions,
        "inscriptions_url_form": service.inscriptions_url if service.has_open_inscriptions else "",
    }
    if own is not None:
        described["shares"] = own.share
        described["inscription_date"] = None if own.since is None else own.since.isoformat()
    return described


def _power(service: Any) -> float | None:
    return service.power_kw if service.type == "photovoltaic" else None


def describe_metrics(service: Any, metrics: ServiceMetrics, own: OwnShare | None = None) -> dict[str, Any]:
    """Write the metrics of a service, or of a member in it."""
    totals = metrics.totals
    values = {
        "energy_consumption": (kwh(totals.consumed), "kWh"),
        "energy_production": (kwh(totals.produced), "kWh"),
        **{name: (getattr(totals, name), "percentage") for name in _RATIOS},
        "environment_saves": (metrics.avoided_grams, "grCO2"),
        "power": (_power(service), "kW"),
    }
    described: dict[str, Any] = {
        "id": service.id,
        "type": service.type,
        "name": service.name,
        **{name: {"value": value, "unit": unit} for name, (value, unit) in values.items()},
        "coverage": metrics.coverage,
        "provisional": metrics.provisional,
        "emission_factor": {
            "value": metrics.factor_grams_per_kwh,
            "unit": "grCO2/kWh",
            "source": metrics.factor_source,
            "basis": service.emission_basis,
        },
        "differences": metrics.differences,
    }
    if own is not None:
        power = _power(service)
        part = None if own.share is None or power is None else round(own.share * power, 4)
        described["shares"] = {"value": own.share, "unit": "percentage"}
        described["energy_shares"] = {"value": part, "unit": "kW"}
    return described


def describe_day(day: DailyValue) -> dict[str, Any]:
    """Write a value of a daily series [kWh]."""
    return {"value": day.value, "date": day.day.isoformat()}


def describe_days(days: Sequence[DailyValue]) -> list[dict[str, Any]]:
    """Write a daily series."""
    return [describe_day(day) for day in days]
