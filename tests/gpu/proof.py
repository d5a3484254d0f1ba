"""Tests and measures on a GPU that is available for some minutes; writes its results after every step.

    python tests/gpu/proof.py --minutes 10 --out proof            # what `make gpu` calls, with --tests
    python tests/gpu/proof.py --device cpu --rehearse --out DIR   # everything, tiny, on a CPU

In DIR: proof.json and proof.md (what was done, each step's command, seconds and outcome, the figures), records.tar.gz
(records, tables and pictures, without weights), weights-*.safetensors (the two best entries in 16 bits) and proof.log.
Called again with the same DIR it does the missing runs. docs/gpu.md describes each step.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import archive
from account import Account, Step
from command import Command, execute

SYNTHETIC = "synthetic:train=1000,val=200,test=300,ood=0"
REFERENCE = "custom_resnet34"
NETWORKS = (REFERENCE, "unet", "segnet", "deeplabv3", "vitvs")
# Cheapest and most asked for first; all that learn.
ENTRIES = (
    *(REFERENCE, "local_features", "unetplusplus", "fpn", "unet", "segnet", "vitvs", "deeplabv3", "deeplabv3plus"),
    *("smp", "segformer"),
    *("manet", "segmenter", "torchvision_segmentation", "mtunet", "u2net", "atrous_segnet", "denoising_autoencoder"),
    *("speech_dnn", "otsu", "spectral_gate", "all_background"),
)
TINY = {"image_size": [32, 32], "epochs": 1, "batch_size": 4}
WORTH_STARTING = 20.0
"""Seconds; a run that would have less is not started."""
LAST_WORDS = 10.0
"""Seconds reserved at the end for archive and tables."""
TESTERS = 4
"""Processes that share the device for the tests."""


@dataclass
class Proof:
    """The settings, the time that is left, and the steps so far."""

    given: argparse.Namespace
    results: Path
    account: Account
    begun: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds until the time is over."""
        return self.begun + 60 * self.given.minutes - time.monotonic()

    def share(self, part: float) -> float:
        """Seconds for a step that may take this part of the whole time, and no more than is left."""
        return min(60 * self.given.minutes * part, self.left())

    def task(self, **more: Any) -> dict[str, Any]:
        """The task of a measurement."""
        given = self.given
        overrides = {"weights": given.weights, **(TINY if given.rehearse else {})}
        if given.dataset:
            overrides["dataset"] = given.dataset
        data = str(given.data.resolve()) if given.data else None
        seconds = 0.05 if given.rehearse else 3.0
        common = {"protocol": given.protocol, "overrides": overrides, "data": data, "device": given.device}
        return {**common, "seconds": seconds, **more}

    def measure(self, name: str, what: str, limit: float, **more: Any) -> dict[str, Any] | None:
        """Do a measurement; returns its figures, or None if it failed."""
        if limit < 1:
            self.account.add(Step(name=name, outcome="left out", message="no time is left"))
            return None
        with tempfile.TemporaryDirectory(prefix="bench-proof-") as folder:
            answer = Path(folder) / "answer.json"
            words = ["tests/gpu/figures.py", what, json.dumps(self.task(**more)), str(answer)]
            done = execute(Command(words=words, limit=limit, log=self.account.log, here=self.given.rehearse))
            found = json.loads(answer.read_text()) if done.ok and answer.exists() else None
        self.account.add(Step.of(name, done, figures=found))
        return found

    def run_words(self, label: str, seed: int) -> list[str]:
        """The words of `bench run` for an entry."""
        given = self.given
        words = ["-m", "benchmark", "run", "--arch", label, "--protocol", given.protocol, "--seed", str(seed)]
        words += ["--dataset", given.dataset] if given.dataset else []
        words += ["--data", str(given.data.resolve())] if given.data else []
        words += ["--weights", given.weights, "--device", given.device, "--results", str(self.results.resolve())]
        for name, value in TINY.items() if given.rehearse else ():
            words += ["--set", f"{name}={value}"]
        return words

    def run(self, label: str, seed: int) -> bool:
        """Do one run, unless it is finished or would not finish in time; returns whether it was done."""
        name = f"run {label}, seed {seed}"
        if found := archive.figures(self.results, self.account.known, label, seed):
            self.account.add(Step(name=name, outcome="finished before", figures=found))
            return False
        left = self.left() - LAST_WORDS
        needed = max(WORTH_STARTING, self.account.expected(label, self.results))
        if left < (0 if self.given.rehearse else needed):
            why = f"it needs about {needed:.0f} s, {max(left, 0):.0f} s are left"
            self.account.add(Step(name=name, outcome="left out", message=why))
            return False
        done = execute(Command(words=self.run_words(label, seed), limit=left, log=self.account.log))
        found = archive.figures(self.results, self.account.known, label, seed)
        self.account.add(Step.of(name, done, figures=found or None))
        return done.ok

    def pack(self) -> None:
        """Rewrite archive, tables and weights; an error there does not end the proof."""
        try:
            archive.write(self.results, self.given.out, self.account.log)
            kept = archive.write_weights(self.results, self.given.out, self.account.known, self.given.largest)
        except Exception as error:  # whatever it is, the next step may still be done
            self.account.archive = [f"{type(error).__name__}: {error}"]
        else:
            self.account.archive = kept
        self.account.write()


def conduct(proof: Proof) -> None:
    """Do the steps in their order."""
    given = proof.given
    with ThreadPoolExecutor(1) as beside:  # the archive is written while the device works on the next step
        if given.tests:
            words = [
                "-m",
                "pytest",
                "tests/gpu",
                "--ignore=tests/gpu/test_rehearsal.py",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:benchmark",  # its warning under xdist would be an error
                "-rs",
                "-vv",  # names, also of tests that ended before a limit did
            ]
            if (os.cpu_count() or 1) >= 2 * TESTERS:  # they spend most of their time beside the device
                words += ["-n", str(TESTERS)]
            limit = min(240.0, proof.share(0.4))
            done = execute(Command(words=words, limit=limit, log=proof.account.log, device=given.device))
            proof.account.add(Step.of("tests", done))
        machine = proof.measure("device", "device", proof.share(0.2))
        data = proof.measure("data", "data", proof.share(0.4))
        if machine is None or data is None:
            return
        proof.account.know(machine, data)
        if not given.only_runs:
            _speeds(proof, machine["ceiling"])
            proof.measure("profile", "profile", proof.share(0.1), architecture=given.networks[0])
        if proof.run(given.networks[0], 0):
            beside.submit(proof.pack)
        if given.against and not given.only_runs:
            few = {"images": min(256, data["images"]["train"]), "contestants": given.against}
            proof.measure("rivals", "rivals", proof.share(0.25), architecture=given.networks[0], **few)
        for seed in given.seeds:
            for label in given.entries:
                if (label, seed) != (given.networks[0], 0) and proof.run(label, seed):
                    beside.submit(proof.pack)


def _speeds(proof: Proof, ceiling: dict[str, float]) -> None:
    """Measure each network eagerly and compiled, the reference network first, in at most 35 % of the time."""
    given = proof.given
    modes = ("eager", "compiled")
    first, *others = given.networks
    order = [(first, mode) for mode in modes] + [(label, mode) for mode in modes for label in others]
    until = proof.left() - proof.share(0.35)
    for label, mode in order:
        name = f"speed of {label}, {mode}"
        if mode == "compiled" and given.rehearse:
            proof.account.add(Step(name=name, outcome="skipped", message="a compilation takes too long to rehearse"))
        else:
            limit = min(120.0, proof.left() - until)
            proof.measure(name, "speed", limit, architecture=label, execution=mode, ceiling=ceiling)


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("proof"), metavar="DIR")
    parser.add_argument(
        "--results", type=Path, help="folder of an earlier call's runs, kept; else records.tar.gz of DIR"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--protocol", default="paper")
    parser.add_argument("--dataset", help=f"default: the protocol's with --data, else {SYNTHETIC}")
    parser.add_argument("--data", type=Path, metavar="ROOT")
    parser.add_argument("--weights", default="none", help="none or pretrained")
    parser.add_argument("--entries", nargs="+", metavar="NAME")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="whose speed is measured; the first one is raced")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--against", nargs="*", help="'lightning', 'lightning cached', 'notebook'")
    parser.add_argument("--largest", type=float, metavar="MIB", help="leave out files of weights that would be larger")
    parser.add_argument("--only-runs", action="store_true", help="measure no speeds: all of the time is for the runs")
    parser.add_argument("--tests", action="store_true", help="begin with the tests of tests/gpu")
    parser.add_argument("--rehearse", action="store_true", help="tiny data and one epoch, to see whether all is well")
    given = parser.parse_args(words)
    tiny = given.rehearse
    given.entries = given.entries or (["unet:width=2"] if tiny else list(ENTRIES))
    given.networks = given.networks or (["unet:width=2"] if tiny else list(NETWORKS))
    if given.against is None:
        given.against = [] if tiny else ["lightning", "lightning cached"]
    if given.dataset is None and given.data is None:
        given.dataset = "synthetic:train=8,val=3,test=3,ood=1" if tiny else SYNTHETIC
    return given


def main(words: list[str]) -> int:
    """0 if no step failed."""
    given = parsed(words)
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-proof-") as temporary:
        results = given.results or Path(temporary) / "results"
        archive.restore(given.out, results)
        account = Account(out=given.out, words=["tests/gpu/proof.py", *words], seconds=60 * given.minutes)
        proof = Proof(given=given, results=results, account=account)
        conduct(proof)
        account.write()
    return 1 if account.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
