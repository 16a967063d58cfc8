"""Setting a community up: community, members and services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import communities as store
from flexmeasures.data.tables import (
    Account,
    Community,
    CommunityMember,
    CommunityService,
    DistributionTable,
    Sensor,
    User,
)
from flexmeasures.domain.communities.countries.profile import find_profile
from flexmeasures.domain.communities.identifiers import read_group
from flexmeasures.domain.communities.life_cycle import (
    ACTION_KINDS,
    Readiness,
    ServiceStatus,
    check_service_status,
)
from flexmeasures.domain.communities.methods import NEEDS_COEFFICIENTS, Method
from flexmeasures.domain.errors import Conflict, InvalidInput, NotFound
from flexmeasures.domain.time import find_zone
from flexmeasures.services.communities.fields import check_days, check_power, clean_name
from flexmeasures.services.find import get_row

__all__ = [
    "NewCommunity",
    "NewMember",
    "NewService",
    "create_community",
    "create_member",
    "create_service",
    "set_service_status",
]

_ROLES = ("member", "staff", "provider")


@dataclass(frozen=True)
class NewCommunity:
    """A new community.

    Attributes:
        account_id: The account that it is the face of; None: one of the same name is opened.
        profile: Id of the country profile.
        timezone: Of its days; the profile's if left out.
        zone: Of its emission factors; the profile's country if left out.
    """

    name: str
    profile: str = "es"
    account_id: int | None = None
    timezone: str | None = None
    zone: str | None = None
    coordinator: str | None = None
    action_kinds: tuple[str, ...] = ("common_generation",)
    social: Mapping[str, str] = field(default_factory=dict)
    member_goal: int | None = None


@dataclass(frozen=True)
class NewMember:
    """A new member.

    Attributes:
        user_email: Address of the user who acts as the member; None: somebody who does not log in.
        role: member, staff or provider.
    """

    community_id: int
    name: str
    joined_on: date
    surnames: str = ""
    user_email: str | None = None
    role: str = "member"
    member_number: str | None = None
    vat: str | None = None
    left_on: date | None = None


@dataclass(frozen=True)
class NewService:
    """A new service; it begins as a draft.

    Attributes:
        method: How it shares; the profile's usual method if left out.
        sharing: Parameters of the method.
    """

    community_id: int
    name: str
    type: str = "photovoltaic"
    power_kw: float | None = None
    cau: str | None = None
    address: Mapping[str, str] = field(default_factory=dict)
    method: str | None = None
    sharing: Mapping[str, Any] = field(default_factory=dict)
    inscriptions_url: str = ""
    emission_basis: str = "production"
    intensity_sensor_id: int | None = None


def create_community(session: Session, new: NewCommunity) -> Community:
    """Make an account an energy community.

    Raises:
        NotFound: If there is no such profile or account.
        Conflict: If the name is taken, or the account is a community already.
        InvalidInput: If the name, a kind of action or the time zone is wrong.
    """
    name = clean_name(new.name, "name")
    profile = find_profile(new.profile)
    kinds = [kind for kind, _ in ACTION_KINDS]
    for kind in new.action_kinds:
        if kind not in kinds:
            raise InvalidInput(f"Kind of action {kind!r} is unknown. Choose from {', '.join(kinds)}.")
    zone = new.timezone or profile.timezone
    find_zone(zone)
    account_id = new.account_id
    if account_id is None:
        if session.scalar(select(Account.id).where(Account.name == name)) is not None:
            raise Conflict(f"There is an account {name!r} already. Name its id to make it a community.")
        account = Account(name=name)
        session.add(account)
        session.flush()
        account_id = account.id
    get_row(session, Account, account_id, "account")
    taken = select(Community.id).where((Community.name == name) | (Community.account_id == account_id))
    if session.scalar(taken.limit(1)) is not None:
        raise Conflict(f"There is a community {name!r} already, or account {account_id} is one.")
    community = Community(
        account_id=account_id,
        name=name,
        profile=profile.id,
        timezone=zone,
        zone=new.zone or profile.country,
        coordinator=new.coordinator,
        action_kinds=list(new.action_kinds),
        social=dict(new.social),
        member_goal=new.member_goal,
    )
    session.add(community)
    session.flush()
    return community


def create_member(session: Session, new: NewMember) -> CommunityMember:
    """Take a member in.

    Raises:
        NotFound: If there is no such community or user.
        Conflict: If the user is in the community already, or the number is taken.
        InvalidInput: If the role is unknown or the member leaves before joining.
    """
    community = get_row(session, Community, new.community_id, "community")
    if new.role not in _ROLES:
        raise InvalidInput(f"Role {new.role!r} is unknown. Choose from {', '.join(_ROLES)}.")
    check_days(new.joined_on, new.left_on)
    user_id = None
    if new.user_email is not None:
        user_id = session.scalar(select(User.id).where(User.email == new.user_email.strip().lower()))
        if user_id is None:
            raise NotFound(f"There is no user {new.user_email!r}. Add the user first.")
    same = (CommunityMember.user_id == user_id) if user_id is not None else None
    for clause, what in (
        (same, f"user {new.user_email}"),
        (
            CommunityMember.member_number == new.member_number if new.member_number is not None else None,
            f"number {new.member_number}",
        ),
    ):
        query = select(CommunityMember.id).where(CommunityMember.community_id == community.id)
        if clause is not None and session.scalar(query.where(clause).limit(1)) is not None:
            raise Conflict(f"A member with {what} is in the community already.")
    member = CommunityMember(
        community_id=community.id,
        user_id=user_id,
        role=new.role,
        member_number=new.member_number,
        name=clean_name(new.name, "name"),
        surnames=new.surnames.strip(),
        vat=new.vat,
        joined_on=new.joined_on,
        left_on=new.left_on,
    )
    session.add(member)
    session.flush()
    return member


def create_service(session: Session, new: NewService, today: date) -> CommunityService:
    """Make a service, as a draft; the method must be one that the profile provides for today.

    Raises:
        NotFound: If there is no such community.
        Conflict: If the name or the CAU is taken.
        InvalidInput: If the CAU, the power or the method is wrong.
    """
    community = get_row(session, Community, new.community_id, "community")
    name = clean_name(new.name, "name")
    check_power(new.power_kw)
    profile = find_profile(community.profile)
    cau = read_group(new.cau) if new.cau else None
    method = _method(new.method, profile.methods(today))
    profile.check_method(method, today)
    if new.emission_basis not in ("production", "selfconsumption"):
        raise InvalidInput(
            f"Emission basis {new.emission_basis!r} is neither production nor selfconsumption."
        )
    if cau and session.scalar(select(CommunityService.id).where(CommunityService.cau == cau)) is not None:
        raise Conflict(f"There is a service with the CAU {cau} already.")
    same = select(CommunityService.id).where(
        CommunityService.community_id == community.id, CommunityService.name == name
    )
    if session.scalar(same) is not None:
        raise Conflict(f"The community has a service {name!r} already.")
    if new.intensity_sensor_id is not None:
        get_row(session, Sensor, new.intensity_sensor_id, "sensor")
    service = CommunityService(
        community_id=community.id,
        type=clean_name(new.type, "type"),
        name=name,
        status=ServiceStatus.DRAFT,
        power_kw=new.power_kw,
        cau=cau,
        address=dict(new.address),
        has_open_inscriptions=bool(new.inscriptions_url),
        inscriptions_url=new.inscriptions_url,
        method=method,
        sharing=dict(new.sharing),
        emission_basis=new.emission_basis,
        intensity_sensor_id=new.intensity_sensor_id,
    )
    session.add(service)
    session.flush()
    store.set_meters(session, service.id)
    return service


def set_service_status(session: Session, service_id: int, status: str) -> CommunityService:
    """Let a service go on to its next status.

    Raises:
        NotFound: If there is no such service.
        InvalidInput: If there is no such status.
        Conflict: If the service is not ready; names what it lacks.
    """
    service = get_row(session, CommunityService, service_id, "service")
    if status not in list(ServiceStatus):
        raise InvalidInput(f"Status {status!r} is unknown. Choose from {', '.join(ServiceStatus)}.")
    tables = select(DistributionTable.id).where(
        DistributionTable.service_id == service.id,
        DistributionTable.state.in_(("validated", "process", "active")),
    )
    ready = Readiness(
        has_group=service.cau is not None,
        has_power=service.power_kw is not None,
        has_validated_table=session.scalar(tables.limit(1)) is not None,
        needs_table=Method(service.method) in NEEDS_COEFFICIENTS,
    )
    check_service_status(ServiceStatus(service.status), ServiceStatus(status), ready)
    service.status = status
    session.flush()
    return service


def _method(name: str | None, allowed: tuple[Method, ...]) -> Method:
    if name is None:
        return allowed[0] if allowed else Method.FIXED
    try:
        return Method(name)
    except ValueError:
        raise InvalidInput(f"Method {name!r} is unknown. Choose from {', '.join(Method)}.") from None
