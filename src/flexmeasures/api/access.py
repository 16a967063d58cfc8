"""The access log: an id for each request, and one line with who asked for what, when, and with which outcome.

Neither the log nor the id ever holds what was sent: no values, no query strings, no tokens.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, current_app, g, request
from sqlalchemy import inspect

from flexmeasures.instance import make_private_folder, open_private_file
from flexmeasures.log_context import request_id

__all__ = ["HEADER", "loggable_path", "register"]

HEADER = "X-Request-ID"
"""The header in which a client or proxy may name its request, and in which the name comes back."""

LARGEST_FILE = 10_000_000
"""At this size a new file is begun; one older file is kept [bytes]."""

LONGEST_PATH = 200

_SANE_ID = re.compile(r"[A-Za-z0-9][\w.:=+/-]{0,127}", re.ASCII)


class _AccessFile(WatchedFileHandler):
    """A file to which several server processes append whole lines, and which does not grow for ever."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. A full disk or a missing folder must not stop the server from answering."""
        try:
            super().emit(record)
            self._begin_anew()
        except OSError:
            self.handleError(record)

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=open_private_file)

    def _begin_anew(self) -> None:
        """Put the file aside if it is large, unless another process has just done so."""
        if self.stream is None or self.stream.tell() < LARGEST_FILE:
            return
        if os.path.samestat(os.fstat(self.stream.fileno()), os.stat(self.baseFilename)):
            os.replace(self.baseFilename, f"{self.baseFilename}.1")


def register(app: Flask) -> None:
    """Give each request of an app an id, and note it in the access log; to be registered before other hooks."""
    app.extensions["access_log"] = _open_log(app.config["FLEXMEASURES_ACCESS_LOG"], Path(app.instance_path))
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _open_log(destination: str, instance_path: Path) -> logging.Logger | None:
    """Open the access log: a file, or standard output for "-"."""
    handler: logging.Handler
    if destination == "-":
        handler = logging.StreamHandler(sys.stdout)
    elif destination and (instance_path / destination).parent.parent.is_dir():
        path = instance_path / destination
        make_private_folder(path.parent)
        handler = _AccessFile(path)
    else:
        return None
    # A logger of the app's own: what is written here does not depend on the level of other messages.
    logger = logging.Logger("flexmeasures.access", logging.INFO)
    logger.addHandler(handler)
    return logger


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
    request_id.set(g.request_id)
    g.request_began = time.perf_counter()


def _forget(_error: BaseException | None) -> None:
    """Let the thread speak for nobody until its next request."""
    request_id.set("-")


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    logger: logging.Logger | None = current_app.extensions["access_log"]
    if logger is not None:
        logger.info(orjson.dumps(_describe(response)).decode())
    return response


def _describe(response: Response) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method[:20],
        "path": loggable_path(),
        "status": response.status_code,
        "ms": round((time.perf_counter() - g.request_began) * 1000, 1),
        "user": _user_id(),
        "request_id": g.request_id,
    }


def loggable_path() -> str:
    """Name the path; as a pattern where a part of it is a secret, as in links for a new password."""
    if request.url_rule is not None and "token" in (request.view_args or {}):
        return request.url_rule.rule
    return request.path[:LONGEST_PATH]


def _user_id() -> int | None:
    """Find the id of the user whom the request has shown to be, without asking the database for it."""
    user = g.get("_login_user")
    state = inspect(user, raiseerr=False)
    return state.identity[0] if state is not None and state.identity else None
