"""Links that show something of an asset to whoever has them; checked at each use, and revoked at any time."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, AuditSubject, SharedLink, User, note_change
from flexmeasures.data.tables.shared_links import LINK_KINDS
from flexmeasures.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.rights import OWNER_RULES, Action
from flexmeasures.services.rights import may_with

__all__ = ["LinkKind", "NewLink", "create_link", "find_shared_asset", "list_links", "revoke_link"]

LinkKind = Literal["calendar", "chart", "page"]

MOST = 20
"""An asset has so many links at most."""

_SECRET_BYTES = 24


@dataclass(frozen=True)
class NewLink:
    """A link as it was made: its row, and the secret, which is told once and not kept."""

    row: SharedLink
    secret: str


def create_link(session: Session, user: User, asset: Asset, kind: str, now: datetime) -> NewLink:
    """Make a link; the caller commits.

    Raises:
        InvalidInput: If there is no such kind.
        NotAllowed: If the user may not change the asset.
        Conflict: If it has `MOST` links.
    """
    if kind not in LINK_KINDS:
        raise InvalidInput(f"There are no links of kind {quote(kind)}. Kinds are {', '.join(LINK_KINDS)}.")
    if not may_with(user, Action.UPDATE, asset, OWNER_RULES):
        raise NotAllowed("Only who may change an asset may share it.")
    # So that two at once are counted one after the other.
    session.execute(select(Asset.id).where(Asset.id == asset.id).with_for_update(key_share=True))
    count = session.scalar(select(func.count()).where(SharedLink.asset_id == asset.id)) or 0
    if count >= MOST:
        raise Conflict(f"This asset has {count} links already. Revoke one first.")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    row = SharedLink(
        asset_id=asset.id, kind=kind, token_hash=_hash(secret), created_at=now, created_by=user.id
    )
    session.add(row)
    session.flush()
    _note(session, f"Made link {row.id} that shows a {kind} of asset '{asset.name}': {asset.id}", asset)
    return NewLink(row, secret)


def find_shared_asset(session: Session, secret: str, kind: LinkKind) -> Asset:
    """Find what a link shows.

    Raises:
        NotFound: If the link is none, was revoked, shows something else, or if its maker may not read the asset any
            more; indistinguishable to the caller.
    """
    row = session.execute(
        select(SharedLink, User)
        .join(User, User.id == SharedLink.created_by)
        .where(SharedLink.token_hash == _hash(secret), SharedLink.kind == kind)
    ).first()
    if row is None or not row[1].active or not may_with(row[1], Action.READ, row[0].asset, OWNER_RULES):
        raise NotFound("This link shows nothing (any more). Ask who gave it to you for another one.")
    asset: Asset = row[0].asset
    return asset


def list_links(session: Session, asset: Asset) -> list[SharedLink]:
    """List the links of an asset, the newest first; their secrets are not known."""
    query = select(SharedLink).where(SharedLink.asset_id == asset.id).order_by(SharedLink.id.desc())
    return list(session.scalars(query))


def revoke_link(session: Session, asset: Asset, link_id: int) -> None:
    """Let a link of an asset show nothing any more; the caller has found the asset for changing it, and commits.

    Raises:
        NotFound: If the asset has no such link.
    """
    row = session.get(SharedLink, link_id) if is_id(link_id) else None
    if row is None or row.asset_id != asset.id:
        raise NotFound(f"This asset has no link {link_id}.")
    session.delete(row)
    session.flush()
    _note(session, f"Revoked link {link_id} of asset '{asset.name}': {asset.id}", asset)


def _note(session: Session, text: str, asset: Asset) -> None:
    note_change(session, text, AuditSubject(account_id=asset.account_id, asset_id=asset.id))


def _hash(secret: str) -> bytes:
    # Of a random secret, so that no salt and no slow hash is needed.
    return hashlib.sha256(secret.encode()).digest()
