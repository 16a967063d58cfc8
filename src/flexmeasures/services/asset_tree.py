"""The tree of assets: parts of a whole, all of one account."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, AuditSubject, Sensor, SensorReference, User, note_change
from flexmeasures.domain.errors import Conflict
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.rights import ACCOUNT_RULES, OWNER_RULES, Action
from flexmeasures.services.checks import Checks
from flexmeasures.services.rights import may_with

__all__ = ["check_not_named", "check_parent", "hand_over", "ids_of_subtree", "lock_tree", "sensors_of"]

_TREE_LOCK = 4_040_000_003
"""The advisory lock of those who change trees, as the trigger of the database has it."""


def ids_of_subtree(session: Session, asset_id: int) -> list[int]:
    """List an asset and all its parts, by id."""
    tree = select(Asset.id).where(Asset.id == asset_id).cte(recursive=True)
    tree = tree.union(select(Asset.id).where(Asset.parent_id == tree.c.id))
    return list(session.scalars(select(tree.c.id).order_by(tree.c.id)))


def lock_tree(session: Session) -> None:
    """Let one move follow the other: two that make a loop only together cannot both succeed."""
    session.execute(select(func.pg_advisory_xact_lock(_TREE_LOCK)))


def check_parent(
    session: Session, checks: Checks, part: tuple[int | None, int | None], parent_id: int, actor: User | None
) -> None:
    """Check that an asset may become a part of another one.

    The other one is of the same account, and the actor may give it parts: as in API v2_0 its owner or an admin, and if
    it has no owner, a member of the account. Others are as good as unknown.

    Args:
        session: For reading; other moves wait until its transaction ends.
        checks: Notes what is wrong.
        part: The id of the asset (None: it is new) and its account.
        parent_id: What it is to become a part of.
        actor: Who moves it; None: an operator.
    """
    asset_id, account_id = part
    if asset_id is not None:
        lock_tree(session)
    parent = session.get(Asset, parent_id) if is_id(parent_id) else None
    allowed = parent is not None and parent.account_id == account_id and account_id is not None
    if allowed and parent is not None and actor is not None:
        rules = ACCOUNT_RULES if parent.owner_id is None else OWNER_RULES
        allowed = may_with(actor, Action.CREATE_CHILDREN, parent, rules)
    checks.that(
        allowed,
        "parent_id",
        f"There is no asset {parent_id} in the account of the owner that can have parts: a part belongs to the account "
        "of the whole. Choose one of your own.",
    )
    if allowed and asset_id is not None:
        checks.that(
            parent_id not in ids_of_subtree(session, asset_id),
            "parent_id",
            f"Asset {asset_id} cannot be a part of asset {parent_id}, which is the same or a part of it. "
            "Choose another one.",
        )


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
