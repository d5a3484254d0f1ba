"""Many runs, one after the other, each in a process of its own: fresh memory, and none takes another down."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from benchmark.errors import UserError
from benchmark.progress import bars
from benchmark.run import Outcome, Request, run


def launch(requests: Sequence[Request]) -> Iterator[tuple[Request, Outcome | UserError]]:
    """Run the requests; a user's mistake in one comes back in its place, and the others go on.

    A single request runs in this process, which has done nothing else yet.
    """
    if len(requests) == 1:
        yield requests[0], _isolated(replace(requests[0], fresh_process=True), "")
        return
    for number, request in enumerate(requests, start=1):
        title = f"{number} of {len(requests)}: {request.architecture}, seed {request.seed}"
        # Spawned, because a fork would copy torch's threads in an undefined state.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                yield request, pool.submit(_isolated, replace(request, fresh_process=True), title).result()
            except BrokenProcessPool:
                message = f"{request.architecture}, seed {request.seed}: the process was killed (out of memory?)"
                yield request, UserError(message)


def _isolated(request: Request, title: str) -> Outcome | UserError:
    with bars() as report:
        if title:
            report("run", 0, 0, title)
        try:
            return run(request, report)
        except UserError as error:
            return error
