"""The page that shows the API and lets one try it out; all that it loads is served from here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from flask import Blueprint, Response, abort, send_file

from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_docs", __name__, template_folder="templates")

_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


@blueprint.get("/docs")
def show_api() -> str:
    """Show the OpenAPI document as a page."""
    return render_flexmeasures_template("docs.html")


@blueprint.get("/ui/static/swagger/<name>")
def get_swagger(name: str) -> Response:
    """Serve what draws the page."""
    # Found without importing it: its files are needed, not its code.
    spec = importlib.util.find_spec("flask_swagger_ui") if name in _FILES else None
    if spec is None or spec.origin is None:
        abort(404)
    file = Path(spec.origin).parent / "dist" / name
    return send_file(file, mimetype=_FILES[name], max_age=3600, conditional=True)
