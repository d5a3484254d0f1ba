"""Many runs, each in a process of its own: fresh memory, and none takes another down.

On this machine's devices, one run per device at a time, or as jobs of a Slurm cluster through submitit.
"""

import queue
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmark.common import workers
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report, bars, silent
from benchmark.run import Outcome, Request, run
from benchmark.training import distributed, hardware

if TYPE_CHECKING:
    import submitit

Result: TypeAlias = Outcome | UserError
LAUNCHERS = ("here", "local", "slurm")
FOLDER = "jobs"
DEFAULTS = {"timeout_min": 12 * 60, "nodes": 1, "tasks_per_node": 1}
_POLL_SECONDS = 1.0


def launch(
    requests: Sequence[Request], launcher: str = "here", parameters: Sequence[str] = ()
) -> Generator[tuple[Request, Result], None, None]:
    """Run the requests and give each one's result when it is there; a user's mistake in one leaves the others.

    `launcher`: "here" waits for its own processes; "slurm" submits jobs; "local" submits the same jobs to this machine.
    `parameters` are submitit's, `name=value`. Under torchrun only the first process gives results.

    Raises:
        UserError: an unknown launcher, several runs under torchrun, or submitit is missing or refuses a parameter.
    """
    if launcher not in LAUNCHERS:
        raise UserError(f"no launcher '{launcher}'; use {', '.join(LAUNCHERS)}")
    if parameters and launcher == "here":
        raise UserError("--job is for --launcher slurm or local")
    if distributed.expected() > 1 and (len(requests) > 1 or launcher != "here"):
        raise UserError("torchrun's processes share one run: give one --arch and one seed, and no --launcher")
    if launcher == "here":
        yield from here(requests)
    else:
        yield from submit(requests, launcher, parameters)


def isolated(request: Request, title: str = "", *, quiet: bool = False) -> Result:
    """Run it in this process, which has done nothing else yet."""
    with _report(quiet=quiet or not distributed.first()) as report:
        if title:
            report("run", 0, 0, title)
        try:
            return run(replace(request, fresh_process=True), report)
        except UserError as error:
            return error


def apart(request: Request, title: str, *, quiet: bool = False) -> Result:
    """Run it in a process of its own; its death is a result, too."""
    with workers.pool(1) as pool:
        try:
            return pool.submit(isolated, request, title, quiet=quiet).result()
        except BrokenProcessPool:
            return UserError("the process was killed (out of memory? --micro-batch takes less)")
        except Exception as error:
            text = first_line(error)
            return UserError(f"unexpected {type(error).__name__}: {text}; run it alone to see where")


@contextmanager
def _report(*, quiet: bool) -> Iterator[Report]:
    if quiet:
        yield silent
        return
    with bars() as report:
        yield report


def title(request: Request, number: int, count: int) -> str:
    """What is announced of a run among others."""
    return f"{number} of {count}: {request.architecture}, seed {request.seed}"


def here(requests: Sequence[Request], devices: Sequence[str] = ()) -> Generator[tuple[Request, Result], None, None]:
    """Run them one after the other, or on several devices at once.

    `devices` default to what the requests' `device` stands for here. A single request runs in this process.
    """
    if len(requests) == 1:
        result = isolated(requests[0])
        if distributed.first() or isinstance(result, UserError):
            yield requests[0], result
        return
    devices = devices or hardware.local_devices(requests[0].manner.device)
    if len(devices) > 1:
        yield from _side_by_side(requests, devices)
        return
    for number, request in enumerate(requests, start=1):
        yield request, apart(request, title(request, number, len(requests)))


def _side_by_side(requests: Sequence[Request], devices: Sequence[str]) -> Generator[tuple[Request, Result], None, None]:
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    for device in devices:
        free.put(device)

    def on_the_next(request: Request) -> Result:
        device = free.get()
        try:
            return apart(replace(request, manner=replace(request.manner, device=device)), "", quiet=True)
        finally:
            free.put(device)

    with bars() as report, ThreadPoolExecutor(len(devices)) as threads:
        futures = {threads.submit(on_the_next, request): request for request in requests}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                request = futures[future]
                report("runs", done, len(requests), f"{request.architecture}, seed {request.seed}")
                yield request, future.result()
        finally:
            # An interruption, or whoever takes the results has had enough: no thread may wait for its run.
            threads.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                workers.end()
                time.sleep(0.05)


class Job:
    """One run, as submitit pickles it."""

    def __init__(self, request: Request, title: str) -> None:
        self._request, self._title = request, title

    def __call__(self) -> Result:
        """In the job's process."""
        return isolated(self._request, self._title)

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """Called by submitit before the cluster takes the job away: the same again, which continues."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def submit(requests: Sequence[Request], cluster: str, parameters: Sequence[str]) -> Iterator[tuple[Request, Result]]:
    """Submit the runs and give the results as they come; jobs outlive an interruption of this process.

    Raises:
        UserError: submitit is missing or refuses a parameter, or there is no such cluster.
    """
    results = requests[0].results
    executor = _executor(results / FOLDER, cluster, requests[0].manner.device, parameters)
    device = requests[0].manner.device
    # A cluster queues by itself; on this machine as many run as there are devices.
    free = hardware.local_devices(device) if cluster == "local" else [device] * len(requests)
    waiting = [(request, title(request, number, len(requests))) for number, request in enumerate(requests, start=1)]
    running: list[tuple[Request, str, submitit.Job[Result]]] = []
    done = 0
    with bars() as report:
        report("jobs", 0, 0, f"logs in {results / FOLDER}; an interruption here leaves submitted jobs running")
        while waiting or running:
            while waiting and free:
                request, name = waiting.pop(0)
                device = free.pop(0)
                work = Job(replace(request, manner=replace(request.manner, device=device)), name)
                running.append((request, device, _submitted(executor, work)))
            ended = [entry for entry in running if entry[2].done()]
            running = [entry for entry in running if entry not in ended]
            for request, device, job in ended:
                free.append(device)
                done += 1
                report("jobs", done, len(requests), f"{request.architecture}, seed {request.seed}")
                yield request, _job_result(job)
            if not ended:
                time.sleep(_POLL_SECONDS)


def _executor(folder: Path, cluster: str, device: str, parameters: Sequence[str]) -> "submitit.AutoExecutor":
    try:
        import submitit
    except ImportError as error:
        raise UserError("--launcher needs submitit: pip install 'birdmask-bench[cluster]'") from error
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
