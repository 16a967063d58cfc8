"""Instances of their own for demonstrations."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from flask import Flask

from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.instance import find_instance_path

__all__ = ["make_instance", "open_instance", "put_away"]


def make_instance(name: str, **settings: Any) -> tuple[Flask, Path]:
    """Make an instance with embedded servers and no data, in place of what an earlier run left.

    Args:
        name: Of its folder, within that of the platform's instance.
        settings: More settings of its app.

    Returns:
        The app and the folder.
    """
    folder = find_instance_path() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return open_instance(folder, **settings), folder


def open_instance(folder: Path, **settings: Any) -> Flask:
    """Open the instance in a folder, with its embedded servers and up-to-date tables.

    Args:
        folder: Of the instance.
        settings: More settings of its app.
    """
    own = {
        "FLEXMEASURES_INSTANCE_PATH": str(folder),
        "SQLALCHEMY_DATABASE_URI": None,
        "FLEXMEASURES_REDIS_URL": None,
    }
    app = create(settings={**own, **settings})
    prepare(app)
    return app


def put_away(app: Flask) -> None:
    """Close the connections of an instance and stop its servers."""
    with app.app_context():
        db.engine.dispose()
    app.extensions["embedded"].services.leave()
