"""Runs on this machine: a process each, one per device at a time."""

import queue
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace

from benchmark import hardware, peers, workers
from benchmark.errors import UserError
from benchmark.launch.one import Result, apart, isolated, title
from benchmark.progress import bars
from benchmark.run import Request


def launch(requests: Sequence[Request], devices: Sequence[str] = ()) -> Generator[tuple[Request, Result], None, None]:
    """Run them one after the other, or on several devices at once.

    `devices` default to what the requests' `device` stands for here. A single request runs in this process.
    """
    if len(requests) == 1:
        result = isolated(requests[0])
        if peers.first() or isinstance(result, UserError):
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
