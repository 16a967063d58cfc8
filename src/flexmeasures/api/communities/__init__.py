"""The door of energy communities: what a community, its members and its providers read."""

from __future__ import annotations

from flask import Flask

from flexmeasures.api.communities import community_views, member_views, public_views, statement_views

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the endpoints of this folder."""
    for module in (community_views, member_views, public_views, statement_views):
        app.register_blueprint(module.blueprint)
