"""Messages as JSON: the names are those of the XML, so that a reader of either knows both."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from shapeshifter_uftp.exceptions import InvalidValue
from shapeshifter_uftp.uftp.lexical import BOOLEAN
from shapeshifter_uftp.uftp.payload import PayloadMessage
from shapeshifter_uftp.uftp.structure import Attribute, Child, Element, plan_of

__all__ = ["from_json", "to_json"]

M = TypeVar("M", bound=PayloadMessage)


def to_json(message: PayloadMessage) -> str:
    """Write a message as JSON. Amounts and other decimals are texts, so that no reader rounds them."""
    return json.dumps(_to_plain(message))


def _to_plain(element: Element) -> dict[str, Any]:
    plan = plan_of(type(element))
    plain: dict[str, Any] = {a.wire: _plain_value(a, getattr(element, a.name)) for a in plan.attributes}
    for child in plan.children:
        value = getattr(element, child.name)
        plain[child.wire] = (
            [_to_plain(each) for each in value] if child.many else None if value is None else _to_plain(value)
        )
    return plain


def _plain_value(attribute: Attribute, value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    return attribute.kind.write(value)


def from_json(message: str | bytes, message_type: type[M]) -> M:
    """Read a message from JSON.

    Args:
        message: The JSON.
        message_type: The class that is expected; JSON does not say.

    Raises:
        InvalidValue: It is no such message.
    """
    try:
        plain = json.loads(message)
        read: M = _from_plain(plain, message_type)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidValue(f"This is no {message_type.__name__} in JSON: {error}") from error
    return read


def _from_plain(plain: dict[str, Any], cls: type[Element]) -> Any:
    plan = plan_of(cls)
    known = {a.wire for a in plan.attributes} | {c.wire for c in plan.children}
    unknown = set(plain) - known
    if unknown:
        raise InvalidValue(f"{cls.__name__} has no {', '.join(sorted(unknown))}")
    arguments = {
        a.name: _typed_value(a, plain[a.wire]) for a in plan.attributes if plain.get(a.wire) is not None
    }
    for child in plan.children:
        if plain.get(child.wire) is not None:
            arguments[child.name] = _typed_children(child, plain[child.wire])
    return cls(**arguments)


def _typed_value(attribute: Attribute, value: Any) -> Any:
    return value if isinstance(value, bool) and attribute.kind is BOOLEAN else attribute.kind.accept(value)


def _typed_children(child: Child, value: Any) -> Any:
    return [_from_plain(each, child.type) for each in value] if child.many else _from_plain(value, child.type)
