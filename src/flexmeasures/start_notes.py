"""Notes at the start of the program, shown whatever the log level is."""

from __future__ import annotations

import logging

__all__ = ["warn_at_start"]


def warn_at_start(log: logging.Logger, message: str, *arguments: object) -> None:
    """Log a warning about the configuration; it is shown whatever the setting LOGGING_LEVEL says.

    Something is not as its author meant it, and nothing else will say so.
    """
    log.handle(log.makeRecord(log.name, logging.WARNING, __file__, 0, message, arguments, None))
