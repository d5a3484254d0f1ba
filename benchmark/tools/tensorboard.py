"""Write the curves and scores of a finished training as TensorBoard events (`bench run --log tensorboard`)."""

from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.common import files
from benchmark.common.errors import UserError, first_line
from benchmark.records import store, tables

FOLDER = "tensorboard"


def require() -> None:
    """Require the package, before hours of work.

    Raises:
        UserError: it is not installed.
    """
    try:
        import tensorboard  # noqa: F401 - torch.utils.tensorboard needs it
    except ImportError as error:
        raise UserError("--log tensorboard needs tensorboard: pip install 'birdmask-bench[tensorboard]'") from error


def write(results: Path, path: Path, iou: float) -> Path:
    """Write the events of the run in folder `path`, whose test IoU is `iou`; returns their folder.

    Raises:
        UserError: a file of the run is damaged, or the disk refuses.
    """
    from torch.utils.tensorboard import SummaryWriter

    try:
        record, history = store.read(path), tables.read_history(path / store.HISTORY)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}); {store.INSTEAD}") from error
    name = f"{record.architecture.label}-seed{record.seed}-{path.name}".replace("/", "-")
    folder = results / FOLDER / record.protocol.name / name
    end = datetime.fromisoformat(record.finished).timestamp()
    typed: Any = SummaryWriter  # torch leaves its functions without types
    with files.atomic_folder(folder) as target, typed(str(target)) as writer:
        for index, epoch in enumerate(history.epochs):
            when = end - sum(history.seconds[index + 1 :])
            writer.add_scalar("loss/training", history.losses[index], epoch, walltime=when)
            writer.add_scalar("IoU/validation", history.ious[index], epoch, walltime=when)
        writer.add_scalar(f"IoU/test {record.headline_slice}", iou, record.training.best_epoch, walltime=end)
        writer.add_text("command", record.command, walltime=end)
    return folder
