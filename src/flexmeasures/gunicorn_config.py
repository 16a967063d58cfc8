"""Configuration of gunicorn: ``gunicorn --config python:flexmeasures.gunicorn_config``, with your options added.

The application is loaded once, before the workers are forked from it, and they share its memory.
"""

from __future__ import annotations

import gc
from typing import Any

from flask import Flask
from sqlalchemy.orm import configure_mappers

from flexmeasures.data.database import db, redis_connection

__all__ = ["post_fork", "pre_fork", "preload_app", "when_ready", "wsgi_app"]

wsgi_app = "flexmeasures.app:create()"
preload_app = True


def when_ready(server: Any) -> None:
    """Do once what each worker would do with its first request."""
    configure_mappers()
    app: Flask = server.app.wsgi()
    app.url_map.update()


def pre_fork(_server: Any, _worker: Any) -> None:
    """Keep the garbage collectors of workers from touching, and so copying, what they share."""
    gc.collect()
    gc.freeze()


def post_fork(server: Any, _worker: Any) -> None:
    """Let a worker connect for itself: what its parent may have opened stays the parent's."""
    app: Flask = server.app.wsgi()
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose(close=False)
    redis_connection(app).connection_pool.reset()
