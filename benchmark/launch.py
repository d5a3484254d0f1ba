"""Many runs, each in a process of its own, so memory is fresh and a crash ends one run only.

They run on this machine, one per device at a time, or as jobs of a Slurm cluster through submitit.
"""

import queue
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmark.common import workers
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import bars, duration, silent
from benchmark.run import Outcome, Request, run
from benchmark.training import hardware

if TYPE_CHECKING:
    import submitit

Result: TypeAlias = Outcome | UserError
Results: TypeAlias = Generator[tuple[Request, Result], None, None]
LAUNCHERS = ("here", "slurm")
FOLDER = "jobs"
DEFAULTS = {"timeout_min": 12 * 60, "nodes": 1, "tasks_per_node": 1}
_POLL_SECONDS = 1.0


def launch(requests: Sequence[Request], launcher: str = "here", parameters: Sequence[str] = ()) -> Results:
    """Run the requests and yield each result as soon as it is known; an error of one run does not stop the others.

    `launcher`: "here" starts processes on this machine; "slurm" submits jobs with submitit's `parameters`, name=value.

    Raises:
        UserError: there is no such launcher, or submitit is missing or refuses a parameter.
    """
    if launcher not in LAUNCHERS:
        raise UserError(f"no launcher '{launcher}'; use {' or '.join(LAUNCHERS)}")
    if parameters and launcher == "here":
        raise UserError("--job needs --launcher slurm")
    if launcher == "here":
        yield from here(requests)
    else:
        yield from submit(requests, parameters)


def here(requests: Sequence[Request], devices: Sequence[str] = ()) -> Results:
    """Run the requests one after the other, or one per device at a time.

    `devices` defaults to what the requests' `device` means on this machine. A single request runs in this process.
    """
    if len(requests) == 1:
        yield requests[0], run_in_this_process(requests[0])
        return
    devices = devices or hardware.local_devices(requests[0].manner.device)
    if len(devices) > 1:
        yield from _side_by_side(requests, devices)
        return
    pace = _Pace(requests)
    for number, request in enumerate(requests, start=1):
        started = time.monotonic()
        result = run_in_new_process(request, title(request, number, len(requests)) + pace.left(number - 1))
        pace.add(request, result, time.monotonic() - started)
        yield request, result


class _Pace:
    """How long runs take, to say what is left: as long as the same entry took, else as long as all on average."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._seconds: dict[str, list[float]] = {}

    def add(self, request: Request, result: Result, seconds: float) -> None:
        """Add a run that has ended; one that had finished before, or failed, says nothing."""
        if isinstance(result, Outcome) and not result.again:
            self._seconds.setdefault(request.architecture, []).append(seconds)

    def left(self, done: int) -> str:
        """The time that the requests after the first `done` will take, in words; empty if none has ended."""
        everything = [seconds for each in self._seconds.values() for seconds in each]
        if not everything:
            return ""
        known = [self._seconds.get(request.architecture, everything) for request in self._requests[done:]]
        return f"; about {duration(sum(map(fmean, known)))} left for all"


def title(request: Request, number: int, count: int) -> str:
    """The name of one of several runs in the progress output."""
    return f"{number} of {count}: {request.architecture}, seed {request.seed}"


def run_in_this_process(request: Request, title: str = "", *, quiet: bool = False) -> Result:
    """Run a request in this process, which must be fresh, with its title and its progress unless `quiet`."""
    with nullcontext(silent) if quiet else bars() as report:
        if title:
            report("run", 0, 0, title)
        try:
            return run(replace(request, fresh_process=True), report)
        except UserError as error:
            return error


def run_in_new_process(request: Request, title: str = "", *, quiet: bool = False) -> Result:
    """Run a request in a process of its own; its death is a result too."""
    with workers.pool(1) as pool:
        try:
            return pool.submit(run_in_this_process, request, title, quiet=quiet).result()
        except BrokenProcessPool:
            return UserError("the process was killed (out of memory? try --micro-batch)")
        except Exception as error:
            text = first_line(error)
            return UserError(f"unexpected {type(error).__name__}: {text}; run it alone with --debug to see where")


def _side_by_side(requests: Sequence[Request], devices: Sequence[str]) -> Results:
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    for device in devices:
        free.put(device)

    def run_on_next_device(request: Request) -> Result:
        device = free.get()
        try:
            return run_in_new_process(replace(request, manner=replace(request.manner, device=device)), quiet=True)
        finally:
            free.put(device)

    with bars() as report, ThreadPoolExecutor(len(devices)) as threads:
        futures = {threads.submit(run_on_next_device, request): request for request in requests}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                request = futures[future]
                report("runs", done, len(requests), f"{request.architecture}, seed {request.seed}")
                yield request, future.result()
        finally:
            # After Ctrl-C, or if the caller stops early: end the workers, or each thread would wait for its run.
            threads.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                workers.end()
                time.sleep(0.05)


class Job:
    """One run, as submitit pickles it."""

    def __init__(self, request: Request, title: str) -> None:
        self._request, self._title = request, title

    def __call__(self) -> Result:
        """Run it, in the job's process."""
        return run_in_this_process(self._request, self._title)

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """Submit the same job again, which resumes; submitit calls this before the cluster preempts the job."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def submit(requests: Sequence[Request], parameters: Sequence[str], cluster: str = "slurm") -> Results:
    """Submit the runs as jobs and yield each result as soon as it is known; jobs survive Ctrl-C in this process.

    `cluster` is submitit's: "slurm", or "local" for processes on this machine (in tests).

    Raises:
        UserError: submitit is missing, or it refuses a parameter or a job.
    """
    folder = requests[0].results / FOLDER
    executor = _executor(folder, cluster, requests[0].manner.device, parameters)
    count, done = len(requests), 0
    running = [
        (request, _submitted(executor, Job(request, title(request, number, count))))
        for number, request in enumerate(requests, start=1)
    ]
    with bars() as report:
        report("jobs", 0, 0, f"logs are in {folder}; Ctrl-C leaves the submitted jobs running")
        while running:
            ended = [entry for entry in running if entry[1].done()]
            running = [entry for entry in running if entry not in ended]
            for request, job in ended:
                done += 1
                report("jobs", done, count, f"{request.architecture}, seed {request.seed}")
                yield request, _job_result(job)
            if not ended:
                time.sleep(_POLL_SECONDS)


def _executor(folder: Path, cluster: str, device: str, parameters: Sequence[str]) -> "submitit.AutoExecutor":
    try:
        import submitit
    except ImportError as error:
        raise UserError("--launcher slurm needs submitit: pip install 'birdmask-bench[cluster]'") from error
    settings: dict[str, Any] = dict(DEFAULTS)
    if cluster == "slurm" and device != "cpu":
        settings["gpus_per_node"] = 1
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if not equals:
            raise UserError(f"--job {parameter}: write NAME=VALUE, e.g. --job slurm_partition=gpu")
        settings[name] = int(value) if value.isdecimal() else value
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster, slurm_max_num_timeout=100)
        executor.update_parameters(**settings)
    except (RuntimeError, NameError, TypeError, ValueError) as error:
        raise UserError(f"submitit refuses: {first_line(error)}") from error
    return executor


def _submitted(executor: "submitit.AutoExecutor", job: Job) -> "submitit.Job[Result]":
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.submit(job)
    except (FailedSubmissionError, FailedJobError, OSError) as error:
        raise UserError(f"the job could not be submitted: {first_line(error)}") from error


def _job_result(job: "submitit.Job[Result]") -> Result:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except (FailedJobError, UncompletedJobError):
        return UserError(f"job {job.job_id} ended without a result (killed? out of memory?): see {job.paths.stderr}")
