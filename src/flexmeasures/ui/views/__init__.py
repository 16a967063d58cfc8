"""The pages, one module a subject; each calls the services that every other door calls."""

from __future__ import annotations

from flask import Flask

from flexmeasures.ui import filters, static_files
from flexmeasures.ui.blueprint import blueprint
from flexmeasures.ui.views import (  # noqa: F401 - each registers its pages
    account,
    accounts,
    alerts,
    analytics,
    asset,
    assets,
    audit,
    communities,
    control,
    dashboard,
    grid_events,
    portfolio,
    sharing,
    tasks,
    upload,
    users,
)

__all__ = ["register"]


def register(app: Flask) -> None:
    """Give an app its pages."""
    app.register_blueprint(blueprint)
    static_files.register(app)
    filters.register(app)
