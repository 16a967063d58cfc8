"""Upstreams are added by the operator: who they are, how we log in, and which of our assets they mean."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, Market, Upstream, UpstreamTarget
from flexmeasures.domain.errors import Conflict, InvalidInput, NotFound
from flexmeasures.services.coordination.secrets import encrypt

__all__ = ["KINDS", "NewTarget", "NewUpstream", "create_upstream"]

KINDS = ("openadr-3.1.0", "openadr-3.0.1", "partner")
_SHORTEST = timedelta(seconds=5)
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, kw_only=True)
class NewTarget:
    """One of our assets, as the upstream knows it; see `UpstreamTarget`."""

    asset_id: int
    resource_name: str
    target: str | None = None
    location_id: str | None = None
    meter_point_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewUpstream:
    """An upstream to be followed; see `Upstream`.

    Attributes:
        safe_limit_mw: Needed if it is binding [MW].
    """

    name: str
    kind: str
    address: str
    client_id: str
    client_secret: str = field(repr=False)
    token_address: str | None = None
    scope: str | None = None
    currency: str = "EUR"
    market_id: int | None = None
    is_binding: bool = False
    silence: timedelta = timedelta(seconds=90)
    safe_limit_mw: float | None = None
    safe_for: timedelta = timedelta(hours=2)
    legal_basis: str | None = None
    poll_every: timedelta = timedelta(seconds=60)
    targets: Sequence[NewTarget] = ()


def create_upstream(session: Session, new: NewUpstream, *, key: str, now: datetime) -> Upstream:
    """Add an upstream; it is asked at once. The caller commits.

    Args:
        session: Within its transaction.
        new: What is known of it.
        key: SECRET_KEY, which seals the credentials.
        now: When.

    Raises:
        InvalidInput: If its kind, an address, a duration or its safe limit is not possible.
        Conflict: If the name is taken.
        NotFound: If there is no such market or asset.
    """
    _check(new)
    if session.scalar(select(Upstream.id).where(Upstream.name == new.name)) is not None:
        raise Conflict(f"There is an upstream {new.name!r} already. Choose another name.")
    if new.market_id is not None and session.get(Market, new.market_id) is None:
        raise NotFound(f"There is no market with id {new.market_id}.")
    known = set(session.scalars(select(Asset.id).where(Asset.id.in_([one.asset_id for one in new.targets]))))
    for one in new.targets:
        if one.asset_id not in known:
            raise NotFound(f"There is no asset with id {one.asset_id}.")
    sealed = encrypt({"client_id": new.client_id, "client_secret": new.client_secret}, key)
    upstream = Upstream(
        name=new.name,
        kind=new.kind,
        address=new.address.rstrip("/"),
        token_address=new.token_address,
        credentials=sealed or b"",
        scope=new.scope,
        receiver=secrets.token_urlsafe(32),
        currency=new.currency,
        market_id=new.market_id,
        is_binding=new.is_binding,
        silence=new.silence,
        safe_limit_mw=new.safe_limit_mw,
        safe_for=new.safe_for,
        legal_basis=new.legal_basis,
        poll_every=new.poll_every,
        created_at=now,
        due_at=now,
    )
    session.add(upstream)
    session.flush()
    session.add_all(
        UpstreamTarget(
            upstream_id=upstream.id,
            asset_id=one.asset_id,
            resource_name=one.resource_name,
            target=one.target,
            location_id=one.location_id,
            meter_point_id=one.meter_point_id,
        )
        for one in new.targets
    )
    session.flush()
    return upstream


def _check(new: NewUpstream) -> None:
    if new.kind not in KINDS:
        raise InvalidInput(f"{new.kind!r} is not a kind of upstream. There are: {', '.join(KINDS)}.")
    for address in filter(None, (new.address, new.token_address)):
        parts = urlsplit(address)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        if not is_safe or not parts.hostname:
            raise InvalidInput(
                f"The address {address!r} should begin with https://, or be one of this machine."
            )
    for name, duration in (
        ("silence", new.silence),
        ("poll-every", new.poll_every),
        ("safe-for", new.safe_for),
    ):
        if duration < _SHORTEST:
            raise InvalidInput(f"{name} is {duration}; use 5 seconds or more.")
    if new.is_binding and new.safe_limit_mw is None:
        raise InvalidInput(
            "A binding upstream needs the limit that holds while it is silent: its safe limit."
        )
    if new.safe_limit_mw is not None and not new.safe_limit_mw >= 0:
        raise InvalidInput(f"The safe limit is {new.safe_limit_mw} MW; limits count from 0.")
