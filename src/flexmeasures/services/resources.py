"""Resources, the subject of charts and tables: one asset, or a group of assets that a user may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.tables import Asset, User
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.services.rights import owner_scope

__all__ = ["Resource", "find_resource", "list_groups", "pluralise"]

_GROUPS = {"renewables": ("solar", "wind"), "EVSE": ("one-way_evse", "two-way_evse")}

_CHARGE_POINT = " (Charge Point)"

_UNCOUNTABLE = ("solar", "wind", "evse")


@dataclass(frozen=True)
class Resource:
    """Something with power: an asset, or assets together.

    Attributes:
        name: By which it is asked for.
        display_name: Shown name.
        assets: At least one, in the order of their ids.
    """

    name: str
    display_name: str
    assets: tuple[Asset, ...]


def find_resource(session: Session, user: User, name: str) -> Resource:
    """Find a group or an asset by name, with those of its assets that a user may see.

    Raises:
        NotFound: If there is none, or all of it belongs to others: the user learns no difference.
    """
    owner_id = owner_scope(user)
    types = _GROUPS | {pluralise(t.display_name): (t.name,) for t in store.list_asset_types(session)}
    if name in types:
        assets = store.list_assets(session, owner_id, types[name])
        if assets:
            return _group(name, assets)
    elif name.endswith(_CHARGE_POINT):
        points = _charge_points(store.list_assets(session, owner_id, _GROUPS["EVSE"]))
        if name in points:
            return _group(name, points[name])
    found = store.find_assets(session, ids=(), names=[name], owner_id=owner_id)
    # One asset's shown name may be another's name; the name counts.
    for asset in sorted(found, key=lambda asset: (asset.name != name, asset.id)):
        return Resource(asset.name, asset.display_name, (asset,))
    raise NotFound(
        f"Resource {quote(name)} not found. Name one of your assets, or a group such as {next(iter(types))}."
    )


def list_groups(assets: Iterable[Asset]) -> list[Resource]:
    """List the groups that have any of these assets: renewables, EVSE, each charge point, each type."""
    assets = list(assets)
    groups = {name: [a for a in assets if a.asset_type_name in types] for name, types in _GROUPS.items()}
    groups |= _charge_points([a for a in assets if a.asset_type_name in _GROUPS["EVSE"]])
    for asset in sorted(assets, key=lambda asset: asset.asset_type_name):
        groups.setdefault(pluralise(asset.asset_type.display_name), []).append(asset)
    return [_group(name, members) for name, members in groups.items() if members]


def _group(name: str, assets: Sequence[Asset]) -> Resource:
    return Resource(name, name, tuple(sorted(assets, key=lambda asset: asset.id)))


def _charge_points(stations: Sequence[Asset]) -> dict[str, list[Asset]]:
    """Put stations at the same place together, under the name of the first of them up to its number."""
    by_place: dict[tuple[float, float], list[Asset]] = {}
    for station in sorted(stations, key=lambda asset: asset.id):
        by_place.setdefault((station.latitude, station.longitude), []).append(station)
    points: dict[str, list[Asset]] = {}
    for members in by_place.values():
        points.setdefault(members[0].display_name.split(" -")[0] + _CHARGE_POINT, []).extend(members)
    return points


def pluralise(noun: str) -> str:
    """Name several of a kind.

    >>> pluralise("stationary battery"), pluralise("wind turbine"), pluralise("one-way EVSE")
    ('stationary batteries', 'wind turbines', 'one-way EVSE')
    """
    if noun.lower().endswith(_UNCOUNTABLE):
        return noun
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
