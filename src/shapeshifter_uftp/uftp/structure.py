"""Declaration of message classes, and the plan that reading, writing and documentation derive from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from shapeshifter_uftp.exceptions import InvalidValue
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.lexical import Kind

__all__ = ["Attribute", "Child", "Element", "Plan", "attribute", "child", "children", "element", "plan_of"]

_MISSING = dataclasses.MISSING
_E = TypeVar("_E", bound="type[Element]")


@dataclasses.dataclass(frozen=True, slots=True)
class Attribute:
    """One XML attribute of an element.

    Attributes:
        wire: Its name in XML.
        kind: Its lexical type.
        required: Whether the schema of the newest version demands it.
        since: The first version that knows it; older partners never see it.
        required_before: Versions before this one demand it although newer ones do not.
        doc: Its meaning in one line.
    """

    wire: str
    kind: Kind
    required: bool
    since: tuple[int, int] = (3, 0)
    required_before: tuple[int, int] = (0, 0)
    doc: str = ""
    name: str = ""
    default: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Child:
    """One kind of child elements of an element.

    Attributes:
        wire: The XML tag.
        type: The class of such an element.
        many: Whether the Python attribute is a list.
        at_least: How many the schema demands.
        doc: Their meaning in one line.
    """

    wire: str
    type: type[Element]
    many: bool
    at_least: int
    doc: str = ""
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The attributes and children of one class, in the order in which they are written."""

    attributes: tuple[Attribute, ...]
    children: tuple[Child, ...]

    @property
    def is_leaf(self) -> bool:
        """Tell whether the element has attributes only, as every ISP."""
        return not self.children


def attribute(wire: str, kind: Kind, doc: str, *, default: Any = _MISSING, **details: Any) -> Any:
    """Declare an XML attribute; one without a default is required and must be given by the caller."""
    required = details.pop("required", default is _MISSING)
    spec = Attribute(
        wire, kind, required, doc=doc, default=None if default is _MISSING else default, **details
    )
    # What no version of 3.x writes does not travel, and does not make two messages different.
    return dataclasses.field(default=default, metadata={"uftp": spec}, compare=spec.since < (4, 0))


def optional(wire: str, kind: Kind, doc: str, **details: Any) -> Any:
    """Declare an XML attribute that may be absent: None in Python."""
    return attribute(wire, kind, doc, default=None, **details)


def children(wire: str, type_: type[Element], doc: str, *, at_least: int = 1) -> Any:
    """Declare a list of child elements."""
    return dataclasses.field(
        default_factory=list, metadata={"uftp": Child(wire, type_, many=True, at_least=at_least, doc=doc)}
    )


def child(wire: str, type_: type[Element], doc: str) -> Any:
    """Declare a child element that may be absent."""
    return dataclasses.field(
        default=None, metadata={"uftp": Child(wire, type_, many=False, at_least=0, doc=doc)}
    )


class Element:
    """The base of everything that becomes an XML element."""

    __slots__ = ()

    wire_name: ClassVar[str] = ""
    """The XML name of a message; empty for parts of messages, whose tag depends on where they stand."""

    sender_role: ClassVar[UsefRole | None] = None
    recipient_role: ClassVar[UsefRole | None] = None


class Converted(Element):
    """An element whose constructor turns what callers give into the proper types.

    The many ISP elements hold only integers and skip this: their values are checked when they are written.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        """Convert dates, durations, decimals, enumerations and instants given in other forms."""
        for name, exact, accept in _conversions(cast("Hashable", type(self))):
            value = getattr(self, name)
            if value is not None and type(value) is not exact:
                try:
                    setattr(self, name, accept(value))
                except (ValueError, TypeError, ArithmeticError) as error:
                    raise InvalidValue(f"{type(self).__name__}.{name}: {error}") from error


@cache
def _conversions(cls: Hashable) -> tuple[tuple[str, type, Callable[[Any], Any]], ...]:
    return tuple((a.name, a.kind.python, a.kind.accept) for a in _plan(cls).attributes)


def element(
    wire_name: str = "", sender: UsefRole | None = None, recipient: UsefRole | None = None
) -> Callable[[_E], _E]:
    """Name a message class on the wire and say who sends it to whom (None: any role)."""

    def register(cls: _E) -> _E:
        cls.wire_name, cls.sender_role, cls.recipient_role = wire_name, sender, recipient
        MESSAGES[wire_name] = cls
        return cls

    return register


MESSAGES: dict[str, type[Element]] = {}
"""Every message by its XML name."""


def _specs(cls: type[Element]) -> Iterator[Attribute | Child]:
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        spec: Attribute | Child = field.metadata["uftp"]
        yield dataclasses.replace(spec, name=field.name)


@cache
def _plan(cls: Hashable) -> Plan:
    specs = list(_specs(cast("type[Element]", cls)))
    return Plan(
        tuple(spec for spec in specs if isinstance(spec, Attribute)),
        tuple(spec for spec in specs if isinstance(spec, Child)),
    )


def plan_of(cls: type[Element]) -> Plan:
    """Give the plan of a class: what its declaration says, in writing order."""
    return _plan(cast("Hashable", cls))
