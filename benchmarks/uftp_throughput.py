"""UFTP: messages a second from a client process to a service process over loopback HTTP, with a durable inbox."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import benchmark
from benchmarks.uftp_messages import KEYS, make_offer
from shapeshifter_uftp.client import ShapeshifterAgrDsoClient
from shapeshifter_uftp.sealing import generate_key_pair

THREADS = 3
"""Sending threads: while one waits for the disk of the service, another one signs."""

SERVICE = """
import logging, os, sys, time
if len(sys.argv) > 4:
    os.sched_setaffinity(0, {int(sys.argv[4])})
from shapeshifter_uftp.service import ShapeshifterDsoService
from shapeshifter_uftp.store import Direction, State
logging.disable(logging.WARNING)  # nobody is there to take the answers
service = ShapeshifterDsoService(
    "dso.example.com", sys.argv[1], lambda domain, role: sys.argv[2], lambda domain, role: None,
    host="127.0.0.1", port=0, journal=sys.argv[3],
)
service.run_in_thread()
print(service.port, flush=True)
sys.stdin.readline()
started = time.process_time()
sys.stdin.readline()
spent = time.process_time() - started
while service.journal.count(Direction.IN, State.NEW):
    time.sleep(0.01)
print(spent, int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20, flush=True)
sys.stdin.readline()
os._exit(0)
"""


@dataclass(frozen=True)
class Run:
    """What a run took.

    Attributes:
        accepted: Until the last message was stored and answered with 200 [s].
        handled: Until the last message was checked by all rules and its response was signed [s].
        client: Processor time of the sending process until then [s].
        service: Processor time of the receiving process until the last message was stored [s].
        memory: Resident memory of the service afterwards [MiB].
    """

    accepted: float
    handled: float
    client: float
    service: float
    memory: float


@benchmark("uftp: throughput over HTTP with durable inbox")
def throughput(report):
    """Send offers of one and of four options from this process to another one."""
    for options, count, target in ((1, 1500, 700), (4, 500, 250)):
        with own_cores() as core:
            run = measure(options, count, core)
        what = f"{count} offers with {options} options, {THREADS} threads"
        report(what, run.accepted, per=count, target=count / target)
        report("... until all are handled and answered too", run.handled, per=count)
        report.figure("processor time per message: client", run.client / count * 1e3, "ms")
        report.figure("processor time per message: service", run.service / count * 1e3, "ms")
        report.figure("resident memory of the service", run.memory, "MiB")


@contextmanager
def own_cores():
    """Keep this process on one core, and give another one for the service.

    Two processes that wake each other by turns are otherwise kept on one core by the scheduler, as if there were no
    other; partners have machines of their own.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield None
        return
    os.sched_setaffinity(0, cores[:1])
    try:
        yield cores[1]
    finally:
        os.sched_setaffinity(0, cores)


def measure(options, count, core=None):
    """Send a number of offers to a service in another process, and say what it took."""
    key = generate_key_pair(b"\x02" * 32)
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "dso.sqlite3")
        command = [sys.executable, "-c", SERVICE, key.private_key, KEYS.public_key, journal]
        command += [] if core is None else [str(core)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

        def tell():
            process.stdin.write("\n")
            process.stdin.flush()

        url = f"http://127.0.0.1:{int(process.stdout.readline())}/shapeshifter/api/v3/message"
        tell()
        spent, started = time.process_time(), time.perf_counter()
        send_all(url, options, count)
        spent, accepted = time.process_time() - spent, time.perf_counter() - started
        tell()
        service, memory = map(float, process.stdout.readline().split())
        handled = time.perf_counter() - started
        tell()
        process.communicate()
    return Run(accepted, handled, spent, service, memory)


def send_all(url, options, count):
    """Send offers from several threads that share a client."""
    offer = make_offer(options)
    offer.message_id = offer.time_stamp = None
    left = iter(range(count))
    with ShapeshifterAgrDsoClient("agr.example.com", KEYS.private_key, "dso.example.com", url, "") as client:

        def work():
            while next(left, None) is not None:
                client.send_flex_offer(offer)

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
