"""The reference of all messages as Markdown, made from their declarations.

``make docs`` writes it to docs/reference/uftp-messages.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from shapeshifter_uftp.uftp.payload import FlexMessage, PayloadMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.routing import MESSAGE_TYPES, request_response_map
from shapeshifter_uftp.uftp.structure import Attribute, Child, Element, plan_of

__all__ = ["message_reference"]

_HEAD = """# UFTP messages

Every message of UFTP 3.0.0 and 3.1.0, with its attributes. This page is made from the declarations in
`shapeshifter_uftp.uftp`; a test compares the two.

Powers are whole watts, the mean over an ISP: positive is consumption (flow to the prosumer), negative is production.
A period is one calendar day in the message's time zone. ISPs are numbered from 1 at the start of that day, in elapsed
time; an element covers `start` to `start + duration - 1`. "required" means that the schema demands it; "filled in"
that a client does it when you leave it out.
"""


def _row(spec: Attribute | Child) -> str:
    if isinstance(spec, Child):
        number = f"{spec.at_least} or more" if spec.many else "0 or 1"
        return f"| `{spec.name}` | `{spec.wire}` | {number} `{spec.type.__name__}` | {spec.doc} |"
    need = "required" if spec.required else "optional"
    if spec.required and spec.default is None and spec.wire in _FILLED:
        need = "filled in"
    if spec.default is not None:
        need += f", default `{spec.default}`"
    if spec.since > (3, 0):
        need += f", since {spec.since[0]}.{spec.since[1]}.0"
    return f"| `{spec.name}` | `{spec.wire}` | {spec.kind.name}, {need} | {spec.doc}; {spec.kind.rule} |"


_FILLED = {a.wire for a in plan_of(PayloadMessage).attributes}


def _table(cls: type[Element], without: type[Element] | None) -> Iterator[str]:
    plan = plan_of(cls)
    shared = {a.name for a in plan_of(without).attributes} if without else set()
    every: list[Attribute | Child] = [*plan.attributes, *plan.children]
    specs = [spec for spec in every if spec.name not in shared]
    if specs:
        yield "| Python | XML | Kind | Meaning |\n|---|---|---|---|"
        yield from (_row(spec) for spec in specs)
    else:
        yield "No attributes of its own."
    yield ""


def _base(cls: type[Element]) -> type[Element]:
    return next(
        base for base in (FlexMessage, PayloadMessageResponse, PayloadMessage) if issubclass(cls, base)
    )


def _section(cls: type[Element], level: str, without: type[Element] | None) -> Iterator[str]:
    yield f"{level} {cls.__name__}"
    yield ""
    if cls.wire_name:
        who = f"{cls.sender_role} to {cls.recipient_role}" if cls.sender_role else "anybody to anybody"
        yield f"`{cls.wire_name}`, {who}." + (
            f" Also the attributes of `{without.__name__}`." if without else ""
        )
        yield ""
    yield inspect.getdoc(cls) or ""
    yield ""
    yield from _table(cls, without)
    for child in plan_of(cls).children:
        yield from _section(child.type, level + "#", None)


def message_reference() -> str:
    """Give the whole page."""
    lines = [_HEAD]
    for cls in (PayloadMessage, PayloadMessageResponse, FlexMessage):
        base = None if cls is PayloadMessage else PayloadMessage
        lines += [f"## {cls.__name__}", "", inspect.getdoc(cls) or "", "", *_table(cls, base)]
    responses = set(request_response_map.values())
    for cls in MESSAGE_TYPES.values():
        if cls not in responses:
            lines += _section(cls, "##", _base(cls))
            response = request_response_map[cls]
            lines += _section(response, "##", _base(response))
    return "\n".join(lines).rstrip() + "\n"
