"""Energy communities: who takes part in which service, by which coefficients, and what was settled."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db

__all__ = [
    "Community",
    "CommunityDay",
    "CommunityInvoice",
    "CommunityMember",
    "CommunityService",
    "DistributionTable",
    "EmissionFactorRow",
    "Generator",
    "Inscription",
    "SupplyPoint",
    "community_meter",
    "community_stale",
]

_EMPTY_OBJECT = text("'{}'::jsonb")
_EMPTY_LIST = text("'{}'")


class Community(db.Model):  # type: ignore[misc, name-defined]
    """The public face of an account that is an energy community.

    Attributes:
        account_id: The account that it is the face of.
        profile: Id of the country profile whose rules hold.
        zone: Zone of its emission factors.
        action_kinds: Which of the eight kinds of action it runs.
        social: Its addresses by name: email, web, twitter, instagram, telegram, facebook.
        in_open_data: Whether it counts in the public figures of the network.
        member_goal: How many members it hopes for.
    """

    __tablename__ = "community"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), unique=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    coordinator: Mapped[str | None] = mapped_column(String(255))
    profile: Mapped[str] = mapped_column(String(40))
    timezone: Mapped[str] = mapped_column(String(80))
    zone: Mapped[str] = mapped_column(String(40))
    action_kinds: Mapped[list[str]] = mapped_column(
        ARRAY(String(80)), default=list, server_default=_EMPTY_LIST
    )
    image_url: Mapped[str | None] = mapped_column(String(500))
    landing_photo_url: Mapped[str | None] = mapped_column(String(500))
    social: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=_EMPTY_OBJECT)
    in_open_data: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    member_goal: Mapped[int | None]


class CommunityMember(db.Model):  # type: ignore[misc, name-defined]
    """A person or entity in a community.

    Attributes:
        user_id: The user who acts as this member; None: somebody who does not log in.
        role: ``member``, ``staff`` or ``provider`` (a monitoring company).
        left_on: Last day; None: for good.
    """

    __tablename__ = "community_member"
    __table_args__ = (
        UniqueConstraint("community_id", "member_number"),
        Index("community_member_user_id_idx", "user_id", "community_id", unique=True),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("fm_user.id", ondelete="SET NULL"))
    role: Mapped[str] = mapped_column(String(20))
    member_number: Mapped[str | None] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(255))
    surnames: Mapped[str] = mapped_column(String(255), default="")
    vat: Mapped[str | None] = mapped_column(String(40))
    joined_on: Mapped[date] = mapped_column(Date)
    left_on: Mapped[date | None] = mapped_column(Date)


class CommunityService(db.Model):  # type: ignore[misc, name-defined]
    """Something that a community offers: a shared plant, cars, charging points.

    Attributes:
        type: Such as ``photovoltaic`` or ``car_sharing``.
        power_kw: Rated power of its plants [kW].
        cau: Id of its self-consumption group.
        method: How its generation is shared, see `domain.communities.methods`.
        sharing: Parameters of the method.
        closing: When values become final, where that differs from the profile.
        emission_basis: ``production`` or ``selfconsumption``: which energy avoids emissions.
        intensity_sensor_id: Sensor of hourly emissions [g/kWh]; None: the factor of zone and year.
        tolerance_kwh: By how much the grid operator's values may differ from ours [kWh].
        prices: What energy costs members, for their statements; see `services.communities.statements`.
    """

    __tablename__ = "community_service"
    __table_args__ = (UniqueConstraint("community_id", "name"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(20), default="draft")
    power_kw: Mapped[float | None]
    cau: Mapped[str | None] = mapped_column(String(26), unique=True)
    address: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=_EMPTY_OBJECT)
    has_open_inscriptions: Mapped[bool] = mapped_column(default=False)
    inscriptions_url: Mapped[str] = mapped_column(String(500), default="")
    method: Mapped[str] = mapped_column(String(20))
    sharing: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=_EMPTY_OBJECT)
    closing: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    emission_basis: Mapped[str] = mapped_column(String(20), default="production")
    intensity_sensor_id: Mapped[int | None] = mapped_column(ForeignKey("sensor.id", ondelete="SET NULL"))
    tolerance_kwh: Mapped[float] = mapped_column(default=0.001)
    prices: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=_EMPTY_OBJECT)

    community: Mapped[Community] = relationship(lazy="joined", innerjoin=True)


class SupplyPoint(db.Model):  # type: ignore[misc, name-defined]
    """Where a member takes energy from the grid.

    Attributes:
        cups: Its id at the grid operator.
        asset_id: The asset behind it; None: none on this platform.
        consumption_sensor_id: Sensor of its consumption: an energy per event, or a power.
        is_inverted: Whether the sensor counts consumption negative.
    """

    __tablename__ = "supply_point"
    __table_args__ = (UniqueConstraint("community_id", "cups"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id", ondelete="CASCADE"))
    cups: Mapped[str] = mapped_column(String(40))
    asset_id: Mapped[int | None] = mapped_column(ForeignKey("asset.id", ondelete="SET NULL"))
    consumption_sensor_id: Mapped[int | None] = mapped_column(ForeignKey("sensor.id", ondelete="SET NULL"))
    is_inverted: Mapped[bool] = mapped_column(default=False)
    address: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=_EMPTY_OBJECT)
    owner_name: Mapped[str] = mapped_column(String(255), default="")
    owner_surnames: Mapped[str] = mapped_column(String(255), default="")
    owner_vat: Mapped[str | None] = mapped_column(String(40))
    tariff: Mapped[str | None] = mapped_column(String(20))
    contracted_kw: Mapped[float | None]
    is_vulnerable: Mapped[bool] = mapped_column(default=False)


class Inscription(db.Model):  # type: ignore[misc, name-defined]
    """That a member takes part in a service with a supply point.

    Attributes:
        starts_on: First day of taking part; None: not yet.
        ends_on: Last day; None: for good.
        participation_percent: Part of the supply point's consumption that it offers to this service [%].
        operator_sensor_id: Sensor of what the grid operator says that it used of the service's energy.
        mandate: Reference of the bank mandate.
    """

    __tablename__ = "inscription"
    __table_args__ = (UniqueConstraint("service_id", "supply_point_id", "starts_on"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("community_service.id", ondelete="CASCADE"))
    member_id: Mapped[int] = mapped_column(ForeignKey("community_member.id", ondelete="CASCADE"), index=True)
    supply_point_id: Mapped[int] = mapped_column(
        ForeignKey("supply_point.id", ondelete="CASCADE"), index=True
    )
    state: Mapped[str] = mapped_column(String(20))
    starts_on: Mapped[date | None] = mapped_column(Date)
    ends_on: Mapped[date | None] = mapped_column(Date)
    requested_kw: Mapped[float | None]
    agreed_kw: Mapped[float | None]
    actual_kw: Mapped[float | None]
    yearly_kwh: Mapped[float | None]
    participation_percent: Mapped[int] = mapped_column(default=100)
    operator_sensor_id: Mapped[int | None] = mapped_column(ForeignKey("sensor.id", ondelete="SET NULL"))
    mandate: Mapped[str | None] = mapped_column(String(80))
    has_privacy_consent: Mapped[bool] = mapped_column(default=False)

    supply_point: Mapped[SupplyPoint] = relationship(lazy="select")
    member: Mapped[CommunityMember] = relationship(lazy="select")


class Generator(db.Model):  # type: ignore[misc, name-defined]
    """A plant of a service.

    Attributes:
        cil: Its id for settlement.
        sensor_id: Sensor of its generation: an energy per event, or a power.
        is_inverted: Whether the sensor counts generation negative.
        participation_percent: Part of its generation that is shared in this service [%].
    """

    __tablename__ = "community_generator"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    service_id: Mapped[int] = mapped_column(
        ForeignKey("community_service.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(255))
    cil: Mapped[str | None] = mapped_column(String(40))
    technology: Mapped[str] = mapped_column(String(40), default="photovoltaic")
    installed_kw: Mapped[float | None]
    asset_id: Mapped[int | None] = mapped_column(ForeignKey("asset.id", ondelete="SET NULL"))
    sensor_id: Mapped[int | None] = mapped_column(ForeignKey("sensor.id", ondelete="SET NULL"))
    is_inverted: Mapped[bool] = mapped_column(default=False)
    participation_percent: Mapped[int] = mapped_column(default=100)


class DistributionTable(db.Model):  # type: ignore[misc, name-defined]
    """Coefficients of a service from a day on.

    Attributes:
        kind: ``fixed`` or ``hourly``.
        starts_on: First day on which it holds once it is active; until a later active one starts.
        supply_points: Their ids at the grid operator.
        parts: Millionths as 32-bit little-endian numbers, by hour and then by supply point.
    """

    __tablename__ = "distribution_table"
    __table_args__ = (
        UniqueConstraint("service_id", "name"),
        Index(
            "distribution_table_one_underway_key",
            "service_id",
            "state",
            unique=True,
            postgresql_where=text("state in ('validated', 'process')"),
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("community_service.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(20), default="draft")
    starts_on: Mapped[date | None] = mapped_column(Date)
    supply_points: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    parts: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class EmissionFactorRow(db.Model):  # type: ignore[misc, name-defined]
    """An emission factor that an operator has entered.

    Attributes:
        basis: ``location`` or ``market``.
    """

    __tablename__ = "emission_factor"
    __table_args__ = (UniqueConstraint("zone", "year"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    zone: Mapped[str] = mapped_column(String(40))
    year: Mapped[int]
    grams_per_kwh: Mapped[float]
    source: Mapped[str] = mapped_column(Text)
    basis: Mapped[str] = mapped_column(String(20), default="location")


class CommunityInvoice(db.Model):  # type: ignore[misc, name-defined]
    """An invoice to a member, as made elsewhere."""

    __tablename__ = "community_invoice"
    __table_args__ = (UniqueConstraint("community_id", "number"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id", ondelete="CASCADE"))
    member_id: Mapped[int] = mapped_column(ForeignKey("community_member.id", ondelete="CASCADE"), index=True)
    number: Mapped[str] = mapped_column(String(80))
    service_type: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(20))
    amount_total: Mapped[float]
    issued_on: Mapped[date] = mapped_column(Date)
    pdf: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)


class CommunityDay(db.Model):  # type: ignore[misc, name-defined]
    """Settlement of a service and local day: a cache that is worked out anew when its readings change.

    Attributes:
        produced: Energies in micro-kWh, as in `domain.communities.settlement.DailyEnergy`.
        expected: Readings that its meters should have given.
        points: Ids of supply points as 32-bit little-endian numbers.
        by_point: Consumed, offered, used, computed and present of each point, 64-bit little-endian, a row each.
    """

    __tablename__ = "community_day"

    service_id: Mapped[int] = mapped_column(
        ForeignKey("community_service.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    produced: Mapped[int] = mapped_column(BigInteger)
    shared: Mapped[int] = mapped_column(BigInteger)
    consumed: Mapped[int] = mapped_column(BigInteger)
    counted: Mapped[int]
    intervals: Mapped[int]
    readings: Mapped[int]
    expected: Mapped[int]
    avoided: Mapped[float | None]
    avoided_shared: Mapped[float | None]
    differences: Mapped[int]
    points: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    by_point: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


# Which sensors a service reads: whoever stores beliefs of one says, in the same transaction, that its days are stale.
community_meter = Table(
    "community_meter",
    db.metadata,
    Column("sensor_id", ForeignKey("sensor.id", ondelete="CASCADE"), primary_key=True),
    Column("service_id", ForeignKey("community_service.id", ondelete="CASCADE"), primary_key=True),
)

# Rows are only added by writers and only deleted by who settles, so that nobody waits for anybody.
community_stale = Table(
    "community_stale",
    db.metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("service_id", ForeignKey("community_service.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)
