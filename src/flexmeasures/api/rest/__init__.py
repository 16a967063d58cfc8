"""The API apart from USEF messages: tokens, assets, users, charts, operations, backups and developers' endpoints."""

from __future__ import annotations

from flask import Flask

from flexmeasures.api.rest import assets, backups, charts, developer, operations, tokens, users

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the endpoints of this folder."""
    app.register_blueprint(tokens.blueprint)
    for module in (assets, users, charts, operations, developer, backups):
        app.register_blueprint(module.blueprint)
