"""`bench verify`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, complain, named_runs, one_line_errors, say
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.records.verify import Finding

_PREDICT = "Evaluate the stored weights again"


@one_line_errors
def verify(
    *,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs, by architecture, folder or the first characters of their key; all if none is named.",
            metavar="[RUN]...",
        ),
    ] = None,
    results: Results = Path("results"),
    plugins: Plugins = None,
    predict: Annotated[
        bool,
        typer.Option(
            "--predict",
            help="Also evaluate the weights on the test split, compare every count, and write verification.json. On a "
            "machine like the run's no pixel may differ; elsewhere 0.1 % of an image's pixels may.",
            rich_help_panel=_PREDICT,
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the dataset.", metavar="ROOT", rich_help_panel=_PREDICT),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_PREDICT)] = "auto",
) -> None:
    """Recompute stored results and report what does not add up.

    Compares checksums, keys, counts and masks with each other. Exit code 2 if a record is inconsistent.
    """
    add_plugins(plugins)
    from benchmark.common.progress import bars
    from benchmark.records import store
    from benchmark.records.verify import check
    from benchmark.records.verify.badges import VERIFICATION

    if predict and not runs:
        raise UserError("--predict needs the names of runs, since they share one --data: bench verify --predict RUN")
    if predict:
        from benchmark.data import validate

        validate.check_folder(data)
    paths = named_runs(results, runs) if runs else store.folders(results, store.RUNS)
    if not paths:
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    with bars() as report:
        findings = check(results, paths if runs else None, report)
    failed = {finding.run for finding in findings}
    for path in dict.fromkeys([*paths, *sorted(failed)]):  # a transfer is named only if something is wrong with it
        say(_line(path, [finding for finding in findings if finding.run == path]))
    if predict:
        damaged = {finding.run for finding in findings if finding.file.name != VERIFICATION}
        failed = damaged | _predict_all([path for path in paths if path not in damaged], results, data, device)
    say(f"{len(set(paths) - failed)} of {len(paths)} run(s) {'reproduced' if predict else 'consistent'}")
    if failed:
        raise typer.Exit(2)


def _line(path: Path, findings: "list[Finding]") -> str:
    if not findings:
        return f"{path}: consistent"
    return "\n".join([f"{path}: {len(findings)} finding(s)", *(f"  {finding}" for finding in findings)])


def _predict_all(paths: list[Path], results: Path, data: Path | None, device: str) -> set[Path]:
    """Evaluate the weights of these runs; returns those that failed."""
    from benchmark.common.progress import bars
    from benchmark.reproduce import predict

    failed = set()
    for path in paths:
        root = " --data ROOT" if data else ""
        command = f"bench verify --predict {path.name}{root} --device {shlex.quote(device)}"
        try:
            with bars() as report:
                made = predict(results, path, data=data, device=device, command=command, report=report)
        except UserError as error:
            complain(str(error))
            failed.add(path)
            continue
        allowed = "none may" if made.alike else f"{100 * made.tolerance:g} % of an image's pixels may"
        say(
            f"{path}: {made.verdict}; {made.images} images, at most {made.largest_difference} pixels of a mask differ "
            f"({allowed}, on {made.device} in {made.precision})"
        )
        if made.verdict != "reproduced":
            complain(f"{path}: {made.message}")
            failed.add(path)
    return failed
