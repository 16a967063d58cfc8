"""Query parameters of lists: unknown ones are ignored, those known are checked."""

from __future__ import annotations

import re

from flask import request

from flexmeasures.api.openadr3.versions import Version
from flexmeasures.domain.coordination.former import plain_target
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.objects import Listing, Names

__all__ = ["read_flag", "read_id", "read_listing", "read_name", "read_object_types"]

MOST = 50
"""So many objects are shown at most, and if nothing is said."""

_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_LONGEST_NAME = 128
_OBJECT_TYPES = ("PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE")


def read_listing(version: Version) -> Listing:
    """Read which part of a list is asked for.

    Raises:
        InvalidInput: If a number or target is not possible.
    """
    skip, limit = _read_number("skip", 0), _read_number("limit", MOST)
    if limit > MOST:
        raise InvalidInput(f"limit is {limit}; ask for at most {MOST}, and for more with skip.")
    values = _read_targets(version)
    if not version.is_former or not values:
        return Listing(skip, limit, values)
    target_type = request.args["targetType"]
    return Listing(
        skip,
        limit,
        tuple(plain_target(target_type, value) for value in values),
        any_target=True,
        names=Names(target_type, values),
    )


def _read_number(name: str, default: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise InvalidInput(f"{name} is {quote(text)}; use a whole number from 0.")
    return int(text)


def _read_targets(version: Version) -> tuple[str, ...]:
    name = "targetValues" if version.is_former else "targets"
    targets = tuple(dict.fromkeys(request.args.getlist(name)))
    if version.is_former and ("targetType" in request.args) != bool(targets):
        raise InvalidInput("targetType and targetValues go together. Give both, or neither.")
    for target in targets:
        if not 1 <= len(target) <= _LONGEST_NAME or "\x00" in target:
            raise InvalidInput(f"{name} holds {quote(target)}; a target has 1 to {_LONGEST_NAME} characters.")
    return targets


def read_id(name: str) -> str | None:
    """Read an id.

    Raises:
        InvalidInput: If it cannot be one.
    """
    text = request.args.get(name)
    if text is not None and not _ID.fullmatch(text):
        raise InvalidInput(f"{name} is {quote(text)}; ids have 1 to 128 of the characters a-z A-Z 0-9 _ -.")
    return text


def read_name(name: str) -> str | None:
    """Read a name.

    Raises:
        InvalidInput: If it cannot be one.
    """
    text = request.args.get(name)
    if text is not None and (not 1 <= len(text) <= _LONGEST_NAME or "\x00" in text):
        raise InvalidInput(f"{name} is {quote(text)}; names have 1 to {_LONGEST_NAME} characters.")
    return text


def read_flag(name: str) -> bool:
    """Read whether something is wanted.

    Raises:
        InvalidInput: If it is neither true nor false.
    """
    text = request.args.get(name, "false")
    if text.lower() not in ("true", "false"):
        raise InvalidInput(f"{name} is {quote(text)}; use true or false.")
    return text.lower() == "true"


def read_object_types() -> tuple[str, ...]:
    """Read the types of object of subscriptions.

    Raises:
        InvalidInput: If there is no such type.
    """
    kinds = tuple(dict.fromkeys(request.args.getlist("objects")))
    for kind in kinds:
        if kind not in _OBJECT_TYPES:
            raise InvalidInput(f"objects holds {quote(kind)}; there are {', '.join(_OBJECT_TYPES)}.")
    return kinds
