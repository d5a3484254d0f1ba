"""Runs as jobs of a cluster, through submitit; one that is preempted or out of time is queued again and goes on."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import hardware
from benchmark.errors import UserError, first_line
from benchmark.launch.one import Result, isolated, title
from benchmark.progress import bars
from benchmark.run import Request

if TYPE_CHECKING:
    import submitit

FOLDER = "jobs"
DEFAULTS = {"timeout_min": 12 * 60, "nodes": 1, "tasks_per_node": 1}
_POLL_SECONDS = 1.0


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


def launch(requests: Sequence[Request], cluster: str, parameters: Sequence[str]) -> Iterator[tuple[Request, Result]]:
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
                yield request, _result(job)
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


def _result(job: "submitit.Job[Result]") -> Result:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except (FailedJobError, UncompletedJobError):
        return UserError(f"job {job.job_id} ended without a result (killed? out of memory?): see {job.paths.stderr}")
