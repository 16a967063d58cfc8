"""Assets: list them, look at one, and make, change and remove them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from sqlalchemy.orm import Session

from flexmeasures.api.door import json_response
from flexmeasures.api.openapi.operation import Answer, documented
from flexmeasures.api.rest.answers import ASSET, ASSETS, BAD_FIELDS, BAD_ID, FORBIDDEN, NOT_FOUND, NOT_JSON
from flexmeasures.api.rest.door import in_transaction, read_arguments, read_id, read_json, sender
from flexmeasures.api.rest.forms import Form, between, fill_in, not_null
from flexmeasures.data.tables import Asset
from flexmeasures.domain.rights import Action
from flexmeasures.services.assets import (
    SMALLEST_CAPACITY_IN_MW,
    SOC_ORDER,
    NewAsset,
    create_asset,
    find_visible_asset,
    list_assets_of,
)
from flexmeasures.services.edit_assets import AssetChanges, delete_asset, edit_asset

__all__ = ["FIELD_ALIASES", "AssetForm", "AssetPatch", "AssetQuery", "blueprint", "describe_asset"]

blueprint = Blueprint("flexmeasures_api_assets", __name__, url_prefix="/api/v2_0")

FIELD_ALIASES = {
    "asset_type": "asset_type_name",
    "owner": "owner_id",
    "market": "market_id",
    "capacity_in_mwh": "capacity_in_mw",
}
"""Names of fields in the examples of the documentation, and what they are called in practice."""


_EXAMPLE = {
    "name": "Another test battery",
    "asset_type": "battery",
    "unit": "kW",
    "owner": 1,
    "market": 1,
    "event_resolution": 5,
    "capacity_in_mw": 4.2,
    "latitude": 40,
    "longitude": 170.3,
    "max_soc_in_mwh": 5,
    "min_soc_in_mwh": 0,
}


def _whole_minutes(value: object) -> object:
    """Cut a fraction off, as the interface has always done."""
    return int(value) if isinstance(value, float) and abs(value) < 1e9 else value


def _aware(instant: datetime) -> datetime:
    """Take an instant without a time zone to be in UTC, as the interface has always done."""
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("Not a valid datetime.") from None


Capacity = Annotated[float, Field(ge=SMALLEST_CAPACITY_IN_MW, description="Largest power [MW].")]
Energy = Annotated[float, Field(ge=0)]
EventId = Annotated[int, Field(ge=0, lt=2**63)]
Minutes = Annotated[int, Field(ge=1, le=60 * 24 * 366), BeforeValidator(_whole_minutes)]
Name = Annotated[str, Field(min_length=1, max_length=80)]
DisplayName = Annotated[str, Field(min_length=4, max_length=80)]
FlexModelFields = Annotated[
    dict[str, Any], Field(description="How it is scheduled, where that differs from its type.")
]
FlexContextFields = Annotated[
    dict[str, Any],
    Field(
        description="What concerns the connection of a site, with all assets below it; see the flex contexts."
    ),
]
ParentId = Annotated[int, Field(description="Id of the asset that it is a part of, of the same account.")]
SocInstant = Annotated[datetime, AfterValidator(_aware)]


class _Optional(Form):
    """State of a battery, and what concerns plans; all of it may be left out."""

    min_soc_in_mwh: Energy | None = None
    max_soc_in_mwh: Energy | None = None
    soc_in_mwh: Energy | None = None
    soc_datetime: SocInstant | None = None
    soc_udi_event_id: EventId | None = None
    flex_model: FlexModelFields | None = None
    parent_id: ParentId | None = None
    flex_context: FlexContextFields | None = None

    @field_validator("max_soc_in_mwh")
    @classmethod
    def _at_least_the_minimum(cls, high: float | None, info: ValidationInfo) -> float | None:
        low = info.data.get("min_soc_in_mwh")
        if low is not None and high is not None and high < low:
            raise ValueError(SOC_ORDER)
        return high


class AssetForm(_Optional):
    """A new asset."""

    name: Name
    unit: Name
    event_resolution: Minutes
    capacity_in_mw: Capacity
    latitude: between(-90, 90)
    longitude: between(-180, 180)
    asset_type_name: Name
    owner_id: int
    market_id: int
    display_name: DisplayName | None = None
    timezone: Name = "UTC"


class AssetPatch(_Optional):
    """Changes of an asset; what is left out stays as it is, and the id stays in any case."""

    id: Any = None
    name: Name | None = None
    unit: Name | None = None
    event_resolution: Minutes | None = None
    capacity_in_mw: Capacity | None = None
    latitude: between(-90, 90) | None = None
    longitude: between(-180, 180) | None = None
    asset_type_name: Name | None = None
    owner_id: int | None = None
    market_id: int | None = None
    display_name: DisplayName | None = None
    timezone: Name | None = None

    _not_null = field_validator(
        "name",
        "unit",
        "event_resolution",
        "capacity_in_mw",
        "latitude",
        "longitude",
        "asset_type_name",
        "owner_id",
        "market_id",
        "display_name",
        "timezone",
        mode="before",
    )(not_null)


class AssetQuery(Form):
    """Selection of assets."""

    owner_id: int | None = Field(default=None, description="Only those of this owner.")


@blueprint.get("/assets")
@documented(ASSETS | FORBIDDEN | BAD_FIELDS, query=AssetQuery)
@in_transaction
def get_assets(session: Session) -> Response:
    """Download the list of assets that the user may see, the newest first."""
    user = sender()
    query = fill_in(AssetQuery, read_arguments(request), "query", {"owner": "owner_id"})
    return json_response([describe_asset(asset) for asset in list_assets_of(session, user, query.owner_id)])


@blueprint.post("/assets")
@documented(
    ASSET[201] | NOT_JSON | FORBIDDEN | BAD_FIELDS,
    body=AssetForm,
    aliases=FIELD_ALIASES,
    examples={"A battery": _EXAMPLE},
)
@in_transaction
def post_asset(session: Session) -> Response:
    """Make an asset; for admins."""
    user = sender("admin")
    form = fill_in(AssetForm, read_json(request), "json", FIELD_ALIASES)
    fields = form.model_dump()
    fields["event_resolution"] = timedelta(minutes=form.event_resolution)
    asset = create_asset(session, NewAsset(**fields), user)
    return json_response({**describe_asset(asset), "status": 201}, 201)


@blueprint.get("/asset/<path:asset_id>")
@documented(ASSET[200] | BAD_ID | FORBIDDEN | NOT_FOUND)
@in_transaction
def get_asset(session: Session, asset_id: str) -> Response:
    """Get an asset of one's own; for admins any."""
    asset = find_visible_asset(session, sender(), read_id(asset_id, "asset"))
    return json_response({**describe_asset(asset), "status": 200})


@blueprint.patch("/asset/<path:asset_id>")
@documented(
    ASSET[200] | NOT_JSON | FORBIDDEN | NOT_FOUND | BAD_FIELDS,
    body=AssetPatch,
    aliases=FIELD_ALIASES,
    examples={"Another place": {"latitude": 11.1, "longitude": 99.9}},
)
@in_transaction
def patch_asset(session: Session, asset_id: str) -> Response:
    """Change an asset of one's own; for admins any."""
    user = sender()
    asset = find_visible_asset(session, user, read_id(asset_id, "asset"), Action.UPDATE)
    form = fill_in(AssetPatch, read_json(request), "json", FIELD_ALIASES)
    fields = {name: getattr(form, name) for name in form.model_fields_set - {"id"}}
    if form.event_resolution is not None:
        fields["event_resolution"] = timedelta(minutes=form.event_resolution)
    edit_asset(session, asset, AssetChanges(**fields), user)
    return json_response({**describe_asset(asset), "status": 200})


@blueprint.delete("/asset/<path:asset_id>")
@documented({204: Answer("It is gone.")} | BAD_ID | FORBIDDEN | NOT_FOUND)
@in_transaction
def remove_asset(session: Session, asset_id: str) -> Response:
    """Remove an asset of one's own with all its data; for admins any."""
    delete_asset(session, find_visible_asset(session, sender(), read_id(asset_id, "asset"), Action.DELETE))
    return Response(status=204)


_ONLY_IF_THERE = ("flex_model", "parent_id", "flex_context")
"""Fields that came after the documented ones: clients that do not use them never see them."""


def describe_asset(asset: Asset) -> dict[str, Any]:
    """Write an asset with all its fields, by their names in practice and in the documentation."""
    return {
        "id": asset.id,
        "name": asset.name,
        "display_name": asset.display_name,
        "asset_type_name": asset.asset_type_name,
        "asset_type": asset.asset_type_name,
        "unit": asset.unit,
        "timezone": asset.sensor.timezone,
        "capacity_in_mw": asset.capacity_in_mw,
        "event_resolution": int(asset.sensor.event_resolution.total_seconds() // 60),
        "latitude": asset.latitude,
        "longitude": asset.longitude,
        "min_soc_in_mwh": asset.min_soc_in_mwh,
        "max_soc_in_mwh": asset.max_soc_in_mwh,
        "soc_in_mwh": asset.soc_in_mwh,
        "soc_datetime": None if asset.soc_datetime is None else asset.soc_datetime.isoformat(),
        "soc_udi_event_id": asset.soc_udi_event_id,
        "owner_id": asset.owner_id,
        "owner": asset.owner_id,
        "market_id": asset.market_id,
        "market": asset.market_id,
        **{name: value for name in _ONLY_IF_THERE if (value := getattr(asset, name)) is not None},
    }
