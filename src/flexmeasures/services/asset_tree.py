"""The tree of assets: parts of a whole, all of one account."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset

__all__ = ["ids_of_subtree", "move_to_account"]


def ids_of_subtree(session: Session, asset_id: int) -> list[int]:
    """List an asset and all its parts, by id."""
    tree = select(Asset.id).where(Asset.id == asset_id).cte(recursive=True)
    tree = tree.union(select(Asset.id).where(Asset.parent_id == tree.c.id))
    return list(session.scalars(select(tree.c.id).order_by(tree.c.id)))


def move_to_account(session: Session, asset: Asset, account_id: int | None) -> None:
    """Give an asset to another account with all its parts."""
    if asset.account_id == account_id:
        return
    session.flush()
    ids = ids_of_subtree(session, asset.id)
    session.execute(update(Asset).where(Asset.id.in_(ids)).values(account_id=account_id))
