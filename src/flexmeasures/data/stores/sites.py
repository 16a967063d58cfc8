"""Sites: which asset has the flex context that holds for another, and what belongs to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset

__all__ = ["lock_site", "parts_of_sites", "site_ids"]

_SITES = text("""
with recursive line as (
    select id as asset_id, id, parent_id, flex_context is not null as is_site from asset where id = any(:ids)
    union all
    select line.asset_id, asset.id, asset.parent_id, asset.flex_context is not null
    from line join asset on asset.id = line.parent_id where not line.is_site)
select asset_id, id from line where is_site
""")

_PARTS = text("""
with recursive tree as (
    select id as site_id, id from asset where id = any(:ids)
    union all
    select tree.site_id, asset.id from tree join asset on asset.parent_id = tree.id
    where asset.flex_context is null)
select site_id, id from tree order by site_id, id
""")


def site_ids(session: Session, asset_ids: Sequence[int]) -> dict[int, int]:
    """Find the nearest of an asset and its ancestors that has a flex context, by asset; only of those with one."""
    return {row.asset_id: row.id for row in session.execute(_SITES, {"ids": list(asset_ids)})}


def parts_of_sites(session: Session, ids: Sequence[int]) -> dict[int, list[int]]:
    """List each site and all below it, up to sites within it, by site."""
    parts: dict[int, list[int]] = defaultdict(list)
    for row in session.execute(_PARTS, {"ids": list(ids)}):
        parts[row.site_id].append(row.id)
    return dict(parts)


def lock_site(session: Session, site_id: int) -> None:
    """Let others wait who plan the same site, until the transaction ends."""
    session.execute(select(Asset.id).where(Asset.id == site_id).with_for_update(key_share=True))
