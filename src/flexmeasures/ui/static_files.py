"""Files for browsers: named after their content, so that they can be cached for ever, and compressed once."""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
import re
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, has_app_context, request

__all__ = ["register", "static_url"]

FOLDER = Path(__file__).parent / "static"

blueprint = Blueprint("flexmeasures_static", __name__)

_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_AN_HOUR = "public, max-age=3600"
_COMPRESSED = ("text/", "application/json", "application/javascript", "image/svg+xml")
_HASH = re.compile(r"[0-9a-f]{12}")
_SMALL = 600
"""Below so many bytes compressing does not pay."""

LARGEST_PAGE = 4_000_000
"""Pages above this are sent as they are: compressing takes longer than sending [bytes]."""


class _File:
    """A file in memory, as it is and compressed."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.packed = gzip.compress(self.content, 9, mtime=0)
        self.kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.hash = hashlib.sha256(self.content).hexdigest()[:12]


@functools.cache
def _load(path: Path, _changed: float) -> _File:
    return _File(path)


def _find(name: str) -> _File | None:
    """Find a file below our folder."""
    path = (FOLDER / name).resolve()
    if not path.is_relative_to(FOLDER) or not path.is_file():
        return None
    return _load(path, path.stat().st_mtime)


def static_url(name: str) -> str:
    """Name the address of a file with the hash of its content; looked at once, but for debugging.

    >>> static_url("tokens.css").startswith("/ui/static/tokens.")
    True
    """
    return _static_url.__wrapped__(name) if has_app_context() and current_app.debug else _static_url(name)


@functools.cache
def _static_url(name: str) -> str:
    file = _find(name)
    if file is None:
        raise FileNotFoundError(name)
    stem, _, ending = name.rpartition(".")
    return f"/ui/static/{stem}.{file.hash}.{ending}"


@blueprint.get("/ui/static/<path:filename>")
def static(filename: str) -> Response:
    """Serve a file, by its name or by its name with the hash of its content."""
    file, keep = _find(filename), _FOR_AN_HOUR
    if file is None:
        stem, _, ending = filename.rpartition(".")
        base, _, given = stem.rpartition(".")
        file = _find(f"{base}.{ending}") if _HASH.fullmatch(given) else None
        if file is None:
            abort(404)
        # A page of an earlier version may still ask for its file: it gets ours, but not for ever.
        keep = _FOR_EVER if given == file.hash else _FOR_AN_HOUR
    answer = Response(file.content, mimetype=file.kind)
    answer.headers["Cache-Control"] = keep
    answer.set_etag(file.hash)
    answer.make_conditional(request)
    if answer.status_code == 200 and file.kind.startswith(_COMPRESSED) and _takes_gzip():
        answer.set_data(file.packed)
        answer.headers["Content-Encoding"] = "gzip"
    answer.vary.add("Accept-Encoding")
    return answer


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    """Serve the icon that browsers ask for unasked."""
    return static("favicon.svg")


def register(app: Flask) -> None:
    """Serve the files of an app, and compress its pages."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals["static_url"] = static_url
    app.after_request(_compress)


def _takes_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


def _compress(response: Response) -> Response:
    """Compress pages and their data, where the browser can read that; answers of the API stay as they are."""
    if (
        request.path.startswith("/api/")
        or response.is_streamed
        or response.direct_passthrough
        or "Content-Encoding" in response.headers
        or not (response.mimetype or "").startswith(_COMPRESSED)
        or not _takes_gzip()
    ):
        return response
    content: Any = response.get_data()
    if _SMALL <= len(content) <= LARGEST_PAGE:
        response.set_data(gzip.compress(content, 5))
        response.headers["Content-Encoding"] = "gzip"
        response.vary.add("Accept-Encoding")
    return response
