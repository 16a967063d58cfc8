"""The tree of assets: parts of a whole, all of one account."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, AuditSubject, Sensor, SensorReference, User, note_change
from flexmeasures.domain.errors import Conflict

__all__ = ["check_not_named", "hand_over", "ids_of_subtree", "sensors_of"]


def ids_of_subtree(session: Session, asset_id: int) -> list[int]:
    """List an asset and all its parts, by id."""
    tree = select(Asset.id).where(Asset.id == asset_id).cte(recursive=True)
    tree = tree.union(select(Asset.id).where(Asset.parent_id == tree.c.id))
    return list(session.scalars(select(tree.c.id).order_by(tree.c.id)))


def hand_over(session: Session, asset: Asset, owner: User) -> None:
    """Give an asset to another owner, and to that owner's account with all its parts."""
    if asset.owner_id == owner.id and asset.account_id == owner.account_id:
        return
    session.flush()
    ids = ids_of_subtree(session, asset.id)
    text = f"Updated: owner_id, From: {asset.owner_id}, To: {owner.id}"
    note_change(session, text, AuditSubject(account_id=owner.account_id, asset_id=asset.id))
    of_the_same = Asset.id.in_(ids), Asset.owner_id == asset.owner_id
    session.execute(update(Asset).where(*of_the_same).values(owner_id=owner.id))
    session.execute(update(Asset).where(Asset.id.in_(ids)).values(account_id=owner.account_id))


def check_not_named(session: Session, sensor_ids: Sequence[int], going: Sequence[int] = ()) -> None:
    """Make sure that sensors may go: no flex model, flex context or graph of an asset that stays names them.

    Args:
        session: For looking up references.
        sensor_ids: The sensors.
        going: Assets that go together with them.

    Raises:
        Conflict: If one is named; says by which asset.
    """
    query = (
        select(SensorReference)
        .where(SensorReference.sensor_id.in_(sensor_ids), SensorReference.asset_id.not_in(going))
        .order_by(SensorReference.asset_id, SensorReference.field)
    )
    named = session.scalars(query.limit(1)).first()
    if named is not None:
        raise Conflict(
            f"Sensor {named.sensor_id} is named by {named.field} of asset {named.asset_id}. Name another one there"
            " first."
        )


def sensors_of(session: Session, asset_ids: Sequence[int]) -> list[int]:
    """List the sensors of assets, by id."""
    return list(session.scalars(select(Sensor.id).where(Sensor.asset_id.in_(asset_ids)).order_by(Sensor.id)))
