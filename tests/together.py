"""Gives `bench` commands one after the other, each to two processes at once that share a training, as torchrun does.

    python tests/together.py '{"folder": "...", "commands": [{"words": ["run", ...], "environment": {"DIE_AT": "5"}}]}'

A process of its own, because it forks: it has imported everything but computed nothing, so its children start at once.
Prints, as JSON, how each command ended: "died" where one of its processes failed, and what both said.
"""

import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch.distributed as dist

from benchmark import cli, launch

importlib.import_module("torch._dynamo")  # imported by optimisers when they are first used
assert launch


def given(words: list[str], environment: dict[str, str], log: Path) -> dict[str, Any]:
    # They meet at a store that outlives them both, as torchrun's does: one of them ends before the other.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        **environment,
    }
    children = {_fork(words, {**shared, "RANK": rank, "LOCAL_RANK": rank}, log) for rank in ("0", "1")}
    died = False
    while children:
        child, status = os.wait()
        children.remove(child)
        if status and not died:  # the other one waits for it, and torchrun would end it
            died = True
            for other in children:
                os.kill(other, signal.SIGKILL)
    return {"died": died, "said": log.read_text()}


def _fork(words: list[str], environment: dict[str, str], log: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(environment)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        cli.main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    ends = [
        given(command["words"], command.get("environment", {}), Path(task["folder"]) / f"together-{number}.log")
        for number, command in enumerate(task["commands"])
    ]
    sys.stdout.write(json.dumps(ends) + "\n")
