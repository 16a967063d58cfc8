"""UFTP: messages a second from a client process to a service process over loopback HTTP, with a durable inbox."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import benchmark
from benchmarks.uftp_messages import KEYS, make_offer
from shapeshifter_uftp.client import ShapeshifterAgrDsoClient
from shapeshifter_uftp.sealing import generate_key_pair

THREADS = 3
"""Sending threads: while one waits for the disk of the service, another one signs."""

SERVICE = """
import sys, time
from shapeshifter_uftp.service import ShapeshifterDsoService
service = ShapeshifterDsoService(
    "dso.example.com", sys.argv[1], lambda domain, role: sys.argv[2], lambda domain, role: None,
    host="127.0.0.1", port=0, journal=sys.argv[3],
)
service.run_in_thread()
print(service.port, flush=True)
sys.stdin.readline()
print(int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20, flush=True)
import os; os._exit(0)
"""


@benchmark("uftp: throughput over HTTP with durable inbox")
def throughput(report):
    """Send offers of one and of four options from this process to another one."""
    for options, count, target in ((1, 1500, 700), (4, 500, 250)):
        seconds, memory = measure(options, count)
        report(
            f"{count} offers with {options} options, {THREADS} threads",
            seconds,
            per=count,
            target=count / target,
        )
        report.figure("resident memory of the service", memory, "MiB")


def measure(options, count):
    """Give the time [s] for a number of offers, and the memory [MiB] of the service afterwards."""
    key = generate_key_pair(b"\x02" * 32)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-c",
            SERVICE,
            key.private_key,
            KEYS.public_key,
            str(Path(folder) / "dso.sqlite3"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/shapeshifter/api/v3/message"
        seconds = send_all(url, options, count)
        process.stdin.write("\n")
        process.stdin.flush()
        memory = float(process.stdout.readline())
        process.communicate()
    return seconds, memory


def send_all(url, options, count):
    """Send offers from several threads that share a client, and give the time [s]."""
    offer = make_offer(options)
    offer.message_id = offer.time_stamp = None
    left = iter(range(count))
    with ShapeshifterAgrDsoClient("agr.example.com", KEYS.private_key, "dso.example.com", url, "") as client:
        client.send_flex_offer(offer)

        def work():
            while next(left, None) is not None:
                client.send_flex_offer(offer)

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started
