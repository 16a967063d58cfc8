"""XML bytes to typed values: hostile bytes refused, schema checked, the known quirks of peers forgiven.

Nothing here resolves entities, loads files or touches the network. Bytes with a document type are refused
before any parser sees them.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, cast

from lxml import etree

from shapeshifter_uftp.exceptions import SchemaException
from shapeshifter_uftp.plain_runs import Run, cut_runs
from shapeshifter_uftp.tolerance import TOLERANCES
from shapeshifter_uftp.uftp.payload import PayloadMessage
from shapeshifter_uftp.uftp.structure import MESSAGES, Child, Element, plan_of

__all__ = ["message_from_xml", "parse", "schema_errors"]

_DOCTYPE = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_SCHEMAS = Path(__file__).parent / "xsd"


_local = threading.local()


def _parser() -> Any:
    """Give this thread's parser: threads that share one would wait for each other."""
    try:
        return _local.parser
    except AttributeError:
        _local.parser = parser = _new_parser()
        return parser


def _new_parser() -> Any:
    # remove_comments and remove_pis: neither means anything in UFTP, and both would stand between elements.
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True, collect_ids=False,
    )  # fmt: skip


_schemas_in_use = threading.Lock()
"""Held while schemas are made and used. When two threads make schemas at once, libxml2 fails or loops for ever; and the
errors of a validation are kept in the schema. A validation takes a hundredth of a millisecond."""


_ODD = etree.XPath("boolean(//*[count(@*) > 40]) or boolean(" + "/*" * 17 + ")")
"""Bounds that no message exceeds, and that would cost much to validate: dozens of attributes, a deep tree."""


@cache
def _schemas() -> dict[str, Any]:
    return {
        version: etree.XMLSchema(etree.parse(str(_SCHEMAS / version / "UFTP.xsd")))
        for version in ("3.0.0", "3.1.0")
    }


def _errors(root: Any, version: str) -> list[tuple[int, str]]:
    """Validate a tree; give line and message of each error."""
    with _schemas_in_use:
        schema = _schemas()[version]
        return [] if schema.validate(root) else [(entry.line, entry.message) for entry in schema.error_log]


def _schema_version(root: Any) -> str:
    """Choose the schema by the message's version; an unknown one is read as the newest and refused later, by rule."""
    return "3.0.0" if (root.get("Version") or "").startswith("3.0.") else "3.1.0"


def parse(xml: bytes) -> Any:
    """Parse bytes to an element tree.

    Raises:
        SchemaException: The bytes declare a document type, are not UTF-8, or are not well-formed XML.
    """
    if (b"<!" in xml and _DOCTYPE.search(xml)) or b"\x00" in xml:
        raise SchemaException(
            "A document type, an entity declaration or a NUL is not allowed: send plain UTF-8 XML"
        )
    try:
        root = etree.fromstring(xml, _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SchemaException(f"Not well-formed XML: {error}") from None
    if root is None:
        raise SchemaException("Not well-formed XML: there is no element")
    document = root.getroottree().docinfo
    if (document.encoding or "utf-8").lower() not in _ENCODINGS:
        raise SchemaException(f"Encoding {document.encoding!r} is not allowed: send UTF-8")
    if document.internalDTD is not None:  # in an encoding that the search above cannot read
        raise SchemaException("A document type is not allowed")
    return root


def schema_errors(root: Any, version: str | None = None) -> list[str]:
    """Validate a tree strictly against the schema of its version and list what is wrong."""
    return [f"line {line}: {message}" for line, message in _errors(root, version or _schema_version(root))]


def _validate(root: Any) -> None:
    """Check a tree against its schema; where that fails, once more with the known quirks of peers forgiven."""
    version = _schema_version(root)
    if _ODD(root):
        raise SchemaException("An element has more than 40 attributes, or stands more than 16 levels deep")
    errors = _errors(root, version)
    if not errors:
        return
    forgiven = root
    for tolerance in TOLERANCES:
        forgiven = tolerance(forgiven)
    if forgiven is root or _errors(forgiven, version):
        said = "; ".join(message for _, message in errors)[:500]
        raise SchemaException(f"Not as the schema of {root.tag} says: {said}")


def message_from_xml(xml: bytes, *, validate: bool = True) -> PayloadMessage:
    """Read an inner message.

    Args:
        xml: The XML, UTF-8.
        validate: Check against the schema of the message's version, with the tolerances of `tolerance`.

    Raises:
        SchemaException: The bytes are not a message.
    """
    shorter, runs = cut_runs(xml)
    if runs:
        try:
            return _read_document(shorter, runs, validate)
        except SchemaException:
            pass  # the long way says what is wrong with the document as it is
    return _read_document(xml, [], validate)


def _read_document(xml: bytes, runs: list[Run], validate: bool) -> PayloadMessage:
    root = parse(xml)
    cls = MESSAGES.get(root.tag)
    if cls is None or not issubclass(cls, PayloadMessage):
        raise SchemaException(f"{str(root.tag)[:80]!r} is not a message of UFTP 3.x")
    if validate and root.tag != "PayloadMessageResponse":
        _validate(root)
    isps = list(root.iter("ISP")) if runs else []
    if runs and len(isps) != xml.count(b"<ISP"):
        raise SchemaException("Some of the text that looks like an ISP is none")
    try:
        return _read_element(root, cls, {isps[run.ordinal]: run for run in runs})  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError, ArithmeticError, IndexError) as error:
        raise SchemaException(f"{root.tag} has a value that cannot be read: {error}") from None


_Runs = dict[Any, Run]


def _read_element(element: Any, cls: type[Element], runs: _Runs) -> Any:
    value: Any = object.__new__(cls)
    texts = dict(element.items())
    for wire, read, default, set_value in _attribute_readers(cast("Any", cls)):
        text = texts.get(wire)
        set_value(value, default if text is None else read(text))
    children = plan_of(cls).children
    for child in children:
        setattr(value, child.name, _read_children(element, child, runs))
    return value


@cache
def _attribute_readers(cls: Any) -> tuple[tuple[str, Any, Any, Any], ...]:
    """Give XML name, reader, default and the setter of the slot of each attribute."""
    return tuple(
        (a.wire, a.kind.read, a.default, getattr(cls, a.name).__set__) for a in plan_of(cls).attributes
    )


def _read_children(element: Any, child: Child, runs: _Runs) -> Any:
    if not child.many:
        found = element.find(child.wire)
        return None if found is None else _read_element(found, child.type, runs)
    values: list[Any] = []
    for each in element.iterchildren(child.wire):
        run = runs.get(each)
        if run is None:
            values.append(_read_element(each, child.type, runs))
        else:
            values += _read_run(run, child.type)
    return values


def _read_run(run: Run, cls: type[Element]) -> list[Any]:
    """Make the elements of a run, attribute by attribute: a quarter of the time that one after another takes."""
    texts = dict(zip(run.names, run.columns, strict=True))
    count = len(run.columns[0])
    values: list[Any] = list(map(object.__new__, repeat(cls, count)))
    for wire, read, default, set_value in _attribute_readers(cast("Any", cls)):
        column: Iterable[Any] = map(read, texts[wire]) if wire in texts else repeat(default, count)
        deque(map(set_value, values, column), maxlen=0)
    return values
