"""`bench verify`, `bench transfer`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, check_data, complain, mean_iou, say, speaking
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.replay.transfer import Outcome
    from benchmark.verify import Finding

_PREDICT = "Evaluate the stored weights again"


@speaking
def verify(
    *,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs, by architecture, folder or the beginning of their key; all by default.", metavar="[RUN]..."
        ),
    ] = None,
    results: Results = Path("results"),
    plugins: Plugins = None,
    seal: Annotated[
        bool,
        typer.Option(
            "--seal",
            help="Write SHA256SUMS for runs that have none, being from before it was written, and are consistent.",
        ),
    ] = False,
    predict: Annotated[
        bool,
        typer.Option(
            "--predict",
            help="Evaluate the weights on the test split, compare every count, write verification.json. Where device, "
            "arithmetic, torch and threads are the run's, no pixel may differ; elsewhere 0.1 % of an image's.",
            rich_help_panel=_PREDICT,
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that the dataset is read from.", metavar="ROOT", rich_help_panel=_PREDICT),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_PREDICT)] = "auto",
) -> None:
    """Check that what the records say can be so: checksums, keys, counts, masks, against each other (exit code 2)."""
    add_plugins(plugins)
    from benchmark import runs as store
    from benchmark import verify as room
    from benchmark.progress import bars

    if predict and not runs:
        raise UserError("--predict wants the runs to be named, since they share one --data: bench verify --predict RUN")
    if predict:
        from benchmark.data import validity

        validity.check_folder(data)
    paths = _named(results, runs) if runs else store.folders(results)
    named = paths if runs else None
    if not paths:
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    sealed: list[Path] = []
    with bars() as report:
        if seal:
            sealed, findings = room.seal(results, named, report)
        else:
            findings = room.check(results, named, report)
    failed = {finding.run for finding in findings}
    for path in dict.fromkeys([*paths, *sorted(failed)]):  # transfers are named where something is wrong with them
        say(_line(path, [finding for finding in findings if finding.run == path], sealed=path in sealed))
    if predict:
        ready = [
            path
            for path in paths
            if all(finding.file.name == room.VERIFICATION for finding in findings if finding.run == path)
        ]
        failed = (failed - set(ready)) | _predict_all(ready, results, data, device)
    say(f"{len(set(paths) - failed)} of {len(paths)} run(s) {'reproduced' if predict else 'consistent'}")
    if failed:
        raise typer.Exit(2)


def _named(results: Path, names: list[str]) -> list[Path]:
    from benchmark import runs as store

    return list(dict.fromkeys(path for name in names for path in store.named(results, name)))


def _line(path: Path, findings: "list[Finding]", *, sealed: bool) -> str:
    if not findings:
        return f"{path}: consistent{', sealed' if sealed else ''}"
    return "\n".join([f"{path}: {len(findings)} finding(s)", *(f"  {finding}" for finding in findings)])


def _predict_all(paths: list[Path], results: Path, data: Path | None, device: str) -> set[Path]:
    """Evaluate the weights of these runs; gives those that failed."""
    from benchmark.progress import bars
    from benchmark.replay.predict import predict

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


@speaking
def transfer(
    *,
    runs: Annotated[
        list[str],
        typer.Argument(help="Finished runs, by architecture, folder or the beginning of their key.", metavar="RUN..."),
    ],
    dataset: Annotated[str, typer.Option(help="The other dataset, e.g. folder.")],
    data: Annotated[Path | None, typer.Option(help="Folder that it is read from.", metavar="ROOT")] = None,
    results: Results = Path("results"),
    plugins: Plugins = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Do again what is finished.")] = False,
    allow_leakage: Annotated[
        bool,
        typer.Option("--allow-leakage", help="Accept what the run was trained on in the test; the record says so."),
    ] = False,
) -> None:
    """Test finished runs on other data than they were trained on, at their own settings; nothing is trained."""
    add_plugins(plugins)
    paths = _named(results, runs)
    check_data(dataset, data)
    from benchmark.progress import bars
    from benchmark.replay.transfer import Request
    from benchmark.replay.transfer import transfer as carry_over

    failed = 0
    for path in paths:
        # Folders are named by a word, because paths differ between machines.
        words = ["bench", "transfer", path.name, "--dataset", dataset, *(["--data", "ROOT"] if data else [])]
        words += [*(["--plugins", "DIR"] if plugins else []), *(["--allow-leakage"] if allow_leakage else [])]
        request = Request(
            results=results,
            run=path,
            dataset=dataset,
            data_root=data,
            device=device,
            command=shlex.join(words),
            force=force,
            allow_leakage=allow_leakage,
        )
        try:
            with bars() as report:
                line = _transferred(carry_over(request, report))
        except UserError as error:
            if len(paths) == 1:
                raise
            complain(f"{path}: {error}")
            failed += 1
            continue
        say(line)
    if failed:
        raise typer.Exit(2)


def _transferred(outcome: "Outcome") -> str:
    from benchmark import record

    found = outcome.found
    iou = mean_iou(outcome.path, record.headline(list(found.tested_on.test_slices)))
    again = " (done before; --force does it again)" if outcome.again else ""
    leaks = f", LEAKAGE: {', '.join(found.leakage)}" if found.leakage else ""
    return (
        f"{found.architecture}, seed {found.seed}, trained on {found.trained_on.dataset}: "
        f"test IoU {100 * iou:.2f} % on {found.tested_on.label}{leaks} in {outcome.path}{again}"
    )
