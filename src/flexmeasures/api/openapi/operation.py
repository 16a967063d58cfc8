"""`documented`: the decorator that puts an endpoint into the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from flexmeasures.api.openapi.shapes import Schema

__all__ = ["Answer", "Operation", "describe", "documented", "find_operation"]

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Answer:
    """An answer of an endpoint.

    Attributes:
        description: When it is given.
        schema: Of its body; None: it has none.
        headers: What its headers mean, by name.
        media_type: Of its body.
    """

    description: str
    schema: Schema | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(frozen=True)
class Operation:
    """Requests and answers of an endpoint.

    Attributes:
        answers: By HTTP code. Those that every endpoint can give are added: 401, 413, 429 and 503.
        tag: Under which heading it stands; found from its path if left out.
        summary: A phrase; the first sentence of the view's docstring if left out.
        description: More about it.
        query: What stands in the query: a form, or a schema of an object with one property for each argument.
        query_example: Arguments that work.
        headers: Schemas of headers that are needed, by name.
        path: Schemas of parts of the path that are not the number of something, by name.
        body: What is sent: a form, or a schema.
        examples: Bodies that work, by name.
        aliases: Other names of fields, and what the form calls them.
        media_type: Of what is sent.
        public: Whether nobody needs to log in.
        security: The ways to show who asks, if they differ from the usual ones.
    """

    answers: Mapping[int, Answer]
    tag: str = ""
    summary: str = ""
    description: str = ""
    query: type[BaseModel] | Schema | None = None
    query_example: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    path: Mapping[str, Schema] = field(default_factory=dict)
    body: type[BaseModel] | Schema | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    public: bool = False
    security: tuple[str, ...] | None = None


def documented(answers: Mapping[int, Answer], **more: Any) -> Callable[[View], View]:
    """Say what a view takes and answers; the arguments are those of `Operation`.

    It stands right below the decorator that routes to the view. An endpoint that says nothing appears in the document
    with the first sentence of its docstring alone.
    """

    def mark(view: View) -> View:
        return describe(view, lambda: Operation(answers, **more))

    return mark


def describe(view: View, make: Callable[[], Operation]) -> View:
    """Say what a view takes and answers, worked out when the document is first read."""
    view.__dict__["make_operation"] = make
    return view


def find_operation(view: Callable[..., Any]) -> Operation:
    """Find what a view takes and answers, as far as it was said."""
    make = view.__dict__.get("make_operation")
    return make() if make else Operation({200: Answer("All went well.", {})})
