"""The documented asset types (battery, one-way and two-way charging station) as storage devices."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from flexmeasures.domain.errors import BadFlexModel
from flexmeasures.domain.scheduling.devices import StorageDevice

__all__ = ["ASSET_TYPES", "battery", "charging_station", "storage_of_asset_type"]

ASSET_TYPES = ("battery", "one-way_evse", "two-way_evse")
"""Names of the asset types that can be scheduled as storage."""


def battery(
    name: str, capacity_mw: float, *, min_soc_mwh: float | None = None, max_soc_mwh: float | None = None
) -> StorageDevice:
    """Describe a battery: it charges and discharges up to its capacity.

    Args:
        name: How messages call it.
        capacity_mw: Highest power each way [MW].
        min_soc_mwh: Lowest state of charge [MWh]; None means 0.
        max_soc_mwh: Highest state of charge [MWh]; must be known, for a battery without an end would buy
            without end.

    Raises:
        BadFlexModel: There is no highest state of charge, or values contradict each other.

    >>> battery("b1", 2.0, max_soc_mwh=5.0).soc_min_mwh
    0.0
    """
    if max_soc_mwh is None or not isfinite(max_soc_mwh):
        raise BadFlexModel(
            f"The battery {name} has no maximum state of charge: set max_soc_in_mwh of the asset to its usable size."
        )
    return StorageDevice(name, capacity_mw, capacity_mw, min_soc_mwh or 0.0, max_soc_mwh)


def charging_station(
    name: str,
    capacity_mw: float,
    *,
    two_way: bool,
    soc_at_start_mwh: float,
    targets: Mapping[int, float],
    min_soc_mwh: float | None = None,
    max_soc_mwh: float | None = None,
) -> StorageDevice:
    """Describe a charging station with a car: one-way stations cannot discharge it.

    Args:
        name: How messages call it.
        capacity_mw: Highest power [MW].
        two_way: Whether the station can discharge the car.
        soc_at_start_mwh: State of charge at the start of the window [MWh].
        targets: Boundary → wanted state of charge [MWh].
        min_soc_mwh: Lowest state of charge [MWh]; None means 0: a car cannot give more than it contains.
        max_soc_mwh: Highest state of charge [MWh]; None means the highest target or, if higher, the start.

    Raises:
        BadFlexModel: Values contradict each other.

    >>> charging_station("c1", 2.0, two_way=False, soc_at_start_mwh=1.0, targets={8: 5.0}).soc_max_mwh
    5.0
    """
    highest = max_soc_mwh
    if highest is None or not isfinite(highest):
        highest = max([soc_at_start_mwh, *targets.values()])
    return StorageDevice(
        name,
        max_consumption_mw=capacity_mw,
        max_production_mw=capacity_mw if two_way else 0.0,
        soc_min_mwh=min_soc_mwh or 0.0,
        soc_max_mwh=highest,
    )


def storage_of_asset_type(
    asset_type: str,
    name: str,
    capacity_mw: float,
    *,
    soc_at_start_mwh: float,
    targets: Mapping[int, float],
    min_soc_mwh: float | None = None,
    max_soc_mwh: float | None = None,
) -> StorageDevice:
    """Describe an asset of one of the documented types.

    Raises:
        BadFlexModel: The type is not one of `ASSET_TYPES`, or values contradict each other.
    """
    if asset_type not in ASSET_TYPES:
        raise BadFlexModel(
            f"Assets of type {asset_type} cannot be scheduled: use one of {', '.join(ASSET_TYPES)}."
        )
    if asset_type == "battery":
        return battery(name, capacity_mw, min_soc_mwh=min_soc_mwh, max_soc_mwh=max_soc_mwh)
    return charging_station(
        name,
        capacity_mw,
        two_way=asset_type == "two-way_evse",
        soc_at_start_mwh=soc_at_start_mwh,
        targets=targets,
        min_soc_mwh=min_soc_mwh,
        max_soc_mwh=max_soc_mwh,
    )
