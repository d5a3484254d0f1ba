"""Network + training data + protocol -> trained network. The same for every architecture.

trial        one training and one test of a network
tuning       one training per learning rate; the validation split chooses
epochs       the training, epoch by epoch; selection of the best epoch; resuming
steps        one pass over the data: order, augmentation, loss, optimiser
execution    eager or compiled steps, micro-batches
batches      a decoded split on the device, batch by batch
evaluator    network + split -> counts per image
hardware     device, precision, threads, memory
state        everything that a resumed training needs
checkpoints  snapshots of unfinished work
"""

from benchmark.training.epochs import CHECKPOINT_SECONDS, Candidate, Conditions, Epoch, Trained, train
from benchmark.training.execution import EAGER, Execution, ExecutionError, choose, effective_micro_batch
from benchmark.training.steps import Steps
from benchmark.training.tuning import tune

__all__ = [
    "CHECKPOINT_SECONDS",
    "EAGER",
    "Candidate",
    "Conditions",
    "Epoch",
    "Execution",
    "ExecutionError",
    "Steps",
    "Trained",
    "choose",
    "effective_micro_batch",
    "train",
    "tune",
]
