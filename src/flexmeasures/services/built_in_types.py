"""The types of assets that the platform brings along, with the numbers by which clients know them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.tables import AssetType
from flexmeasures.domain.scheduling.flex_model import DOCUMENTED_FLEX_MODELS

__all__ = ["BUILT_IN_TYPES", "ensure_asset_type"]

_SEASONS = ("daily_seasonality", "weekly_seasonality", "yearly_seasonality")
_ALL_SEASONS = dict.fromkeys(_SEASONS, True)
_DAYS_AND_YEARS = {**_ALL_SEASONS, "weekly_seasonality": False}

BUILT_IN_TYPES: dict[str, dict[str, Any]] = {
    "solar": {"id": 1, "display_name": "solar panel", "is_producer": True, **_DAYS_AND_YEARS},
    "wind": {
        "id": 2,
        "display_name": "wind turbine",
        "is_producer": True,
        "can_curtail": True,
        **_DAYS_AND_YEARS,
    },
    "one-way_evse": {
        "id": 3,
        "display_name": "one-way EVSE",
        "hover_label": "uni-directional Electric Vehicle Supply Equipment",
        "is_consumer": True,
        "can_shift": True,
        **_ALL_SEASONS,
    },
    "two-way_evse": {
        "id": 4,
        "display_name": "two-way EVSE",
        "hover_label": "bi-directional Electric Vehicle Supply Equipment",
        "is_consumer": True,
        "is_producer": True,
        "can_shift": True,
        **_ALL_SEASONS,
    },
    "battery": {
        "id": 5,
        "display_name": "stationary battery",
        "is_consumer": True,
        "is_producer": True,
        "can_curtail": True,
        "can_shift": True,
        **_ALL_SEASONS,
    },
    "building": {
        "id": 6,
        "display_name": "building",
        "is_consumer": True,
        "is_producer": True,
        "can_shift": True,
        **_ALL_SEASONS,
    },
    "process": {
        "id": 7,
        "display_name": "process",
        "description": "A process that consumes and can be shifted in time",
        "is_consumer": True,
        "can_shift": True,
        **_ALL_SEASONS,
    },
    "heat-storage": {
        "id": 8,
        "display_name": "heat storage",
        "description": "A store of heat, such as a boiler",
        "is_consumer": True,
        "can_shift": True,
        **_ALL_SEASONS,
    },
    "market": {
        "id": 9,
        "display_name": "market",
        "description": "Where energy or flexibility has a price",
    },
    "weather station": {
        "id": 10,
        "display_name": "weather station",
        "description": "Where the weather is measured or forecast",
    },
    "transmission zone": {
        "id": 11,
        "display_name": "transmission zone",
        "description": "A region of the transmission grid",
    },
    "energy community": {
        "id": 12,
        "display_name": "energy community",
        "description": "Connections that share energy",
    },
    "series": {
        "id": 13,
        "display_name": "time series",
        "description": "Series that belong to nothing else",
    },
}
"""By name. Numbers 1 to 8 are those of the documentation; users' own types have numbers from 101 on."""


def ensure_asset_type(session: Session, name: str) -> AssetType:
    """Find a built-in type, or make it."""
    found = store.find_asset_type(session, name)
    if found is None:
        model = DOCUMENTED_FLEX_MODELS.get(name)
        found = AssetType(
            name=name, flex_model=None if model is None else dict(model), **BUILT_IN_TYPES[name]
        )
        session.add(found)
        session.flush()
    return found
