"""Network + training data + protocol -> trained network. The same for every architecture.

epochs     the training, epoch by epoch, and which one is kept
tuning     several of them, one per learning rate, and which one is kept
steps      one pass over the data: order, augmentation, loss, optimiser
execution  how a step is executed: eagerly, as a CUDA graph, compiled, in micro-batches
state      everything that a training must remember to go on with the same bits
"""

from benchmark.training.epochs import CHECKPOINT_SECONDS, Candidate, Epoch, Trained, train
from benchmark.training.execution import EAGER, Execution, ExecutionError, choose, effective_micro_batch
from benchmark.training.steps import Steps, fitting_micro_batch
from benchmark.training.tuning import tune

__all__ = [
    "CHECKPOINT_SECONDS",
    "EAGER",
    "Candidate",
    "Epoch",
    "Execution",
    "ExecutionError",
    "Steps",
    "Trained",
    "choose",
    "effective_micro_batch",
    "fitting_micro_batch",
    "train",
    "tune",
]
