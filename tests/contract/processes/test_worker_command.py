"""``flexmeasures jobs``: workers, and jobs that survive them."""

from __future__ import annotations

import signal
import time

import psutil
import pytest
from click.testing import CliRunner
from rq.job import Job, JobStatus

from flexmeasures.cli import cli
from flexmeasures.jobs.queues import JOB_TTL, get_queue

pytestmark = pytest.mark.faults


@pytest.fixture
def store(used_folder, platform):
    """The job store, kept running by this process."""
    platform.services.ensure_postgres()
    platform.services.ensure_valkey()
    return platform.store


def _await_status(platform, job: Job, *wanted: JobStatus) -> None:
    assert platform.await_that(lambda: job.get_status() in wanted), job.get_status()
    job.refresh()


def _note_runs(tmp_path, then: str) -> tuple[str, str]:
    """A job that notes each of its runs in a file, does something in the shell and tells how often it ran."""
    path = tmp_path / "runs"
    return "subprocess.getoutput", f"echo run >> {path}; {then.format(runs=path)}; wc -l < {path}"


# Of a job that is run twice the first run would take for ever.
ONCE_LONG = "test $(wc -l < {runs}) -gt 1 || sleep 60"


def _await_run(platform, tmp_path, number: int = 1) -> None:
    path = tmp_path / "runs"
    assert platform.await_that(lambda: path.exists() and path.read_text().count("run") == number)


def _kill_worker(command) -> None:
    command.send(signal.SIGKILL)
    command.await_end()


def test_how_jobs_end(platform, store):
    """A worker runs what is in its queues; of a job that failed, in whichever way and queue, it is kept why."""
    worker = platform.start_worker("one")
    job = platform.enqueue("operator.add", 40, 2)
    _await_status(platform, job, JobStatus.FINISHED)
    assert job.return_value() == 42
    for name in ("scheduling", "forecasting"):
        job = platform.enqueue("flexmeasures.jobs.queues.get_queue", None, "dreaming", queue=name)
        _await_status(platform, job, JobStatus.FAILED)
        assert job.meta["exception"]["class"] == "NotFound"
        assert job.meta["exception"]["message"].startswith('There is no queue "dreaming".')
    # Of a bug only the kind is told to clients; the worker's log has the rest.
    job = platform.enqueue("builtins.int", "no number")
    _await_status(platform, job, JobStatus.FAILED)
    assert job.meta["exception"]["class"] == "ValueError"
    assert "no number" not in job.meta["exception"]["message"]
    worker.await_output("invalid literal for int() with base 10: 'no number'")
    # The process of the job dies, as when memory is short; the worker goes on.
    job = platform.enqueue("os.abort")
    _await_status(platform, job, JobStatus.FAILED)
    assert job.meta["exception"]["class"] == "WorkerDied"
    assert "signal 6" in job.meta["exception"]["message"]
    _await_status(platform, platform.enqueue("operator.add", 1, 1), JobStatus.FINISHED)
    worker.send(signal.SIGTERM)
    assert worker.await_end() == 0


def test_a_worker_runs_one_job_after_another(platform, store):
    """Two jobs of one queue are run by one worker, which then waits for the next one."""
    worker = platform.start_worker("one")
    jobs = [platform.enqueue("operator.add", number, 1) for number in (1, 2)]
    for job, expected in zip(jobs, (2, 3), strict=True):
        _await_status(platform, job, JobStatus.FINISHED)
        assert job.return_value() == expected
    assert jobs[0].worker_name == jobs[1].worker_name == "one"
    assert not worker.has_ended()


def test_a_job_deaf_to_its_time_limit_is_ended(platform, store):
    """A job that ignores its time limit is killed a minute after it, and told so; its worker goes on."""
    worker = platform.start_worker("one")
    blind = "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM}); time.sleep(300)"
    job = get_queue(store, "scheduling").enqueue("builtins.exec", blind, job_timeout=1)
    platform.patience = 120.0  # rq looks every half minute
    _await_status(platform, job, JobStatus.FAILED)
    assert job.meta["exception"]["class"] == "WorkerDied"
    assert "deaf to its time limit of 1 s" in job.meta["exception"]["message"]
    _await_status(platform, platform.enqueue("operator.add", 1, 1), JobStatus.FINISHED)
    assert not worker.has_ended()


def test_a_crash_of_a_worker_is_a_status(platform, store):
    """A worker that fails between two jobs ends with a status that is not zero, and says that it crashed."""
    worker = platform.start_worker("one")
    # A queue that is not a list: the next look for a job fails within rq, which logs that and returns.
    store.set(get_queue(store, "scheduling").key, "no list")
    assert worker.await_end() == 1
    assert "crashed" in worker.output
    assert "Error: " in worker.output


def test_a_job_whose_worker_was_killed_is_run_again(platform, store, tmp_path):
    """After kill -9 of a worker in the midst of a job the next worker runs it at once, and it ends properly."""
    worker = platform.start_worker("one")
    job = platform.enqueue(*_note_runs(tmp_path, ONCE_LONG))
    later = platform.enqueue("operator.add", 1, 1)
    _await_run(platform, tmp_path)
    _kill_worker(worker)
    # By the same name, as a service would be restarted.
    platform.start_worker("one")
    _await_status(platform, job, JobStatus.FINISHED)
    assert job.return_value().strip() == "2"
    _await_status(platform, later, JobStatus.FINISHED)
    assert later.started_at > job.ended_at


def test_everything_killed_in_the_midst_of_a_job(platform, store, tmp_path):
    """After kill -9 of worker, job, database and job store together, a restart ends the job properly."""
    platform.start_worker("one")
    job_id = platform.enqueue(*_note_runs(tmp_path, ONCE_LONG)).id
    _await_run(platform, tmp_path)
    store.close()
    platform.services.leave()
    platform.kill_everything()
    platform.start_worker("two")
    platform.services.ensure_valkey()
    job = Job.fetch(job_id, connection=store)
    _await_status(platform, job, JobStatus.FINISHED)
    assert job.return_value().strip() == "2"


def test_the_process_of_a_job_ends_with_its_worker(platform, store):
    """When a worker is killed, its job does not go on in the background, to be run twice at a time."""
    worker = platform.start_worker("one")
    job = platform.enqueue("time.sleep", 60)
    _await_status(platform, job, JobStatus.STARTED)
    (horse,) = psutil.Process(worker.pid).children()
    worker.send(signal.SIGKILL)
    assert platform.await_that(lambda: not horse.is_running() or horse.status() == psutil.STATUS_ZOMBIE)


def test_a_job_that_kills_its_workers_is_given_up(platform, store):
    """A job over which three workers have died fails with a message instead of killing a fourth."""
    # The parent of the shell is the process of the job; its parent, the fourth field, is the worker.
    job = platform.enqueue("subprocess.getoutput", "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 5")
    job.meta["worker_deaths"] = 2
    job.save_meta()
    assert platform.start_worker("one").await_end() == -signal.SIGKILL
    platform.start_worker("one")
    _await_status(platform, job, JobStatus.FAILED)
    assert job.meta["exception"]["class"] == "WorkerDied"
    assert "3 times" in job.meta["exception"]["message"]


def test_a_living_worker_keeps_its_job(platform, store, tmp_path):
    """A second worker that starts leaves the job of the first one alone, and takes another."""
    platform.start_worker("one")
    go = tmp_path / "go"
    job = platform.enqueue(*_note_runs(tmp_path, f"until test -e {go}; do sleep 0.05; done"))
    _await_run(platform, tmp_path)
    platform.start_worker("two")
    _await_status(platform, platform.enqueue("operator.add", 1, 1), JobStatus.FINISHED)
    assert job.get_status() == JobStatus.STARTED
    go.touch()
    _await_status(platform, job, JobStatus.FINISHED)
    assert job.return_value().strip() == "1"


def test_a_job_that_a_worker_took_and_never_noted_is_found(platform, store):
    """A job that was taken from the queue by a worker which died the next moment is put back."""
    job = platform.enqueue("operator.add", 1, 1)
    assert get_queue(store, "scheduling").pop_job_id() == job.id
    platform.start_worker("one")
    _await_status(platform, job, JobStatus.FINISHED)


def test_asked_to_end_a_worker_finishes_its_job(platform, store, tmp_path):
    """SIGTERM in the midst of a job: the job is finished, the next one is left, the exit code is 0."""
    worker = platform.start_worker("one")
    job = platform.enqueue(*_note_runs(tmp_path, "sleep 0.5"))
    left = platform.enqueue("operator.add", 1, 1)
    _await_run(platform, tmp_path)
    worker.send(signal.SIGTERM)
    assert worker.await_end() == 0
    job.refresh()
    assert job.return_value().strip() == "1"
    assert left.get_status() == JobStatus.QUEUED


def test_asked_twice_a_worker_drops_its_job_for_the_next_one(platform, store, tmp_path):
    """A second signal ends a worker at once; its job is run again by the next worker."""
    worker = platform.start_worker("one")
    job = platform.enqueue(*_note_runs(tmp_path, ONCE_LONG))
    _await_run(platform, tmp_path)
    worker.send(signal.SIGTERM)
    time.sleep(1.1)  # two signals within a second count as one
    worker.send(signal.SIGTERM)
    assert worker.await_end() == 0
    platform.start_worker("two")
    _await_status(platform, job, JobStatus.FINISHED)
    assert job.return_value().strip() == "2"


def test_the_name_of_a_living_worker_is_refused(platform, store):
    """Two workers cannot have one name; the message says so without a stack trace."""
    platform.start_worker("one")
    second = platform.fork("jobs", "run-worker", "--queue", "scheduling", "--name", "one")
    assert second.await_end() == 1
    assert 'worker named "one"' in second.output
    assert "Traceback" not in second.output


@pytest.mark.parametrize("command", ["run-worker", "run_worker", "clear-queue"])
def test_an_unknown_queue_is_refused(command):
    """An unknown queue gives a usage error which names those that exist."""
    refused = CliRunner().invoke(cli, ["jobs", command, "--queue", "scheduling|dreaming"])
    assert refused.exit_code == 2
    assert '"dreaming"' in refused.output
    assert "forecasting, scheduling" in refused.output


def test_a_queue_can_be_cleared(platform, store):
    """clear-queue removes what waits in one queue, says how much, and leaves other queues alone."""
    for _ in range(2):
        platform.enqueue("operator.add", 1, 1)
    other = platform.enqueue("operator.add", 1, 1, queue="forecasting")
    clear = platform.fork("jobs", "clear-queue", "--queue", "scheduling")
    assert clear.await_end() == 0
    assert clear.output == "Cleared 2 jobs from <Queue scheduling>. Queue now contains 0 jobs.\n"
    assert get_queue(store, "forecasting").job_ids == [other.id]


def test_a_job_waits_for_a_day(platform, store):
    """A job that no worker takes within a day is dropped."""
    job = platform.enqueue("operator.add", 1, 1)
    assert JOB_TTL == 86400
    assert JOB_TTL - 60 < store.ttl(job.key) <= JOB_TTL
