"""Many runs, one after the other, each in a process of its own: fresh memory, and none takes another down."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from benchmark import workers
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
        with workers.pool(1) as pool:
            yield request, _result(pool.submit(_isolated, replace(request, fresh_process=True), title))


def _result(future: Future[Outcome | UserError]) -> Outcome | UserError:
    try:
        return future.result()
    except BrokenProcessPool:
        return UserError("the process was killed (out of memory?)")
    except Exception as error:
        text = next(iter(str(error).splitlines()), "")
        return UserError(f"unexpected {type(error).__name__}: {text}; run it alone to see where")


def _isolated(request: Request, title: str) -> Outcome | UserError:
    with bars() as report:
        if title:
            report("run", 0, 0, title)
        try:
            return run(request, report)
        except UserError as error:
            return error
