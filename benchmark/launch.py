"""Many runs, one after the other, each in a process of its own: fresh memory, and none takes another down."""

from collections.abc import Iterator, Sequence
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
            try:
                yield request, pool.submit(_isolated, replace(request, fresh_process=True), title).result()
            except Exception as error:
                if not isinstance(error, BrokenProcessPool):
                    yield request, _unexpected(error)
                    continue
                message = f"{request.architecture}, seed {request.seed}: the process was killed (out of memory?)"
                yield request, UserError(message)


def _unexpected(error: Exception) -> UserError:
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
