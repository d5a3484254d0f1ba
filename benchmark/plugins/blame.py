"""Name the plugin's file and line in which an exception was raised."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import benchmark
from benchmark.common.errors import UserError, first_line
from benchmark.plugins import source as sources

if TYPE_CHECKING:
    from benchmark.plugins.registry import Plugin

FOLDERS = ("architectures", "datasets")


@contextmanager
def blaming(plugin: "Plugin") -> Iterator[None]:
    """Turn an exception that a plugin's file raised into one line that names the file and the line number.

    Raises:
        UserError: the plugin failed.
    """
    try:
        yield
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # SystemExit too: no plugin ends the program without a message
        if isinstance(error, ValueError) and "more than 1 value per channel" in first_line(error):
            raise UserError(
                f"{plugin.label} cannot learn from a batch of one image, because its batch norm has no variance over "
                "it; the last batch has one image: change the batch size with --batch-size"
            ) from error
        if isinstance(error, RuntimeError) and "does not require grad" in first_line(error):
            raise UserError(
                f"{plugin.label} cannot be trained: its logits do not depend on its parameters; remove detach() or "
                "no_grad() from it"
            ) from error
        line = place(error, plugin.source)
        if not line or (isinstance(error, SystemExit) and not _raised_in_plugin(error, plugin.source)):
            raise  # the latter: a cluster ends the process by a signal, wherever the program is
        raise UserError(f"{plugin.label} failed: {type(error).__name__}: {first_line(error)}{line}") from error


def place(error: BaseException, source: Path | None = None) -> str:
    """` (file, line N)`: the innermost line in a plugin's file, or the line of a syntax error; else nothing.

    Files of plugins are those in the folders that are searched for plugins, and those of the plugin at `source`.
    """
    if isinstance(error, SyntaxError):
        return f" ({error.filename or source}, line {error.lineno or 1})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_plugin(Path(frame.filename), source)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _is_plugin(file: Path, source: Path | None) -> bool:
    if source is not None and (file == source or (sources.is_package(source.parent) and source.parent in file.parents)):
        return True
    return any(Path(root) / kind in file.parents for root in benchmark.__path__ for kind in FOLDERS)


def _raised_in_plugin(error: BaseException, source: Path) -> bool:
    """Whether a line of the plugin raised the exception, and not a function that it called."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _is_plugin(Path(frames[-1].filename), source)
