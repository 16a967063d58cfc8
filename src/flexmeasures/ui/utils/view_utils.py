"""Functions with which plugins show pages in the platform's frame."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import current_app, render_template, request
from flask_login import current_user

from flexmeasures._version import __version__
from flexmeasures.services.users import has_role
from flexmeasures.ui.menu import menu_entries
from flexmeasures.ui.window import shown_window

__all__ = ["render_flexmeasures_template"]

_STARTED = datetime.now(UTC)


def render_flexmeasures_template(html_filename: str, **variables: Any) -> str:
    """Render a template with the variables that every page has.

    Args:
        html_filename: Name of the template, in a plugin's own folder or ours.
        **variables: What the template shows; they win over the standard variables. One whose name ends with
            ``_plots_div`` or ``_plots_divs`` makes the page load Bokeh.
    """
    return render_template(html_filename, **{**_standard_variables(variables), **variables})


def _standard_variables(told: dict[str, Any]) -> dict[str, Any]:
    config = current_app.config
    is_in = current_user.is_authenticated
    window = shown_window()
    return {
        "logged_in": is_in,
        "user_is_logged_in": is_in,
        "user_is_admin": is_in and current_user.has_role("admin"),
        "user_is_anonymous": is_in and has_role(current_user, "anonymous"),
        "user_email": getattr(current_user, "email", ""),
        "user_name": getattr(current_user, "username", ""),
        "FLEXMEASURES_PLATFORM_NAME": config["FLEXMEASURES_PLATFORM_NAME"],
        "FLEXMEASURES_MODE": config["FLEXMEASURES_MODE"],
        "FLEXMEASURES_LISTED_VIEWS": config["FLEXMEASURES_LISTED_VIEWS"],
        "flexmeasures_version": __version__,
        "git_version": __version__,
        "git_hash": "",
        "git_commits_since": 0,
        "app_running_since": _STARTED,
        "js_versions": config["FLEXMEASURES_JS_VERSIONS"],
        "documentation_exists": True,
        "show_queues": is_in and (current_user.has_role("admin") or config["FLEXMEASURES_MODE"] == "demo"),
        "show_datepicker": told.get("page", "") in ("analytics", "portfolio"),
        "contains_plots": any(name.endswith(("plots_div", "plots_divs")) for name in told),
        "start_time": window.start,
        "end_time": window.end,
        "resolution": window.resolution_text,
        "resolution_human": window.resolution_words,
        "horizon_human": window.horizon_words,
        "window": window,
        "zone": window.zone,
        "page": request.path.strip("/").split("/")[0] or "dashboard",
        "menu": menu_entries(),
        "kiosk": "kiosk" in request.args,
    }
