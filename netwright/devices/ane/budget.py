"""The compile budget of a process, and the process that takes over from it (Orion 2026, R5: checkpoint and re-exec).

    budget = Budget(profile, programs=72)           # an update compiles so many
    for step in range(start, steps):
        if budget.short(engine.compiles):
            save(checkpoint)
            restart(["--resume"], progress=step)    # does not return: the same command again, with --resume
        ...

About 119 compiles are what a process survives; each profile says where to stop. Replacing the process costs its start,
about 50 ms in the paper, and whatever reading the checkpoint takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from netwright.errors import UserError

from .profile import AneProfile

PROGRESS = "NETWRIGHT_RESTARTED_AT"  # environment: process number and how far it had come when it was last replaced


@dataclass(frozen=True)
class Budget:
    """When to stop compiling in a process.

    Attributes:
        programs: compiled at a time, so that none of them is begun that cannot be finished.
    """

    profile: AneProfile
    programs: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.programs <= self.profile.soft_budget:
            raise UserError(f"R5: {self.programs} programs at a time; under {self.profile.name} a process should "
                            f"compile 1 to {self.profile.soft_budget}")

    def left(self, compiles: int) -> int:
        """Compiles to the soft budget after so many; 0 when it is spent."""
        return max(0, self.profile.soft_budget - compiles)

    def short(self, compiles: int) -> bool:
        """Whether it is time to save and restart: the next programs would go beyond the soft budget."""
        return self.left(compiles) < self.programs


def command(original: Sequence[str], resume: Sequence[str]) -> list[str]:
    """The command line that goes on: `original` with `resume` (an option and its values, if any) once, at its end.

    Where the option is there already, as after an earlier restart, it gets its values anew.
    """
    made, name = list(original), resume[0] if resume else None
    if name in made:
        at = made.index(str(name))
        del made[at : at + len(resume)]
    return made + list(resume)


def restart(
    resume: Sequence[str], progress: int, execute: Callable[[str, list[str]], object] = os.execv
) -> NoReturn:
    """Replaces this process by the same command with `resume`; save everything before.

    `progress` counts what is done, such as steps. Raises UserError where it is not more than at the last restart: the
    budget would be spent on nothing for ever.
    """
    process, _, before = os.environ.get(PROGRESS, "").partition(":")
    if process == str(os.getpid()) and progress <= int(before):  # the number of a process outlives its replacement
        raise UserError(f"R5: a whole process of compiles ended where it began, at {progress}: take fewer programs, "
                        "or a profile whose weights can be reloaded")
    os.environ[PROGRESS] = f"{os.getpid()}:{progress}"
    sys.stdout.flush()
    sys.stderr.flush()
    execute(sys.executable, command([sys.executable, *sys.orig_argv[1:]], resume))
    raise AssertionError("the process was not replaced")
