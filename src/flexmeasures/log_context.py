"""On whose behalf something happens: the request or job that log messages name."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["job_id", "request_id"]

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request that is answered, or of the one that ordered the job that runs; a dash where there is none."""

job_id: ContextVar[str] = ContextVar("job_id", default="-")
"""Id of the job that runs; a dash where there is none."""
