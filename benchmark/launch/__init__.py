"""Many runs, each in a process of its own: fresh memory, and none takes another down.

one     a run in this process, with its errors as results
here    on this machine's devices, one run per device at a time
jobs    as jobs of a Slurm cluster, through submitit
"""

from collections.abc import Generator, Sequence

from benchmark import peers
from benchmark.errors import UserError
from benchmark.launch import here, jobs
from benchmark.launch.one import Result
from benchmark.run import Request

LAUNCHERS = ("here", "local", "slurm")


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
    if peers.expected() > 1 and (len(requests) > 1 or launcher != "here"):
        raise UserError("torchrun's processes share one run: give one --arch and one seed, and no --launcher")
    if launcher == "here":
        yield from here.launch(requests)
    else:
        yield from jobs.launch(requests, launcher, parameters)
