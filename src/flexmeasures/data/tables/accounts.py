"""Accounts (tenants) and their roles."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, String, Table, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db

__all__ = ["Account", "AccountRole", "account_roles_accounts"]

account_roles_accounts = Table(
    "account_roles_accounts",
    db.metadata,
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("account_role_id", ForeignKey("account_role.id", ondelete="CASCADE"), primary_key=True),
)


class AccountRole(db.Model):  # type: ignore[misc, name-defined]
    """A role of an organisation, by a free name: Prosumer, Aggregator, Supplier, ESCo, MDC, DSO, Consultancy."""

    __tablename__ = "account_role"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))


class Account(db.Model):  # type: ignore[misc, name-defined]
    """An organisation or household with its users and assets.

    Attributes:
        consultancy_account_id: The account whose consultants may act for this one.
        primary_color: Colour of its pages, as ``#rrggbb``; likewise `secondary_color`.
    """

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    consultancy_account_id: Mapped[int | None] = mapped_column(
        ForeignKey("account.id", ondelete="SET NULL"), index=True
    )
    primary_color: Mapped[str | None] = mapped_column(String(7))
    secondary_color: Mapped[str | None] = mapped_column(String(7))
    logo_url: Mapped[str | None] = mapped_column(String(255))
    attributes: Mapped[dict[str, Any]] = mapped_column(
        JSONB, default=dict, server_default=text("'{}'::jsonb")
    )

    roles: Mapped[list[AccountRole]] = relationship(
        secondary=account_roles_accounts, lazy="selectin", order_by=AccountRole.id
    )

    def __repr__(self) -> str:
        return f"<Account {self.name} (ID:{self.id})>"
