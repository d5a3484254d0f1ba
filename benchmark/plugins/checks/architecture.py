"""Run all checks of an architecture plugin, in their order."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmark.plugins.checks import device, global_settings, metadata, shapes, training
from benchmark.plugins.checks.networks import Subject
from benchmark.plugins.checks.outcome import Result, result

Check = Callable[[Subject], str | None]


def check_architecture(label: str, names: Sequence[str] | None = None) -> list[Result]:
    """Run every check, or those in `names`, on one architecture, e.g. "unet:width=8". A failure stops no other check.

    Raises:
        UserError: the plugin cannot be found or imported.
    """
    subject = Subject(label)
    chosen = architecture_checks()
    results = [result(check, subject) for name, check in chosen.items() if names is None or name in names]
    global_settings.restore(subject.settings_before)
    return _each_once(results)


def _each_once(results: Sequence[Result]) -> list[Result]:
    """A fault that stops several checks is one failure, of the first; the others do not apply."""
    first: dict[str, str] = {}
    found = []
    for one in results:
        known = first.setdefault(one.reason, one.check) if one.outcome == "failed" else one.check
        found.append(one if known == one.check else replace(one, outcome="skipped", reason=f"the fault of {known}"))
    return found


def architecture_checks() -> dict[str, Check]:
    """All functions called `check_...` of the modules below, in their order: name -> function."""
    return {
        name.removeprefix("check_"): function
        for module in (metadata, shapes, training, device, global_settings)
        for name, function in vars(module).items()
        if name.startswith("check_")
    }
