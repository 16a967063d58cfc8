"""Memory of a server at rest, each shared page counted in parts by those who share it."""

from __future__ import annotations

import time

import psutil

from benchmarks import Report, benchmark
from benchmarks._server import serve


@benchmark("memory: two web workers and a job worker at rest")
def memory(report: Report) -> None:
    """Proportional memory (PSS) of gunicorn with two workers, and of a job worker, after some requests."""
    with serve(workers=2, with_job_worker=True) as server:
        for _ in range(20):
            server.get("/api/v2_0/assets")
        time.sleep(3)  # the job worker is idle and has loaded everything
        web = psutil.Process(server.process.pid)
        others = [one for one in psutil.Process().children() if one.pid != web.pid and _is_job_worker(one)]
        report.figure("gunicorn with two workers", _megabytes(web), "MB", "target 150 MB")
        report.figure("a job worker", sum(map(_megabytes, others)), "MB", "target 60 MB")


def _is_job_worker(process: psutil.Process) -> bool:
    return "run-worker" in process.cmdline()


def _megabytes(process: psutil.Process) -> float:
    """Add the memory of a process and of all that it has started [MB]."""
    everybody = [process, *process.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in everybody) / 1e6
