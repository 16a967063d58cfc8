"""States of services and inscriptions, and what a service needs before it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from flexmeasures.domain.errors import Conflict

__all__ = [
    "ACTION_KINDS",
    "SERVICE_TYPES",
    "InscriptionState",
    "Readiness",
    "ServiceStatus",
    "check_service_status",
]

SERVICE_TYPES = ("photovoltaic", "car_sharing", "ev_charging", "battery", "thermal", "aggregation")
"""Types of services with a meaning of their own; others may be any text."""

ACTION_KINDS = (
    ("common_generation", "Common generation"),
    ("energy_efficiency", "Energy efficiency"),
    ("sustainable_mobility", "Sustainable mobility"),
    ("citizen_education", "Citizen education"),
    ("thermal_energy", "Thermal energy"),
    ("collective_purchases", "Collective purchases"),
    ("renewable_supply", "Renewable supply"),
    ("aggregation_flexibility", "Aggregation and demand flexibility"),
)
"""The eight kinds of action that a community may run: type and name."""


class ServiceStatus(StrEnum):
    """Where a service stands."""

    DRAFT = "draft"
    INSCRIPTION = "inscription"
    ACTIVATION = "activation"
    ACTIVE = "active"


class InscriptionState(StrEnum):
    """Where a member's inscription to a service stands."""

    INACTIVE = "inactive"
    ACTIVE = "active"
    CHANGE = "change"
    CANCELLED = "cancelled"


_ORDER = list(ServiceStatus)


@dataclass(frozen=True)
class Readiness:
    """State of the requirements of a service's activation."""

    has_group: bool
    has_power: bool
    has_validated_table: bool
    needs_table: bool = True


def check_service_status(now: ServiceStatus, new: ServiceStatus, ready: Readiness) -> None:
    """Check that a service may go from one status to the next.

    Raises:
        Conflict: If a status is skipped or gone back to, or the activation lacks something; names it.
    """
    if new is now:
        return
    if _ORDER.index(new) != _ORDER.index(now) + 1:
        raise Conflict(
            f"A service cannot go from {now} to {new}. The order is {', '.join(_ORDER)}, one step at a time."
        )
    if new in (ServiceStatus.DRAFT, ServiceStatus.INSCRIPTION):
        return
    missing = [
        name
        for name, there in (
            ("the id of its self-consumption group (CAU)", ready.has_group),
            ("a rated power", ready.has_power),
            ("a validated distribution table", ready.has_validated_table or not ready.needs_table),
        )
        if not there
    ]
    if missing:
        raise Conflict(f"The service lacks {' and '.join(missing)}. Add it before the activation.")
