"""Manual entries of a community's operator: emission factors, and invoices that were made elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import CommunityInvoice, CommunityMember, EmissionFactorRow
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.services.communities.fields import clean_name
from flexmeasures.services.find import get_row

__all__ = ["NewEmissionFactor", "NewInvoice", "enter_emission_factor", "enter_invoice"]

_BASES = ("location", "market")
_LARGEST_FACTOR = 5_000.0
_LARGEST_PDF = 10_000_000


@dataclass(frozen=True)
class NewEmissionFactor:
    """Emissions of a kWh from the grid of a zone in a year.

    Attributes:
        zone: Of communities, such as "ES".
        year: Calendar year.
        grams_per_kwh: [g CO₂/kWh].
        source: Publication that says so; shown beside each metric.
        basis: "location" (the grid's mix) or "market" (the supplier's).
    """

    zone: str
    year: int
    grams_per_kwh: float
    source: str
    basis: str = "location"


@dataclass(frozen=True)
class NewInvoice:
    """An invoice to a member, made elsewhere.

    Attributes:
        member_id: Whom it asks to pay.
        number: Its number; once in a community.
        service_type: What it is about, such as "photovoltaic".
        amount_total: In the community's currency; negative for a credit.
        issued_on: Its date.
        state: As the books say, such as "open" or "paid".
        pdf: The document, at most 10 MB.
    """

    member_id: int
    number: str
    service_type: str
    amount_total: float
    issued_on: date
    state: str = "open"
    pdf: bytes | None = None


def enter_emission_factor(session: Session, new: NewEmissionFactor) -> EmissionFactorRow:
    """Enter the emission factor of a zone and year, in place of one that was entered before.

    Raises:
        InvalidInput: If a field is wrong.
    """
    if not 1990 <= new.year <= 2200:
        raise InvalidInput(f"{new.year} is not a year of emission factors. Give one from 1990 to 2200.")
    if not 0 <= new.grams_per_kwh <= _LARGEST_FACTOR:
        raise InvalidInput(
            f"An emission factor of {new.grams_per_kwh} g/kWh does not exist. Give 0 to {_LARGEST_FACTOR:,.0f} g/kWh."
        )
    if new.basis not in _BASES:
        raise InvalidInput(f"Basis {new.basis!r} is unknown. Choose from {', '.join(_BASES)}.")
    zone, source = clean_name(new.zone, "zone")[:40], clean_name(new.source, "source")
    query = select(EmissionFactorRow).where(
        EmissionFactorRow.zone == zone, EmissionFactorRow.year == new.year
    )
    row = session.scalar(query)
    if row is None:
        row = EmissionFactorRow(zone=zone, year=new.year)
        session.add(row)
    row.grams_per_kwh, row.source, row.basis = new.grams_per_kwh, source, new.basis
    session.flush()
    return row


def enter_invoice(session: Session, new: NewInvoice) -> CommunityInvoice:
    """Enter an invoice, which its member then sees.

    Raises:
        NotFound: If there is no such member.
        InvalidInput: If a field is wrong, or the document is not a PDF.
        Conflict: If the community has an invoice of this number.
    """
    member = get_row(session, CommunityMember, new.member_id, "member")
    if not math.isfinite(new.amount_total) or abs(new.amount_total) > 1e9:
        raise InvalidInput(f"An amount of {new.amount_total} cannot be invoiced. Give a number below 1e9.")
    if new.pdf is not None and not (new.pdf.startswith(b"%PDF-") and len(new.pdf) <= _LARGEST_PDF):
        raise InvalidInput("The document is not a PDF of at most 10 MB. Export it as PDF.")
    number = clean_name(new.number, "number of the invoice")
    same = select(CommunityInvoice.id).where(
        CommunityInvoice.community_id == member.community_id, CommunityInvoice.number == number
    )
    if session.scalar(same) is not None:
        raise Conflict(f"The community has an invoice {number!r} already. Give this one its own number.")
    row = CommunityInvoice(
        community_id=member.community_id,
        member_id=member.id,
        number=number,
        service_type=clean_name(new.service_type, "type of service"),
        state=clean_name(new.state, "state")[:20],
        amount_total=round(new.amount_total, 2),
        issued_on=new.issued_on,
        pdf=new.pdf,
    )
    session.add(row)
    session.flush()
    return row
