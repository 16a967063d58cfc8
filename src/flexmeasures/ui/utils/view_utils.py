"""Functions with which plugins show pages in the platform's frame."""

from __future__ import annotations

from typing import Any

from flask import current_app, render_template
from flask_login import current_user

from flexmeasures._version import __version__

__all__ = ["render_flexmeasures_template"]


def render_flexmeasures_template(html_filename: str, **variables: Any) -> str:
    """Render a template with the variables that every page has.

    Args:
        html_filename: Name of the template, in a plugin's own folder or ours.
        **variables: What the template shows; they win over the standard variables.
    """
    standard: dict[str, Any] = {
        "logged_in": current_user.is_authenticated,
        "user_is_logged_in": current_user.is_authenticated,
        "user_is_admin": current_user.is_authenticated and current_user.has_role("admin"),
        "user_email": getattr(current_user, "email", ""),
        "user_name": getattr(current_user, "username", ""),
        "FLEXMEASURES_PLATFORM_NAME": current_app.config["FLEXMEASURES_PLATFORM_NAME"],
        "FLEXMEASURES_MODE": current_app.config["FLEXMEASURES_MODE"],
        "flexmeasures_version": __version__,
    }
    return render_template(html_filename, **{**standard, **variables})
