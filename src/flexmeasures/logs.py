"""The log: where messages go, and how they are written, as text for people or as JSON for programs."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import orjson

from flexmeasures.instance import make_private_folder, open_private_file
from flexmeasures.log_context import job_id, request_id

__all__ = ["ContextFilter", "JsonFormatter", "set_up_logging"]

CONSOLE = "[FLEXMEASURES][%(asctime)s] %(levelname)s [%(request_id)s]: %(message)s"
FILE = "%(asctime)s %(levelname)s [%(request_id)s] [%(pathname)s:%(lineno)d]: %(message)s"


class ContextFilter(logging.Filter):
    """Gives each record the ids of the request and of the job on whose behalf it was written."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids; let the record pass in any case."""
        record.request_id, record.job_id = request_id.get(), job_id.get()
        return True


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON.

    The fields are time (ISO 8601, UTC), level, logger, message, place (file and line), process, and, where there are
    any, request_id, job_id and trace (of the exception).
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "place": f"{record.pathname}:{record.lineno}",
            "process": os.getpid(),
        }
        for name in ("request_id", "job_id"):
            if (value := getattr(record, name, "-")) != "-":
                entry[name] = value
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        # A broken character in a message must not cost the message.
        return orjson.dumps(_storable(entry)).decode()


def _storable(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in entry.items()
    }


class _PrivateFile(RotatingFileHandler):
    """Log files that nobody but their owner may read: messages may name what is nobody else's business."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=open_private_file)


def set_up_logging(log: logging.Logger, form: str, instance_path: Path) -> None:
    """Log to the console and, where the instance folder exists, to a file in it; once in a process.

    Args:
        log: The logger of the platform.
        form: "text" or "json".
        instance_path: The instance folder.
    """
    # Flask logs to the logger of our name as well, and adds a handler of its own only if there is none.
    if log.handlers:
        return
    _add(log, logging.StreamHandler(), form, CONSOLE)
    if instance_path.is_dir():
        folder = instance_path / "logs"
        make_private_folder(folder)
        file = _PrivateFile(folder / "flexmeasures.log", maxBytes=10_000_000, backupCount=6, delay=True)
        _add(log, file, form, FILE)


def _add(log: logging.Logger, handler: logging.Handler, form: str, text: str) -> None:
    handler.setFormatter(JsonFormatter() if form == "json" else logging.Formatter(text))
    handler.addFilter(ContextFilter())
    log.addHandler(handler)
