"""Write a new plugin file from a template; the file passes all checks as it is."""

import datetime
import keyword
from importlib import resources
from pathlib import Path
from string import Template

import benchmark
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.plugins import registry
from benchmark.plugins.registry import Kind


def write(kind: Kind, name: str, folder: Path) -> Path:
    """Write `folder/architectures/<name>.py` or `folder/datasets/<name>.py`.

    Raises:
        UserError: a plugin cannot have this name, another plugin has it, or the file exists.
    """
    if not registry.is_name(name) or keyword.iskeyword(name) or name == "all":
        raise UserError(
            f"'{name}' cannot be a plugin's name: use lower-case letters, digits and _, a letter first; not 'all'"
        )
    path = folder / kind / f"{name}.py"
    if path.exists():
        raise UserError(f"{path} exists; choose another name, or remove the file")
    if name in registry.find(kind):
        raise UserError(f"there is already a plugin '{name}' (bench list shows all); choose another name")
    words = name.split("_")
    template = Template((resources.files("benchmark.plugins.scaffold") / f"{registry.singular(kind)}.txt").read_text())
    text = template.substitute(
        name=name,
        title=" ".join(word.capitalize() for word in words),
        class_name="".join(word.capitalize() for word in words).removesuffix("Net") + "Net",
        year=datetime.datetime.now(datetime.UTC).year,
    )
    files.write_atomically(path, lambda target: target.write_text(text, encoding="utf-8"))
    return path


def is_found(folder: Path) -> bool:
    """Whether plugins in this folder are found without `--plugins`."""
    return str(folder.resolve()) in (str(Path(root).resolve()) for root in benchmark.__path__)
