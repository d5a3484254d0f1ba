"""The contract of an architecture plugin: all of its checks, in their order."""

from collections.abc import Callable, Sequence

from benchmark.plugins.checks import device, metadata, shapes, training
from benchmark.plugins.checks.networks import Subject
from benchmark.plugins.checks.outcome import Result, result

Check = Callable[[Subject], str | None]


def check_architecture(label: str, names: Sequence[str] | None = None) -> list[Result]:
    """Every check (or those of these names) on one architecture, e.g. "unet:width=8". A failure stops no other.

    Raises:
        UserError: the plugin cannot be found or imported.
    """
    subject = Subject(label)
    chosen = architecture_checks()
    return [result(check, subject) for name, check in chosen.items() if names is None or name in names]


def architecture_checks() -> dict[str, Check]:
    """All functions called `check_...` of four modules, as they stand there: name -> function."""
    return {
        name.removeprefix("check_"): function
        for module in (metadata, shapes, training, device)
        for name, function in vars(module).items()
        if name.startswith("check_")
    }
