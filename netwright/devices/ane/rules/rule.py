"""What a rule of the Neural Engine is, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ...device import Rule, Subject, Violation
from ..mil import Constant, Function, TensorType, Variable
from ..passes.rewrite import constants
from ..profile import AneProfile

# what breaking a rule does: the compiler refuses, evaluation refuses, the process dies, the data are wrong, it is slow
COMPILE, EVALUATE, CRASH, WRONG, SLOW = "compile fails", "evaluation fails", "crash", "wrong data", "slow"


@dataclass(frozen=True)
class Surfaces:
    """Bytes allocated for each input and output, in the order in which they are handed over."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Sight:
    """What there is to look at; None where it is not known (yet).

    Attributes:
        chunks: weight file -> offsets of its chunk headers.
        surfaces: as allocated; without, every surface has the bytes that the program declares.
        handed: the text and the weights as they are given to the compiler, whatever their type.
        compiles: of this process so far, the coming one included.
        versions: weight file -> (hash when it was compiled in, hash now).
        written: input -> (elements from one row to the next as the host wrote them, as declared).
    """

    function: Function
    profile: AneProfile
    chunks: Mapping[str, frozenset[int]] | None = None
    surfaces: Surfaces | None = None
    handed: tuple[Any, Any] | None = None
    compiles: int | None = None
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    written: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @cached_property
    def types(self) -> dict[str, TensorType]:
        """Name -> type of every value."""
        return self.function.types()

    @cached_property
    def known(self) -> dict[str, Constant]:
        """Name -> constant that stands in the text."""
        return constants(self.function)

    @cached_property
    def outputs(self) -> tuple[Variable, ...]:
        """Outputs that have a type, in the order of the text."""
        return tuple(Variable(o, self.types[o]) for o in self.function.outputs if o in self.types)


Found = Iterable[tuple[str, str]]  # where, and what is wrong there


@dataclass(frozen=True)
class AneRule(Rule):
    """A restriction of the engine, written once: the simulator acts by it, lint and check explain by it.

    Attributes:
        symptom: what the device does when it is broken.
        look: finds where it is broken.
        by_host: a correct host keeps it whatever the program says (allocation, binding, call order).
    """

    symptom: str = ""
    look: Callable[[Sight], Found] = lambda sight: ()
    by_host: bool = False

    def findings(self, sight: Sight) -> list[Finding]:
        """Where the rule is broken; none where the profile says that it does not hold."""
        if not sight.profile.holds(self.id):
            return []
        state = sight.profile.state(self.id)
        return [Finding(self, where, message, state) for where, message in self.look(sight)]


@dataclass(frozen=True)
class Finding:
    """A broken rule in a program. `state` is the rule's in the profile: `holds` or `unknown`."""

    rule: AneRule
    where: str
    message: str
    state: str

    @property
    def serious(self) -> bool:
        """Whether the program itself must be changed."""
        return self.state == "holds" and not self.rule.by_host and self.rule.symptom != SLOW

    @property
    def violation(self) -> Violation:
        """The same as devices report it."""
        return Violation(self.rule.id, self.where, f"{self.message} ({self.rule.symptom})", self.rule.advice)

    def __str__(self) -> str:
        doubt = "" if self.state == "holds" else ", unknown there"
        return (f"{self.rule.id}: {self.where}: {self.message} ({self.rule.symptom}{doubt}); "
                f"{'the host: ' if self.rule.by_host else ''}{self.rule.advice}")


def rule(
    id: str, phase: str, symptom: str, statement: str, fix: str, source: str, by_host: bool = False
) -> Callable[[Callable[[Sight], Found]], AneRule]:
    """Makes a rule of the decorated function, which finds where it is broken."""

    def make(look: Callable[[Sight], Found]) -> AneRule:
        def check(subject: Subject) -> Iterable[Violation]:
            sight = subject.options.get("sight")
            found = made.findings(sight) if isinstance(sight, Sight) else []
            return [f.violation for f in found if f.serious]

        made = AneRule(id, phase, statement, check, fix, source, symptom, look, by_host)
        return made

    return make


ORION = "Orion 2026, section 2"
FRONT_END = "later Python front end, measured on M1, M2 and M5"
