"""Figures for a monitor: counted in each process, and added up in the job store, whichever process and machine counts.

So a scrape sees all gunicorn workers and all job workers, whoever answers it. A process writes down what it has counted
about once a second, in one step, and not while somebody waits for an answer. The figures go on counting when processes
are restarted, and begin anew when the job store is emptied, as Prometheus expects of counters.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import redis

from flexmeasures.soon import Soon

__all__ = [
    "BELIEFS",
    "JOBS",
    "JOB_SECONDS",
    "METRICS",
    "REQUESTS",
    "REQUEST_SECONDS",
    "STORED",
    "Figures",
    "Metric",
    "Metrics",
    "render",
    "render_metric",
]

KEY = "flexmeasures:metrics"
"""The hash in the job store in which they are added up."""

STORED = "beliefs_stored"
"""Name of the note in the ``info`` of a session of how many beliefs its transaction has stored."""

Figures = Mapping[tuple[str, ...], float]
"""Values by labels; of a histogram with the upper bound of a bucket, "sum" or "count" as the last label."""


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        name: Its name for Prometheus, with its unit.
        meaning: What is counted.
        labels: Names of its labels.
        bounds: Upper bounds of the buckets of a histogram [unit of the metric]; none for a counter.
    """

    name: str
    meaning: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Metric(
    "flexmeasures_requests_total",
    "Requests that were answered, by method, route and status.",
    ("method", "route", "status"),
)
REQUEST_SECONDS = Metric(
    "flexmeasures_request_duration_seconds", "How long requests took, by route.", ("route",), _SECONDS
)
JOBS = Metric("flexmeasures_jobs_total", "Jobs that ended, by queue and outcome.", ("queue", "outcome"))
JOB_SECONDS = Metric(
    "flexmeasures_job_duration_seconds",
    "How long jobs ran, by queue.",
    ("queue",),
    (*_SECONDS, 30.0, 60.0, 300.0),
)
BELIEFS = Metric("flexmeasures_beliefs_stored_total", "Beliefs that were stored.", ())

METRICS = (REQUESTS, REQUEST_SECONDS, JOBS, JOB_SECONDS, BELIEFS)


class Metrics:
    """The figures of one process, on their way to the job store.

    Args:
        connect: Gives the connection to the job store.
        pause: Longest time for which a figure stays in its process [s].
    """

    def __init__(self, connect: Callable[[], redis.Redis], pause: float = 1.0) -> None:
        self._connect = connect
        self._soon = Soon(self.flush, pause)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._pending: Counter[tuple[str, ...]] = Counter()  # sums of floats as well

    def count(self, metric: Metric, *labels: str, amount: float = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._pending[metric.name, *labels] += amount  # type: ignore[assignment]
        self._soon.wake()

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        bucket = next((str(bound) for bound in metric.bounds if value <= bound), "+Inf")
        with self._lock:
            self._pending[metric.name, *labels, bucket] += 1
            self._pending[metric.name, *labels, "sum"] += value  # type: ignore[assignment]
        self._soon.wake()

    def flush(self) -> int:
        """Add up what is pending in the job store; what cannot be written stays pending.

        Returns:
            0: nothing is left to do.
        """
        with self._flushing:  # whoever reads waits for what is on its way
            with self._lock:
                pending, self._pending = self._pending, Counter()
            if pending and not self._write(pending):
                with self._lock:
                    self._pending.update(pending)
        return 0

    def _write(self, pending: Mapping[tuple[str, ...], float]) -> bool:
        try:
            with self._connect().pipeline() as pipeline:
                for labels, amount in pending.items():
                    pipeline.hincrbyfloat(KEY, json.dumps(labels), amount)
                pipeline.execute()
        except redis.RedisError:
            return False
        return True

    def read(self) -> dict[str, Figures]:
        """Read what all processes have counted, by the name of the metric.

        Raises:
            RedisError: If the job store does not answer.
        """
        self.flush()
        read: dict[str, dict[tuple[str, ...], float]] = {metric.name: {} for metric in METRICS}
        for key, value in self._connect().hgetall(KEY).items():
            name, *labels = json.loads(key)
            if name in read:  # another version may have counted more
                read[name][tuple(labels)] = float(value)
        return dict(read)


def render(figures: Mapping[str, Figures]) -> str:
    """Write figures in the text format of Prometheus.

    Source: Prometheus documentation, "Exposition formats", text-based format 0.0.4.
    """
    return "".join(render_metric(metric, figures.get(metric.name, {})) for metric in METRICS)


def render_metric(metric: Metric, figures: Figures, kind: str = "counter") -> str:
    """Write one metric; of kind "counter" or "gauge", or a histogram if it has bounds."""
    lines = [
        f"# HELP {metric.name} {metric.meaning}",
        f"# TYPE {metric.name} {'histogram' if metric.bounds else kind}",
    ]
    rows = _histogram(metric, figures) if metric.bounds else _plain(metric, figures)
    lines.extend(f"{name}{_labels(labels)} {value:.17g}" for name, labels, value in rows)
    return "\n".join(lines) + "\n"


_Row = tuple[str, dict[str, str], float]


def _plain(metric: Metric, figures: Figures) -> Iterator[_Row]:
    for labels, value in sorted(figures.items()):
        yield metric.name, dict(zip(metric.labels, labels, strict=True)), value


def _histogram(metric: Metric, figures: Figures) -> Iterator[_Row]:
    """Add up the buckets: each holds what is up to its bound."""
    for values in sorted({labels[:-1] for labels in figures}):
        labels, total = dict(zip(metric.labels, values, strict=True)), 0.0
        for bound in (*(str(bound) for bound in metric.bounds), "+Inf"):
            total += figures.get((*values, bound), 0)
            yield f"{metric.name}_bucket", {**labels, "le": bound}, total
        yield f"{metric.name}_sum", labels, figures.get((*values, "sum"), 0.0)
        yield f"{metric.name}_count", labels, total


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
