"""Python, packages, plugins with the weights that they can start from, and programs that only tests use."""

import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import benchmark
from benchmark.common.errors import UserError, first_line
from benchmark.plugins import registry
from benchmark.scores.separation import OPTIONAL
from benchmark.tools.doctor.finding import Finding

_SHOWN = ("torchvision", "timm", "segmentation-models-pytorch", "numpy", "pillow")
_OPTIONAL = {
    **dict.fromkeys(OPTIONAL.values(), "only reference rows of sound need it: pip install 'birdmask-bench[rivals]'"),
    "submitit": "only bench run --launcher slurm needs it: pip install 'birdmask-bench[cluster]'",
}
_PROGRAMS = {
    "browser": (
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        "only the tests of the page need one: install Chromium",
    ),
    "LaTeX": (("pdflatex",), "only a test of leaderboard.tex needs it: install TeX Live"),
}


def packages() -> Iterator[Finding]:
    """Versions of what decides numbers, and whatever else is missing or too old."""
    yield Finding(name="birdmask-bench", found=benchmark.__version__)
    yield Finding(name="Python", found=f"{platform.python_version()} on {platform.platform()}")
    needed = {**dict.fromkeys(_SHOWN, "0"), **_needed()}
    for name in sorted(needed, key=lambda name: (_SHOWN.index(name) if name in _SHOWN else len(_SHOWN), name)):
        there, least = _version(name), needed[name]
        remedy = f"pip install '{name}>={least}'"
        if there is None:
            yield Finding(name=name, status="problem", found="not installed", remedy=remedy)
        elif _numbers(there) < _numbers(least):
            found = f"{there} is too old; {least} is the least that gives the same numbers"
            yield Finding(name=name, status="problem", found=found, remedy=remedy)
        elif name in _SHOWN:
            yield Finding(name=name, found=there)
    for name, remedy in _OPTIONAL.items():
        there = _version(name)
        if there is None:
            yield Finding(name=name, status="note", found="not installed", remedy=remedy)
        else:
            yield Finding(name=name, found=there)


def _needed() -> dict[str, str]:
    """Package -> the least version, without extras; nothing where birdmask-bench is not installed itself."""
    try:
        lines = requires("birdmask-bench") or []
    except PackageNotFoundError:
        return {}
    matches = (re.fullmatch(r"([\w.-]+)\s*>=\s*([\d.]+)", line) for line in lines)  # extras stand behind a semicolon
    return {match[1]: match[2] for match in matches if match}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in re.findall(r"\d+", text.partition("+")[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def torch() -> Finding:
    """Its version with its build, or why it cannot be imported: nothing can be run then."""
    try:
        import torch
    except Exception as error:
        remedy = "install torch again: pip install --force-reinstall torch torchvision"
        return Finding(name="torch", status="problem", found=f"cannot be imported: {first_line(error)}", remedy=remedy)
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    return Finding(name="torch", found=f"{torch.__version__}, {build} build")


def plugins() -> Iterator[Finding]:
    """Those that cannot be loaded, and where the weights of the others are."""
    kinds: tuple[registry.Kind, ...] = ("architectures", "datasets")
    loaded: dict[registry.Kind, dict[str, registry.Plugin]] = {kind: {} for kind in kinds}
    for kind in kinds:
        try:
            names = registry.find(kind)
        except UserError as error:
            remedy = "set BENCH_PLUGINS to folders that hold architectures/ or datasets/, or unset it"
            yield Finding(name="plugins", status="problem", found=str(error), remedy=remedy)
            return
        broken = dict.fromkeys(registry.damaged(kind), "mend or uninstall the package that announces it")
        for name in names:
            try:
                loaded[kind][name] = registry.load(kind, name)
            except UserError as error:
                broken[str(error)] = f"mend that file, or take it away; runs of other {kind} work"
        for line, remedy in broken.items():
            yield Finding(name=registry.singular(kind), status="warning", found=line, remedy=remedy)
    yield Finding(name="plugins", found=", ".join(f"{len(loaded[kind])} {kind}" for kind in kinds) + " can be loaded")
    specs = {name: plugin.spec for name, plugin in loaded["architectures"].items()}
    named = {name: spec.pretrained for name, spec in specs.items() if spec.pretrained}
    if named:
        yield from _weights(named)


def _weights(named: Mapping[str, str]) -> Iterator[Finding]:
    """The files that start pretrained architectures; `named` says of each what it starts from."""
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    places = {
        name: folder / file for name, file in ((name, _torchvision(text)) for name, text in named.items()) if file
    }
    yield from _at_hand("weights of torchvision", folder, places, "TORCH_HOME")
    folder = _hugging_face()
    repositories = {name: re.search(r"smp-hub/[\w.-]+|(?<=timm )[\w.-]+", text) for name, text in named.items()}
    places = {}
    for name, match in repositories.items():
        if match:
            repository = match[0] if "/" in match[0] else f"timm/{match[0]}"
            places[name] = folder / f"models--{repository.replace('/', '--')}" / "snapshots"
    yield from _at_hand("weights of Hugging Face", folder, places, "HF_HOME")


def _torchvision(text: str) -> str:
    """The name of the file; nothing where the text names none of torchvision's."""
    from torchvision.models import get_weight

    match = re.search(r"\w+_Weights\.\w+", text)
    try:
        return str(get_weight(match[0]).url).rpartition("/")[2] if match else ""
    except (AttributeError, ValueError):  # a plugin may name what this version does not know
        return ""


def _hugging_face() -> Path:
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _at_hand(name: str, folder: Path, places: Mapping[str, Path], variable: str) -> Iterator[Finding]:
    if not places:
        return
    missing = {plugin: path for plugin, path in places.items() if not path.exists()}
    found = f"of {len(places)} architectures {len(places) - len(missing)} at hand in {folder}"
    if not missing:
        yield Finding(name=name, found=found)
        return
    files = {plugin: path.parent.name if path.name == "snapshots" else path.name for plugin, path in missing.items()}
    by_file = {file: [plugin for plugin in files if files[plugin] == file] for file in files.values()}
    listed = ", ".join(f"{file} ({', '.join(users)})" for file, users in by_file.items())
    remedy = (
        f"nothing, with a network: they are fetched when first used; without one copy them there, or set {variable}"
    )
    yield Finding(name=name, status="note", found=f"{found}; missing: {listed}", remedy=remedy)


def programs() -> Iterator[Finding]:
    """A browser and LaTeX."""
    for name, (commands, remedy) in _PROGRAMS.items():
        path = next(filter(None, map(shutil.which, commands)), None)
        if path is None:
            yield Finding(name=name, status="note", found="not found", remedy=remedy)
        else:
            yield Finding(name=name, found=path)
