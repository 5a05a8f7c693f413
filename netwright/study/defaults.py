"""What `fit` takes where it is told nothing."""

from __future__ import annotations

from netwright.tasks import Task


def default_space(task: Task) -> str:
    """A space for a kind of task: what usually wins there at microcontroller sizes."""
    if task.kind == "vector":
        return "mlp"
    if task.kind == "image" and min(task.x.shape[2:]) >= 64:
        return "mobilenet"
    return "conv-small"


def default_strategy(objectives: int) -> str:
    """Evolution for one objective, NSGA-II for several."""
    return "regularised-evolution" if objectives == 1 else "nsga2"
