"""Portfolios of partners in coordination: customers, places, resources and areas, and what was reported of them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db
from flexmeasures.data.tables.coordination import (
    EMPTY_ARRAY,
    ENVIRONMENT_LENGTH,
    NAME_LENGTH,
    OpenAdrObject,
)

__all__ = [
    "DrAcknowledgement",
    "DrArea",
    "DrEligibilityChange",
    "DrEnrolment",
    "DrEventTarget",
    "DrLocation",
    "DrResource",
    "DrResourceGroup",
    "DrResourceGroupMember",
    "DrUsage",
    "DrUser",
]


class DrUser(db.Model):  # type: ignore[misc, name-defined]
    """A customer of a partner, by the id that the partner chose."""

    __tablename__ = "dr_user"
    __table_args__ = (UniqueConstraint("client_id", "user_id", name="dr_user_user_id_key"),)

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("dr_client.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DrLocation(db.Model):  # type: ignore[misc, name-defined]
    """A place where a user has resources: its meter points or its coordinates say in which areas it lies."""

    __tablename__ = "dr_location"
    __table_args__ = (UniqueConstraint("user_id", "location_id", name="dr_location_location_id_key"),)

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("dr_user.id", ondelete="CASCADE"))
    location_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    location_type: Mapped[str] = mapped_column(String(NAME_LENGTH))
    meter_point_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    latitude: Mapped[float | None] = mapped_column(Double)
    longitude: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DrResource(OpenAdrObject, db.Model):  # type: ignore[misc, name-defined]
    """A resource of a VEN: a device, or whatever else reports name.

    Attributes:
        user_id: Of a partner's customer; a vehicle hangs on the user alone.
        location_id: Where it stands.
        resource_type: As the partner calls it, such as HotWaterTank.
    """

    __tablename__ = "dr_resource"
    __table_args__ = (UniqueConstraint("ven_id", "name", name="dr_resource_name_key"),)

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    client_id: Mapped[str] = mapped_column(String(NAME_LENGTH), index=True)
    ven_id: Mapped[str] = mapped_column(ForeignKey("dr_ven.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("dr_user.id", ondelete="CASCADE"), index=True)
    location_id: Mapped[int | None] = mapped_column(
        ForeignKey("dr_location.id", ondelete="CASCADE"), index=True
    )
    resource_type: Mapped[str | None] = mapped_column(String(NAME_LENGTH))


class DrResourceGroup(OpenAdrObject, db.Model):  # type: ignore[misc, name-defined]
    """A group of resources and other groups, such as those behind a transformer; an extension of OpenADR."""

    __tablename__ = "dr_resource_group"
    __table_args__ = (UniqueConstraint("environment", "name", name="dr_resource_group_name_key"),)

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))


class DrResourceGroupMember(db.Model):  # type: ignore[misc, name-defined]
    """A child of a group: a group or a resource."""

    __tablename__ = "dr_resource_group_member"
    __table_args__ = (
        UniqueConstraint(
            "group_id",
            "child_id",
            "resource_id",
            name="dr_resource_group_member_key",
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("dr_resource_group.id", ondelete="CASCADE"))
    child_id: Mapped[str | None] = mapped_column(
        ForeignKey("dr_resource_group.id", ondelete="CASCADE"), index=True
    )
    resource_id: Mapped[str | None] = mapped_column(
        ForeignKey("dr_resource.id", ondelete="CASCADE"), index=True
    )


class DrEventTarget(db.Model):  # type: ignore[misc, name-defined]
    """Part of a partner's portfolio that an event is about, as it was when the event was made; reports name it.

    Attributes:
        resource_id: As the partner calls it; None: the location as a whole.
    """

    __tablename__ = "dr_event_target"
    __table_args__ = (
        UniqueConstraint(
            "event_id",
            "client_id",
            "location_id",
            "resource_id",
            name="dr_event_target_key",
            postgresql_nulls_not_distinct=True,
        ),
        Index("dr_event_target_client_id_idx", "client_id", "event_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[str] = mapped_column(ForeignKey("dr_event.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(ForeignKey("dr_client.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    location_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    resource_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    meter_point_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))


class DrUsage(db.Model):  # type: ignore[misc, name-defined]
    """Energy that was reported for a slot of an event; of several values the newest holds, all are kept.

    Attributes:
        kilowatt_hours: Consumption is positive [kWh].
    """

    __tablename__ = "dr_usage"
    __table_args__ = (
        Index("dr_usage_slot_idx", "client_id", "event_id", "location_id", "resource_id", "slot_start", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("dr_report.id", ondelete="CASCADE"), index=True)
    event_id: Mapped[str] = mapped_column(ForeignKey("dr_event.id"), index=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("dr_client.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    location_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    resource_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    meter_point_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    slot_start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    kilowatt_hours: Mapped[Decimal] = mapped_column(Numeric(18, 6))
    reported_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DrAcknowledgement(db.Model):  # type: ignore[misc, name-defined]
    """Acknowledgement of a power limit, target by target; the newest holds."""

    __tablename__ = "dr_acknowledgement"
    __table_args__ = (Index("dr_acknowledgement_event_id_idx", "event_id", "client_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("dr_report.id", ondelete="CASCADE"), index=True)
    event_id: Mapped[str] = mapped_column(ForeignKey("dr_event.id"))
    client_id: Mapped[int] = mapped_column(ForeignKey("dr_client.id", ondelete="CASCADE"))
    location_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    resource_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    meter_point_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    is_accepted: Mapped[bool] = mapped_column(Boolean)
    acknowledged_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DrEnrolment(db.Model):  # type: ignore[misc, name-defined]
    """A user who takes part in a programme."""

    __tablename__ = "dr_enrolment"

    user_id: Mapped[int] = mapped_column(ForeignKey("dr_user.id", ondelete="CASCADE"), primary_key=True)
    program_id: Mapped[str] = mapped_column(
        ForeignKey("dr_program.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    enrolled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DrArea(db.Model):  # type: ignore[misc, name-defined]
    """A neighbourhood of the grid, by its border or by its meter points.

    Attributes:
        target: What events for the area are targeted at; granted to the resources in it.
        corners: Longitude and latitude of each corner [degrees]; None: by meter points.
        price_area: Such as NO1.
        daily_at: Local time of day, HH:MM, at which a price curve is sent for the next day; None: none is.
    """

    __tablename__ = "dr_area"
    __table_args__ = (UniqueConstraint("environment", "name", name="dr_area_name_key"),)

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    environment: Mapped[str] = mapped_column(String(ENVIRONMENT_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    target: Mapped[str] = mapped_column(String(NAME_LENGTH))
    program_id: Mapped[str] = mapped_column(ForeignKey("dr_program.id", ondelete="CASCADE"), index=True)
    corners: Mapped[list[list[float]] | None] = mapped_column(JSONB(none_as_null=True))
    meter_point_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    price_area: Mapped[str] = mapped_column(String(10))
    currency: Mapped[str] = mapped_column(String(3))
    timezone: Mapped[str] = mapped_column(String(80))
    daily_at: Mapped[str | None] = mapped_column(String(5))
    last_daily_for: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class DrEligibilityChange(db.Model):  # type: ignore[misc, name-defined]
    """A user who became eligible, or is not any more; partners are told of several at once.

    Attributes:
        event_id: The event that told of it; None: it waits.
    """

    __tablename__ = "dr_eligibility_change"
    __table_args__ = (
        Index("dr_eligibility_change_waiting_idx", "client_id", postgresql_where=text("event_id is null")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("dr_client.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    area_id: Mapped[int] = mapped_column(ForeignKey("dr_area.id", ondelete="CASCADE"), index=True)
    is_eligible: Mapped[bool] = mapped_column(Boolean)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    event_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
