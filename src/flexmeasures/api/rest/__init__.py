"""What is no message after USEF: tokens, assets, users, charts, operations, backups and developers' endpoints."""

from __future__ import annotations

from flask import Flask

from flexmeasures.api.rest import assets, users

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the endpoints of this folder; `tokens` is registered by itself."""
    for module in (assets, users):
        app.register_blueprint(module.blueprint)
