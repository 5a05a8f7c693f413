"""What `fit` takes where it is told nothing."""

from __future__ import annotations

from netwright import spaces
from netwright.errors import UserError
from netwright.spaces import Space
from netwright.tasks import Task

TEXTS = "text-templates"


def default_space(task: Task) -> str:
    """A space for a kind of task: what usually wins there at microcontroller sizes."""
    if task.kind == "text":
        return TEXTS
    if task.kind == "vector":
        return "mlp"
    if task.kind == "image" and min(task.x.shape[2:]) >= 64:
        return "mobilenet"
    return "conv-small"


def space_for(task: Task, name: str) -> Space:
    """The space of that name ("auto": the usual one), told the shape of an input, and of texts how many numbers words
    have, where it takes them.

    Raises UserError for an unknown name, and where texts are to be learnt by a space of other inputs.
    """
    found = default_space(task) if name == "auto" else spaces.get(name).name
    if task.words is None:
        return spaces.get_for(found, shape=task.x.shape[1:])
    if "vocabulary" not in spaces.takes(found):
        known = " or ".join(other for other in spaces.names() if "vocabulary" in spaces.takes(other))
        raise UserError(f"{task.name} holds texts, which networks of {found!r} do not take: choose --space {known}")
    return spaces.get_for(found, vocabulary=task.words.vocabulary)


def default_strategy(objectives: int) -> str:
    """Evolution for one objective, NSGA-II for several."""
    return "regularised-evolution" if objectives == 1 else "nsga2"
