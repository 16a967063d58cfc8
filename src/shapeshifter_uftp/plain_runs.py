"""Long ISP lists, read without a tree: the way of the many messages that look as expected.

Most of a message is a run of like elements, ``<ISP Power="-1000" Start="33"/><ISP ...``. Where a run is made of nothing
but such elements, with the same attributes in the same order and values of a pattern *narrower* than the schema's
types, its values are taken from the text, and only its first element is left in the document that is parsed and
validated: if the schema accepts that one, it accepts them all. Anything unusual (other quotes, other attributes) is
simply not cut, and takes the long way. It halves the time of receiving.

What looks like an ISP in the text may be none: in a comment, a processing instruction, another namespace. In an
element's tag it cannot hide, as ``<`` is not well-formed there. So the reader counts: a document with as many ISP
elements as its text has ``<ISP`` has no others, and any other document takes the long way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Run", "cut_runs"]

_SHORTEST = 300
"""Shorter runs [bytes] are not worth it."""
_NUMBER, _COUNT = rb"-?[0-9]{1,18}", rb"[1-9][0-9]{0,8}"
_POWERS = (
    b"Power MinPower MaxPower BaselinePower OrderedFlexPower ActualPower DeliveredFlexPower PowerDeficiency"
)
_PATTERNS = {
    **dict.fromkeys(_POWERS.split(), _NUMBER),
    b"Start": _COUNT,
    b"Duration": _COUNT,
    b"Disposition": rb"Available|Requested",
    b"Value": rb"-?[0-9]{1,15}(?:\.[0-9]{1,15})?",
}
_FIRST = re.compile(rb'<ISP((?: [A-Za-z]{1,20}="[^"<&]{1,20}"){1,8})/>')
_NAME = re.compile(rb" ([A-Za-z]+)=")
_VALUE = re.compile(rb'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was cut down to its first element.

    Attributes:
        ordinal: Which ISP element of the remaining document stands for it, counted from 0.
        names: XML names of the attributes.
        columns: The texts of each attribute, one for each element of the run.
    """

    ordinal: int
    names: tuple[str, ...]
    columns: list[list[str]]


@lru_cache(maxsize=64)
def _layout(attributes: bytes) -> tuple[tuple[str, ...], re.Pattern[bytes]] | None:
    """Give names and the pattern of a whole run, from the attributes of its first element without their values."""
    names = _NAME.findall(attributes)
    if len(set(names)) < len(names) or not set(names) <= set(_PATTERNS):
        return None
    whole = b"".join(b" " + name + b'="(?:' + _PATTERNS[name] + b')"' for name in names)
    return tuple(n.decode() for n in names), re.compile(rb"(?:<ISP" + whole + rb"/>[ \t\r\n]*+)++")


def cut_runs(xml: bytes) -> tuple[bytes, list[Run]]:
    """Cut long runs of plain ISP elements down to their first element; give what remains, and the runs."""
    if len(xml) < 2 * _SHORTEST:
        return xml, []
    parts: list[bytes] = []
    runs: list[Run] = []
    ordinal = done = 0
    while (first := _FIRST.search(xml, done)) is not None:
        layout = _layout(_VALUE.sub(b"", first[1]))
        match = layout[1].match(xml, first.start()) if layout else None
        end = match.end() if match else first.end()
        ordinal += xml.count(b"<ISP", done, first.start())
        if layout and match and end - first.start() > _SHORTEST:
            names = layout[0]
            values = match[0].decode().split('"')[1::2]  # no value has a quote in it
            runs.append(Run(ordinal, names, [values[n :: len(names)] for n in range(len(names))]))
            parts.append(xml[done : first.end()])
            ordinal += 1
        else:
            parts.append(xml[done:end])
            ordinal += xml.count(b"<ISP", first.start(), end)
        done = end
    return b"".join((*parts, xml[done:])), runs
