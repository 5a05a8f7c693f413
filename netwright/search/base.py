"""What every strategy is: ask / tell over a space it knows only as a protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Protocol

import numpy as np

from netwright.errors import Refused, UserError

Status = Literal["ok", "failed", "infeasible", "pruned"]
Metrics = Mapping[str, float]
STATUSES = ("ok", "failed", "infeasible", "pruned")
_REPEATS = 100


class SpaceLike(Protocol):
    """All that a strategy may use of a space (see `netwright.spaces.Space` for the meanings)."""

    def sample(self, rng: np.random.Generator, by: str = "decision") -> Any: ...
    def mutate(self, candidate: Any, rng: np.random.Generator, number: int = 1, rate: float | None = None) -> Any: ...
    def crossover(self, a: Any, b: Any, rng: np.random.Generator) -> Any: ...
    def walk(self, choose: Callable[[str, Any], Any], backtrack: bool = True) -> tuple[Any, Any]: ...
    def neighbours(self, candidate: Any, rng: np.random.Generator) -> list[Any]: ...
    def violated(self, structure: Any) -> str | None: ...
    def encode(self, candidate: Any) -> np.ndarray: ...
    def distance(self, a: Any, b: Any) -> float: ...


@dataclass(frozen=True)
class Objective:
    """A metric with its direction. With a `bound` it is a constraint (value <= bound for min, >= bound for max) and is
    not optimised; name a metric twice, once with and once without, for both."""

    name: str
    direction: Literal["min", "max"] = "min"
    bound: float | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("min", "max"):
            raise ValueError(f'the direction of "{self.name}" is "min" or "max", not {self.direction!r}')

    def cost(self, value: float) -> float:
        """The value with its sign turned so that less is better."""
        return value if self.direction == "min" else -value

    def violation(self, value: float) -> float:
        """How far the bound is missed, as a share of it (0 when kept)."""
        if self.bound is None:
            return 0.0
        return max(0.0, self.cost(value) - self.cost(self.bound)) / (abs(self.bound) or 1.0)


@dataclass(frozen=True)
class Trial:
    """One proposal: evaluate `candidate` at `fidelity` (None: full), going on from trial `resume_from` if it is set."""

    number: int
    candidate: Any
    fidelity: float | None = None
    resume_from: int | None = None


@dataclass(frozen=True)
class Told:
    """A trial with its result: costs of the objectives (less is better, inf where unknown) and the summed violation."""

    trial: Trial
    costs: tuple[float, ...]
    violation: float
    status: Status

    def order(self) -> tuple[float, tuple[float, ...]]:
        """Sorts by violation, then by the objectives in their order."""
        return self.violation, self.costs

    def standing(self) -> tuple[float, float, tuple[float, ...]]:
        """Sorts by fidelity, the highest first, then as `order`: results of different fidelities do not compare."""
        return -(1.0 if self.trial.fidelity is None else self.trial.fidelity), *self.order()


class Strategy:
    """Base of all strategies: subclasses write `propose(rng, number)` and, where they keep state, `observe(told)`.

    accept   a cheap feasibility check; proposals it rejects are redrawn, at most `tries` times for one trial (then
             Refused). The last proposals fall back to the space's plain samples, so that a narrow population cannot
             starve the search.
    score    rates a list of candidates (higher is better); each trial is then the best of `pool` accepted proposals
    initial  candidates to ask first
    unique   redraw what was asked before: `repeats` times by proposing, then by plain samples; when those repeat too,
             the space is all but exhausted and a repeat is asked

    Every trial draws from its own generator, seeded by (seed, trial number). A strategy's next proposal therefore
    follows from the seed, the number of trials asked and the results told so far, in the order told; `restore` and
    `tell`, called in the order of a log, rebuild it exactly, results out of order and several workers included.
    """

    name = "strategy"
    repeats = 100

    def __init__(self, space: SpaceLike, objectives: Sequence[Objective], *, seed: int = 0,
                 accept: Callable[[Any], bool] | None = None,
                 score: Callable[[list[Any]], Sequence[float]] | None = None, pool: int = 16, tries: int = 1_000,
                 initial: Sequence[Any] = (), unique: bool = True) -> None:
        self.space, self.objectives, self.seed = space, tuple(objectives), seed
        self.goals = tuple(objective for objective in self.objectives if objective.bound is None)
        if not self.goals:
            raise ValueError("a strategy needs at least one objective without a bound")
        if pool < 1 or tries < 1:
            raise ValueError(f"pool ({pool}) and tries ({tries}) are at least 1")
        self.accept, self.score, self.pool, self.tries = accept, score, pool, tries
        self.initial, self.unique = tuple(initial), unique
        self.asked = 0
        self.told: list[Told] = []
        self._seen: set[Any] = set()
        self._bits = np.random.PCG64(0)
        self._rng = np.random.Generator(self._bits)

    # for subclasses

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        """A candidate for trial `number`; may raise Refused, which draws again."""
        raise NotImplementedError

    def observe(self, told: Told) -> None:
        """Take a result in. Results with status "failed" do not come here."""

    # for studies

    def ask(self, n: int = 1) -> list[Trial]:
        """The next n trials. Refused when no proposal is accepted in `tries` tries."""
        trials = []
        for _ in range(n):
            trial = self._next(self.asked)
            self._register(trial)
            trials.append(trial)
        return trials

    def restore(self, trial: Trial) -> None:
        """Take note of a trial that was asked in an earlier life of this strategy (read from a study's log)."""
        self._register(trial)

    def tell(self, trial: Trial, metrics: Metrics, status: Status = "ok") -> None:
        """The result of a trial: all objectives by name when "ok", whatever is known otherwise.

        UserError for an objective that is missing or not a number; ValueError for an unknown status.
        """
        told = self._judge(trial, metrics, status)
        self.told.append(told)
        if status != "failed":
            self.observe(told)

    def best(self) -> Told | None:
        """The best result with status "ok": highest fidelity, least violation, then the objectives in their order."""
        return min((told for told in self.told if told.status == "ok"), key=Told.standing, default=None)

    def _register(self, trial: Trial) -> None:
        self.asked = max(self.asked, trial.number + 1)
        if self.unique:
            self._seen.add(trial.candidate)

    def _judge(self, trial: Trial, metrics: Metrics, status: Status) -> Told:
        if status not in STATUSES:
            raise ValueError(f"status is one of {STATUSES}, not {status!r}")
        if status == "ok":
            for objective in self.objectives:
                value = metrics.get(objective.name)
                if value is None or math.isnan(value):
                    raise UserError(f'trial {trial.number}: metric "{objective.name}" is '
                                    f'{"missing" if value is None else "not a number"}; tell it as "failed" instead')
        costs = tuple(_known(goal.cost, metrics.get(goal.name)) for goal in self.goals)
        bounds = [objective for objective in self.objectives if objective.bound is not None]
        violation = sum(bound.violation(metrics[bound.name]) for bound in bounds
                        if metrics.get(bound.name) is not None and not math.isnan(metrics[bound.name]))
        if status == "infeasible" and violation == 0:
            violation = math.inf
        return Told(trial, costs, violation, status)

    def generator(self, number: int, salt: str = "") -> np.random.Generator:
        """The trial's own generator (one object, set anew: making one costs as much as a whole proposal)."""
        digest = blake2b(f"{self.seed}/{number}/{salt}".encode(), digest_size=32).digest()
        state: Any = {"state": int.from_bytes(digest[:16], "little"), "inc": int.from_bytes(digest[16:], "little") | 1}
        self._bits.state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
        return self._rng

    def _next(self, number: int) -> Trial:
        if number < len(self.initial):
            return Trial(number, self.initial[number])
        rng = self.generator(number)
        if self.score is None:
            return Trial(number, self._accepted(rng, number))
        pool = [self._accepted(rng, number) for _ in range(self.pool)]
        scores = list(self.score(pool))
        return Trial(number, pool[max(range(len(pool)), key=lambda place: scores[place])])

    def _accepted(self, rng: np.random.Generator, number: int) -> Any:
        repeated, repeats = None, 0
        for attempt in range(self.tries):
            try:
                plain = repeats >= self.repeats or attempt >= max(self.tries // 2, 1)
                candidate = self.space.sample(rng) if plain else self.propose(rng, number)
            except Refused:
                continue
            if self.unique and candidate in self._seen:
                repeated, repeats = candidate, repeats + 1
                # Plain samples that repeat too mean a space that is all but exhausted: do not spend every try on it.
                if repeats == self.repeats + _REPEATS:
                    break
            elif self.accept is None or self.accept(candidate):
                return candidate
        if repeated is not None:
            return repeated
        raise Refused(f"none of {self.tries} proposals was accepted; the limits may be out of this space's reach")


def _known(cost: Callable[[float], float], value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else cost(value)


def replay(strategy: Strategy, events: Iterable[tuple[Any, ...]]) -> None:
    """Bring a fresh strategy to where a log ends: events ("ask", trial) and ("tell", trial, metrics, status)."""
    for event in events:
        if event[0] == "ask":
            strategy.restore(event[1])
        else:
            strategy.tell(*event[1:])
