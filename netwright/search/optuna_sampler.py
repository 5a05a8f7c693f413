"""Any Optuna sampler as a strategy, define-by-run: every decision of the walk is one or more suggestions."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netwright.errors import MissingExtra, Refused, UserError, nearest
from netwright.search.base import Metrics, Status, Strategy, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna

# Samplers whose proposals follow from finished trials and their own seed alone, so that a log restores them without
# drawing anew. The others keep notes of their own in the study: their trials are drawn again on restoring.
_STATELESS = ("RandomSampler", "TPESampler", "GPSampler")
# Their seed names one fixed sequence, which all trials must share.
_ONE_SEQUENCE = ("QMCSampler", "BruteForceSampler")
# A line for every decision of every trial in spaces with conditions: nothing that anybody could act upon.
_WARNINGS = ("warn_independent_sampling", "warn_asynchronous_seeding")

Oracle = Callable[..., Any]


class OptunaSampler(Strategy):
    """`variant` is the class name of a sampler in `optuna.samplers`; `sampler` holds its own settings.

    Objectives with a bound go to the sampler's `constraints_func`; a sampler without one is told a trial that breaks a
    bound as failed. Ordinal choices are suggested as integers (their places), subsets as one yes-or-no per member that
    is free to differ, permutations as Lehmer digits. Optuna is imported when the strategy is made (MissingExtra).
    """

    name = "optuna"
    repeats = 4  # a draw costs milliseconds here

    def __init__(self, *arguments: Any, variant: str = "TPESampler", sampler: Mapping[str, Any] | None = None,
                 **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        try:
            import optuna
        except ImportError:
            raise MissingExtra("optuna", "search") from None
        known = [name for name in optuna.samplers.__all__ if name.endswith("Sampler") and name != "BaseSampler"]
        if variant not in known:
            raise UserError(f'Optuna has no sampler "{variant}" {nearest(variant, known)}')
        self._optuna = optuna
        self._class = getattr(optuna.samplers, variant)
        self._variant, self._settings = variant, dict(sampler or {})
        parameters = inspect.signature(self._class).parameters
        self._seeded, self._bounded = "seed" in parameters, "constraints_func" in parameters
        self._unspoken = [name for name in _WARNINGS if name in parameters]
        self._violations: dict[int, float] = {}
        self._numbers: dict[int, int] = {}
        self._drawn: list[tuple[Any, optuna.Trial]] = []
        with _quiet(optuna):
            self._study = optuna.create_study(directions=["minimize"] * len(self.goals), sampler=self._sampler(0))

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        settings = {**dict.fromkeys(self._unspoken, False), **self._settings}
        if self._seeded:
            settings.setdefault("seed", self.seed % 2**31 if self._variant in _ONE_SEQUENCE else seed)
        if self._bounded and len(self.goals) < len(self.objectives):
            settings["constraints_func"] = lambda trial: (self._violations.get(trial.number, 0.0),)
        try:
            return self._class(**settings)
        except (TypeError, ValueError, ImportError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> UserError:
        return UserError(f"{self._variant} cannot search this space with these settings: {error}")

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        with _quiet(self._optuna):
            self._study.sampler = self._sampler(int(rng.integers(2**31)))
            try:
                trial = self._study.ask()
            except ImportError as error:
                raise self._unusable(error) from None
            try:
                structure, candidate = self.space.walk(
                    lambda address, domain: decide(_asking(trial), address, domain, None))
            except (ValueError, ImportError) as error:
                raise self._unusable(error) from None
        self._drawn.append((candidate, trial))
        if self.space.violated(structure) is not None:
            raise Refused("a constraint of the space is broken")
        return candidate

    def _next(self, number: int) -> Trial:
        self._drawn = []
        trial = super()._next(number)
        taken = False
        for candidate, drawn in self._drawn:
            if candidate == trial.candidate and not taken:
                taken, self._numbers[number] = True, drawn.number
            else:
                self._study.tell(drawn, state=self._optuna.trial.TrialState.FAIL)
        return trial

    def _register(self, trial: Trial) -> None:
        super()._register(trial)
        if trial.number not in self._numbers:
            self._insert(trial)

    def restore(self, trial: Trial) -> None:
        if self._variant in _STATELESS or trial.number < len(self.initial):
            super().restore(trial)
            return
        again = self._next(trial.number)
        if again.candidate != trial.candidate:
            raise UserError(f"trial {trial.number} of the log is not what {self._variant} draws with these settings; "
                            "restore with the settings that the log was written with")
        self._register(again)

    def _insert(self, trial: Trial) -> None:
        """Put a trial that Optuna did not draw into its study, as running."""
        params, distributions = parameters(self.space, trial.candidate)
        running = self._optuna.trial.TrialState.RUNNING
        self._study.add_trial(
            self._optuna.trial.create_trial(state=running, params=params, distributions=distributions))
        self._numbers[trial.number] = self._study.get_trials(deepcopy=False)[-1].number

    def tell(self, trial: Trial, metrics: Metrics, status: Status = "ok") -> None:
        super().tell(trial, metrics, status)
        told = self.told[-1]
        number = self._numbers[trial.number]
        known = status != "failed" and bool(np.isfinite(told.costs).all())
        broken = told.violation > 0
        with _quiet(self._optuna):
            if known and (self._bounded or not broken):
                self._violations[number] = min(told.violation, 1e9)
                self._study.tell(number, list(told.costs))
            else:
                self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)


def parameters(space: Any, candidate: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A candidate's decisions as Optuna parameters and their distributions, for trials that Optuna did not draw."""
    import optuna

    params: dict[str, Any] = {}
    distributions: dict[str, Any] = {}

    def note(name: str, kind: str, known: Any, *limits: Any, **options: Any) -> Any:
        params[name] = known
        distributions[name] = getattr(optuna.distributions, kind)(*limits, **options)
        return known

    space.walk(lambda address, domain: decide(note, address, domain, candidate[address]), False)
    return params, distributions


def decide(oracle: Oracle, address: str, domain: Any, value: Any) -> Any:
    """One decision as Optuna parameters. oracle(name, distribution, known value, *limits) gives each one's value;
    `value` is the decision to write down, or None to find it. The parameters and the value determine each other."""
    if domain.size == 1:
        return next(iter(domain))
    if domain.kind == "int":
        log = domain.log and domain.step == 1
        return oracle(address, "IntDistribution", value, domain.low, domain.high, step=domain.step, log=log)
    if domain.kind == "float":
        return oracle(address, "FloatDistribution", value, domain.low, domain.high, log=domain.log)
    if domain.kind == "permutation":
        return _permutation(oracle, address, domain, value)
    if domain.kind == "subset":
        return _subset(oracle, address, domain, value)
    # Optuna wants one value range for one name: what a grammar cut down goes by another name.
    name = f"{address}|{'|'.join(map(str, domain.values))}" if domain.narrowed else address
    place = None if value is None and None not in domain.values else domain.values.index(value)
    if domain.ordinal:
        return domain.values[oracle(name, "IntDistribution", place, 0, domain.size - 1)]
    labels = [entry if isinstance(entry, (str, bool)) else json.dumps(entry) for entry in domain.values]
    label = None if place is None else labels[place]
    return domain.values[labels.index(oracle(name, "CategoricalDistribution", label, labels))]


def _permutation(oracle: Oracle, address: str, domain: Any, value: Any) -> tuple[Any, ...]:
    pool, order = list(domain.values), []
    for place in range(len(pool) - 1):
        known = None if value is None else pool.index(value[place])
        order.append(pool.pop(oracle(f"{address}#{place}", "IntDistribution", known, 0, len(pool) - 1)))
    return (*order, *pool)


def _subset(oracle: Oracle, address: str, domain: Any, value: Any) -> tuple[Any, ...]:
    chosen: list[Any] = []
    for place, member in enumerate(domain.values):
        left = len(domain.values) - place
        if len(chosen) == domain.high:
            break
        if len(chosen) + left <= domain.low:
            chosen.append(member)
            continue
        known = None if value is None else member in value
        if oracle(f"{address}#{place}", "CategoricalDistribution", known, (False, True)):
            chosen.append(member)
    return tuple(chosen)


def _asking(trial: optuna.Trial) -> Oracle:
    suggestions: dict[str, Callable[..., Any]] = {"IntDistribution": trial.suggest_int,
                                                  "FloatDistribution": trial.suggest_float,
                                                  "CategoricalDistribution": trial.suggest_categorical}

    def ask(name: str, kind: str, known: Any, *limits: Any, **options: Any) -> Any:
        return suggestions[kind](name, *limits, **options)

    return ask


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's log line for every study and its warnings that a setting is experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


strategy = OptunaSampler
