"""Annotations: remarks about periods of accounts, assets and sensors, and public holidays among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Account, Annotation, Asset, Sensor
from flexmeasures.data.tables.notes import ANNOTATION_TYPES
from flexmeasures.domain.errors import InvalidInput, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.names import name_fault
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import find_zone

__all__ = [
    "ANNOTATION_TYPES",
    "NewAnnotation",
    "Subjects",
    "add_annotations",
    "add_holidays",
    "delete_annotation",
    "find_annotation",
    "list_annotations",
]

_LONGEST = 1024
_SOURCE = ("CLI script", "script")


@dataclass(frozen=True)
class NewAnnotation:
    """A remark about a period.

    Attributes:
        start: From this instant on ...
        end: ... and before this one.
        type: One of `ANNOTATION_TYPES`.
    """

    content: str
    start: datetime
    end: datetime
    type: str = "label"


@dataclass(frozen=True)
class Subjects:
    """Accounts, assets and sensors that an annotation is about, by id."""

    account_ids: Sequence[int] = ()
    asset_ids: Sequence[int] = ()
    sensor_ids: Sequence[int] = ()

    @property
    def columns(self) -> list[tuple[str, Any, int]]:
        """Column, kind and id of each."""
        return [
            *(("account_id", Account, one) for one in self.account_ids),
            *(("asset_id", Asset, one) for one in self.asset_ids),
            *(("sensor_id", Sensor, one) for one in self.sensor_ids),
        ]


def add_annotations(session: Session, notes: Sequence[NewAnnotation], about: Subjects, now: datetime) -> int:
    """Add annotations to each subject; the caller commits.

    Returns:
        How many are new; the same remark about the same period of the same subject is not added twice.

    Raises:
        InvalidInput: If a text is empty or too long, or a period ends before it starts.
        NotFound: If there is no such subject.
    """
    if not about.columns:
        raise InvalidInput("An annotation is about something: give an account, an asset or a sensor.")
    for note in notes:
        _check(note)
    for field, kind, number in about.columns:
        if not is_id(number) or session.get(kind, number) is None:
            raise NotFound(f"There is no {field.removesuffix('_id')} with id {number}.")
    source_id = get_or_create_source(session, *_SOURCE).id
    added = 0
    for field, _, number in about.columns:
        known = _known(session, getattr(Annotation, field) == number)
        for note in notes:
            if (note.content, note.start, note.end, note.type) in known:
                continue
            row = Annotation(**vars(note), belief_time=now, source_id=source_id)
            setattr(row, field, number)
            session.add(row)
            added += 1
    session.flush()
    return added


def _check(note: NewAnnotation) -> None:
    fault = name_fault(note.content, _LONGEST)
    if fault:
        raise InvalidInput(f"The text of the annotation is wrong. {fault}")
    if note.type not in ANNOTATION_TYPES:
        raise InvalidInput(f"{quote(note.type)} is not a type of annotations: {', '.join(ANNOTATION_TYPES)}.")
    if note.end <= note.start:
        raise InvalidInput(f"The annotation ends at {note.end.isoformat()}: it must end after it starts.")


def _known(session: Session, about: ColumnElement[bool]) -> set[tuple[str, datetime, datetime, str]]:
    query = select(Annotation.content, Annotation.start, Annotation.end, Annotation.type).where(about)
    return {(content, start, end, kind) for content, start, end, kind in session.execute(query)}


def add_holidays(
    session: Session,
    years: Sequence[int],
    countries: Sequence[str],
    about: Subjects,
    zone: str,
    now: datetime,
) -> int:
    """Annotate accounts and assets with the public holidays of countries; the caller commits.

    Args:
        session: Within its transaction.
        years: Which.
        countries: By their codes of ISO 3166, such as NL, or of parts of them, such as DE-BW.
        about: What they are holidays for.
        zone: IANA name of the zone in whose local days they are.
        now: When they are noted.

    Returns:
        How many are new.

    Raises:
        InvalidInput: If no holidays are known of a country.
        NotFound: If there is no such subject.
    """
    import holidays  # noqa: PLC0415 - its many calendars are seldom needed

    notes = []
    for country in countries:
        name, _, part = country.partition("-")
        try:
            found = holidays.country_holidays(name, subdiv=part or None, years=list(years))
        except NotImplementedError as error:
            raise InvalidInput(
                f"No holidays are known of {quote(country)}. Use an ISO 3166 code, such as NL or DE-BW."
            ) from error
        for day, title in sorted(found.items()):
            # Midnight to midnight of the local day, which may have 23 or 25 hours.
            start, end = (
                datetime.combine(one, time(), tzinfo=find_zone(zone))
                for one in (day, day + timedelta(days=1))
            )
            notes.append(NewAnnotation(str(title)[:_LONGEST], start, end, "holiday"))
    return add_annotations(session, notes, about, now)


def find_annotation(session: Session, annotation_id: int) -> Annotation:
    """Find an annotation by id.

    Raises:
        NotFound: If there is none.
    """
    found = session.get(Annotation, annotation_id) if 0 < annotation_id < 2**63 else None
    if found is None:
        raise NotFound(f"There is no annotation with id {annotation_id}. See: show annotations.")
    return found


def delete_annotation(session: Session, annotation_id: int) -> None:
    """Delete an annotation; the caller commits.

    Raises:
        NotFound: If there is none.
    """
    session.delete(find_annotation(session, annotation_id))
    session.flush()


def list_annotations(session: Session, about: Subjects, limit: int = 1000) -> list[Annotation]:
    """List annotations by start; those about some subjects, or all if none is named."""
    query = select(Annotation).order_by(Annotation.start, Annotation.id).limit(limit)
    named = (
        (Annotation.account_id, about.account_ids),
        (Annotation.asset_id, about.asset_ids),
        (Annotation.sensor_id, about.sensor_ids),
    )
    conditions = [column.in_(list(ids)) for column, ids in named if ids]
    if conditions:
        query = query.where(or_(*conditions))
    return list(session.scalars(query))
