"""Records the steps of proof.py: proof.json for programs and proof.md for readers, rewritten after every step."""

import datetime
import json
import shlex
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import archive
from command import Done
from tabulate import tabulate

Figures = dict[str, Any]
_START = 25.0
"""Seconds that a run takes in addition to its training, for start, validation, test and pictures; a guess."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step and its outcome; `message` is a line."""

    name: str
    outcome: str
    message: str = ""
    command: str = ""
    seconds: float = 0.0
    limit: float | None = None
    last_lines: Sequence[str] = ()
    figures: Figures | None = None

    @classmethod
    def of(cls, name: str, done: Done, figures: Figures | None = None) -> "Step":
        """The step of an executed command."""
        outcome = "done" if done.ok else "killed at its limit" if done.code is None else "failed"
        return cls(
            name=name,
            outcome=outcome,
            message=_message(done),
            command=shlex.join(done.command),
            seconds=round(done.seconds, 2),
            limit=round(done.limit, 1),
            last_lines=() if done.ok and figures is not None else done.last_lines,
            figures=figures,
        )


@dataclass
class Account:
    """The steps so far. `known` is what identifies this call's runs: table, device, precision, torch."""

    out: Path
    words: Sequence[str]
    seconds: float
    steps: list[Step] = field(default_factory=list)
    known: Figures = field(default_factory=dict)
    archive: list[str] = field(default_factory=list)
    begun: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def log(self) -> Path:
        """The file with everything that the commands printed."""
        return self.out / "proof.log"

    @property
    def failed(self) -> bool:
        """Whether a step failed; a run that had no time left did not."""
        cut = [
            step for step in self.steps if step.outcome == "killed at its limit" and not step.name.startswith("run ")
        ]
        return bool(cut) or any(step.outcome == "failed" for step in self.steps)

    def know(self, device: Figures, data: Figures) -> None:
        """Set what identifies the runs."""
        versions = device["environment"]
        self.known = {
            **data,
            "kind": device["kind"],
            "precision": device["precision"],
            "torch": versions["torch"],
        }

    def expected(self, label: str, results: Path) -> float:
        """Expected seconds of a run, from its other seeds or its measured speed; 0 if there is neither."""
        runs = archive.runs(results, self.known)
        found = [run.training.seconds for _, run in runs if run.architecture.label == label]
        if not found:
            epochs = self.known["epochs"]
            rows = [step.figures for step in self._named("speed of") if step.figures]
            found = [
                row["epoch_seconds"] * epochs
                for row in rows
                if (row["architecture"], row["execution"]) == (label, "eager")
            ]
        return 1.1 * found[0] + _START if found else 0.0

    def add(self, step: Step) -> None:
        """Add a step and rewrite the files."""
        self.steps.append(step)
        print(f"{step.name}: {step.outcome} {step.message} ({step.seconds:.1f} s)", flush=True)
        self.write()

    def write(self) -> None:
        """Write proof.json and proof.md."""
        with self._lock:
            content = {
                "begun": self.begun,
                "command": shlex.join(["python", *self.words]),
                "seconds": self.seconds,
                "known": self.known,
                "steps": [asdict(step) for step in self.steps],
                "archive": self.archive,
            }
            _replace(self.out / "proof.json", json.dumps(content, indent=1) + "\n")
            _replace(self.out / "proof.md", "\n\n".join(part for part in self._parts() if part) + "\n")

    def _named(self, start: str) -> list[Step]:
        return [step for step in self.steps if step.name.startswith(start)]

    def _parts(self) -> list[str]:
        return [
            "# Results of tests/gpu/proof.py",
            f"Begun {self.begun}, {self.seconds / 60:g} minutes given: `{shlex.join(['python', *self.words])}`",
            self._device(),
            self._speeds(),
            self._profile(),
            self._rivals(),
            "## Steps",
            _grid(
                ["step", "outcome", "seconds", "limit", "message"],
                [
                    [step.name, step.outcome, f"{step.seconds:.1f}", step.limit, step.message[:200]]
                    for step in self.steps
                ],
            ),
            "\n".join(f"- {line}" for line in self.archive),
            "## Commands",
            "\n".join(f"    {step.command}" for step in self.steps if step.command),
            *(
                f"## Last lines of: {step.name}\n\n{_quoted(step)}"
                for step in self.steps
                if step.last_lines and (step.outcome != "done" or step.name == "tests")
            ),
        ]

    def _device(self) -> str:
        for step in self._named("device"):
            if found := step.figures:
                versions = ", ".join(f"{name} {value[:20]}" for name, value in found["environment"].items())
                most = found["ceiling"]
                return (
                    f"{found['kind']}, {found['precision']}, {found['cores']} cores; CUDA {found['cuda']}; {versions}. "
                    f"Ceilings, measured: {most['flops'] / 1e12:.3g} TFLOP/s in a matrix product, "
                    f"{most['bytes'] / 1e9:.4g} GB/s in a copy."
                )
        return ""

    def _speeds(self) -> str:
        rows = []
        for step in self._named("speed of"):
            if found := step.figures:
                peak = found["peak_memory_bytes"]
                rows.append([
                    found["architecture"], found["execution"], f"{found['images_per_second']:.4g}",
                    f"{found['epoch_seconds']:.3g}", "-" if peak is None else f"{peak / 2**30:.2f}", found["bound"],
                    f"{100 * found['share']:.0f}", f"{found['seconds_with_warm_up']:.1f}",
                ])  # fmt: skip
        header = [
            "entry",
            "execution",
            "images/s",
            "s per epoch",
            "peak GiB",
            "bound by",
            "share of ceiling, %",
            "measured in, s",
        ]
        return "## Training speed\n\n" + _grid(header, rows) if rows else ""

    def _profile(self) -> str:
        for step in self._named("profile"):
            if found := step.figures:
                rows = [
                    [
                        row["name"][:90],
                        row["calls"],
                        f"{1e3 * row['seconds'] / found['steps']:.3f}",
                        f"{100 * row['share']:.1f}",
                    ]
                    for row in found["top"]
                ]
                return (
                    f"## Where a step of {found['architecture']} goes\n\n"
                    f"The {found['of']} of {found['steps']} eager steps took {found['busy_seconds']:.4f} of "
                    f"{found['seconds']:.4f} s (with the profiler on).\n\n"
                    + _grid([found["of"], "calls", "ms per step", "%"], rows)
                )
        return ""

    def _rivals(self) -> str:
        """The first run as measured, and the rivals projected from their measured rates."""
        run = next((step for step in self._named("run ") if step.figures), None)
        if run is None or run.figures is None:
            return ""
        images, epochs = self.known["images"]["train"], self.known["epochs"]
        rows = [
            [
                "this benchmark",
                f"{run.figures['images_per_second']:.4g}",
                epochs,
                f"{run.figures['training_seconds']:.1f}",
            ]
        ]
        for step in self._named("rivals"):
            for name, raced in step.figures["contestants"].items() if step.figures else ():
                rate = raced["images_per_second"]
                epochs_of = f"{raced['epochs']} of {step.figures['images']} images"
                rows.append([name, f"{rate:.4g}", epochs_of, f"{epochs * images / rate:.1f} PROJECTED"])
        header = ["training", "images/s", "epochs measured", f"training of {epochs} epochs of {images} images, s"]
        whole = f"{run.seconds:.1f} s" if run.seconds else "not run in this call"
        return (
            f"## {run.figures['architecture']} here and elsewhere\n\n"
            f"The whole run of this benchmark, with start, validation, test and pictures: {whole}. PROJECTED times are "
            f"computed from the measured rate, without validation and test.\n\n{_grid(header, rows)}"
        )


def _message(done: Done) -> str:
    if done.ok:
        return ""
    return done.last_lines[-1].strip() if done.last_lines else f"code {done.code}"


def _quoted(step: Step) -> str:
    return "\n".join(f"    {line}" for line in step.last_lines)


def _grid(header: list[str], rows: list[list[Any]]) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
