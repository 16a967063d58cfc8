"""Parameters that endpoints of communities share, for the OpenAPI document."""

from __future__ import annotations

from flexmeasures.api.communities.paging import LARGEST_PAGE
from flexmeasures.api.openapi.shapes import Schema

__all__ = ["COMMUNITY_HEADER", "DAYS", "DAYS_AND_PAGE", "PAGE"]

_DATE: Schema = {"type": "string", "format": "date"}
_PAGE: dict[str, Schema] = {
    "page": {
        "type": "integer",
        "minimum": 1,
        "maximum": 999_999_999,
        "description": "Number of the page; without it and page_size everything comes on one page.",
    },
    "page_size": {
        "type": "integer",
        "minimum": 1,
        "maximum": LARGEST_PAGE,
        "description": "Items on a page; 20 if only the page is given.",
    },
}
_DAYS: dict[str, Schema] = {
    "from_date": {**_DATE, "description": "First local day; the first one with data if left out."},
    "to_date": {**_DATE, "description": "Last local day, included; today if left out."},
}


def _form(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "required": []}


DAYS = _form(_DAYS)
PAGE = _form(_PAGE)
DAYS_AND_PAGE = _form({**_DAYS, **_PAGE})

COMMUNITY_HEADER: dict[str, Schema] = {
    "CompanyID": {
        "type": "integer",
        "minimum": 0,
        "maximum": 9_999_999_999,
        "description": "Id of the community. CommunityId is another name of the same header.",
    }
}
