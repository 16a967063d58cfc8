"""The handbook: the documentation as a site, as ``make docs`` has built it, served beside the page of the API."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, redirect, send_file, url_for
from werkzeug.security import safe_join

from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["SITE", "blueprint"]

blueprint = Blueprint("flexmeasures_handbook", __name__, url_prefix="/docs/handbook")

SITE = Path(__file__).parent / "site"
"""Folder of the built site; it exists in builds, and after ``make docs``."""

_DAY = 24 * 60 * 60


@blueprint.get("/")
@blueprint.get("/<path:name>")
def show(name: str = "") -> Response | str:
    """Show a page of the handbook, or say where to read it if it was not built."""
    site = Path(current_app.config.get("FLEXMEASURES_HANDBOOK", SITE))
    if not (site / "index.html").is_file():
        if name:
            abort(404)
        return render_flexmeasures_template("handbook.html")
    found = safe_join(str(site), name or "index.html")
    if found is not None and Path(found).is_dir():
        if not name.endswith("/"):
            return redirect(url_for("flexmeasures_handbook.show", name=f"{name}/"), 308)  # type: ignore[return-value]
        found = str(Path(found) / "index.html")
    if found is None or not Path(found).is_file():
        abort(404)
    page = Path(found)
    response = send_file(page, max_age=_DAY, conditional=True)
    if page.suffix == ".html":
        response.headers["Content-Security-Policy"] = _policy(page, page.stat().st_mtime_ns)
    return response


@lru_cache(maxsize=1024)
def _policy(page: Path, _changed: int) -> str:
    """Allow the scripts that stand in a page, and no others; all else comes from this server."""
    scripts = re.findall(
        r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL
    )
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts}
    allowed = " ".join(["'self'", *(f"'sha256-{one}'" for one in sorted(hashes))])
    return (
        f"default-src 'self'; script-src {allowed}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
