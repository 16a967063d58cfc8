"""Envelopes of answers: one object, or a page of a list, with links to itself and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response, current_app, request

from flexmeasures.api.door import json_response
from flexmeasures.domain.errors import InvalidInput

__all__ = ["LARGEST_PAGE", "Page", "one", "page_of", "read_page"]

LARGEST_PAGE = 1000
_USUAL_PAGE = 20
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Page:
    """Part of a list.

    Attributes:
        number: From 1.
        size: Most items on a page; None: everything on one page.
    """

    number: int = 1
    size: int | None = None

    @property
    def begin(self) -> int:
        """Number of the first item, from 0."""
        return 0 if self.size is None else (self.number - 1) * self.size

    def cut(self, items: Sequence[Any]) -> Sequence[Any]:
        """Cut the page out of a list."""
        return items if self.size is None else items[self.begin : self.begin + self.size]


def read_page() -> Page:
    """Read which page a request wants; where only one of both is given, page 1 and 20 items are meant.

    Raises:
        InvalidInput: If a number is below 1 or not whole, or the page is too large.
    """
    number, size = _read("page"), _read("page_size")
    if number is None and size is None:
        return Page()
    if size is not None and size > LARGEST_PAGE:
        raise InvalidInput(f"page_size is {size}; at most {LARGEST_PAGE} items fit on a page.")
    return Page(number or 1, size or _USUAL_PAGE)


def _read(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text) or int(text) < 1:
        raise InvalidInput(f"{name} is {text[:40]!r}. Write a whole number from 1 on.")
    return int(text)


def one(data: Any) -> Response:
    """Answer with one object, or null where there is nothing to say."""
    return json_response({"data": data, "links": _links(None, 0)})


def page_of(items: Sequence[Any], page: Page, total: int | None = None) -> Response:
    """Answer with a page of a list.

    Args:
        items: All items; or those of the page, if the total is given.
        page: Which page.
        total: How many items there are in all.
    """
    shown = list(page.cut(items)) if total is None else list(items)
    count = len(items) if total is None else total
    return json_response(
        {
            "data": shown,
            "page": page.number,
            "count": len(shown),
            "total_results": count,
            "links": _links(page, count),
        }
    )


def _links(page: Page | None, total: int) -> dict[str, str | None]:
    if page is None or page.size is None:
        return {"self_": _url(None), "next_page": None, "previous_page": None}
    last = -(-total // page.size)
    return {
        "self_": _url(page),
        "next_page": _url(Page(page.number + 1, page.size)) if page.number < last else None,
        "previous_page": _url(Page(page.number - 1, page.size)) if page.number > 1 else None,
    }


def _url(page: Page | None) -> str:
    """Repeat the address of the request with another page; a token in it is not a part of an address."""
    secret = current_app.config["SECURITY_TOKEN_AUTHENTICATION_KEY"]
    changed = {} if page is None else {"page": str(page.number), "page_size": str(page.size)}
    kept = [(k, v) for k, v in request.args.items(multi=True) if k != secret and k not in changed]
    query = urlencode([*kept, *changed.items()])
    return f"{request.base_url}?{query}" if query else request.base_url
