"""What holds for every strategy: seeds, logs, constraints, filters; and that the clever ones are clever."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import MIXED, ONES, TRADE, drive, drive_out_of_order, mixed, ones, trade

from netwright import search
from netwright.errors import Refused, UserError
from netwright.search import Objective, replay
from netwright.search.pareto import hypervolume

OWN: dict[str, dict[str, Any]] = {
    "random": {}, "regularised-evolution": {"population": 8, "sample": 3}, "nsga2": {"population": 8},
    "nsga3": {"population": 8}, "early-exit": {"population": 8}, "local-search": {},
    "adaptive-mutation": {"first": 5}, "linas": {"first": 8, "batch": 4, "inner": 60},
}
ALL: dict[str, dict[str, Any]] = {
    **OWN, "optuna:TPESampler": {"sampler": {"n_startup_trials": 5}}, "optuna:RandomSampler": {},
    "optuna:NSGAIISampler": {"sampler": {"population_size": 6}},
}
GOALS = (Objective("loss"), Objective("size"))
BOUNDED = (Objective("loss"), Objective("size", bound=9.0))
every = pytest.mark.parametrize("name", ALL)


def made(name: str, seed: int = 0, objectives: tuple[Objective, ...] = GOALS, **settings: Any) -> search.Strategy:
    return search.get(name)(MIXED, objectives, seed=seed, **{**ALL[name], **settings})


@every
@pytest.mark.parametrize("objectives", [GOALS, BOUNDED, GOALS[:1]])
def test_the_same_seed_gives_the_same_trials(name: str, objectives: tuple[Objective, ...]) -> None:
    runs = [drive(made(name, seed, objectives), mixed, 25) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]
    assert all(MIXED.validate(trial.candidate) == trial.candidate for trial in runs[0])


@every
@pytest.mark.parametrize("objectives", [GOALS, BOUNDED])
def test_a_replayed_log_goes_on_exactly_as_the_undisturbed_search(
        name: str, objectives: tuple[Objective, ...]) -> None:
    undisturbed = made(name, objectives=objectives)
    log = drive_out_of_order(undisturbed, mixed, 30)
    restored = made(name, objectives=objectives)
    replay(restored, log)
    assert restored.told == undisturbed.told
    assert drive(restored, mixed, 12) == drive(undisturbed, mixed, 12)


def test_a_log_of_linas_goes_on_exactly_where_hardly_anything_is_within_the_reference() -> None:
    for told in (11, 13, 14):
        undisturbed, restored = (made("linas", reference=(0.2, 3.0)) for _ in range(2))
        log = drive_out_of_order(undisturbed, mixed, told)
        replay(restored, log)
        assert drive(restored, mixed, 9) == drive(undisturbed, mixed, 9)
    with pytest.raises(ValueError, match="two values, for two objectives"):
        made("linas", reference=(1.0,))


@every
def test_rejected_proposals_are_redrawn(name: str) -> None:
    trials = drive(made(name, accept=lambda candidate: candidate["op"] == "conv"), mixed, 25)
    assert all(trial.candidate["op"] == "conv" for trial in trials)


@every
def test_a_filter_that_accepts_nothing_ends_in_one_line(name: str) -> None:
    with pytest.raises(Refused, match="none of 20 proposals was accepted"):
        made(name, accept=lambda candidate: False, tries=20).ask()


@every
def test_a_score_picks_from_a_pool(name: str) -> None:
    def large(candidates: list[Any]) -> list[float]:
        assert len(candidates) == 8
        return [candidate["n"] for candidate in candidates]

    with_score = drive(made(name, score=large, pool=8), mixed, 20)
    without = drive(made(name), mixed, 20)
    mean = [np.mean([trial.candidate["n"] for trial in run]) for run in (with_score, without)]
    assert mean[0] > mean[1] + 1


@every
def test_first_candidates_come_first_and_nothing_is_asked_twice(name: str) -> None:
    first = [MIXED.sample(np.random.default_rng(seed)) for seed in (1, 2)]
    trials = drive(made(name, initial=first), mixed, 40)
    assert [trial.candidate for trial in trials[:2]] == first
    assert len({trial.candidate for trial in trials}) == 40


@every
def test_failed_infeasible_and_pruned_trials_are_survived(name: str) -> None:
    strategy = made(name, objectives=BOUNDED)
    for number in range(30):
        trial = strategy.ask()[0]
        status: Any = ("ok", "failed", "infeasible", "pruned")[number % 4]
        known = {"ok": mixed(trial.candidate), "failed": {}, "infeasible": {"size": 12.0}, "pruned": {"loss": 1.0}}
        strategy.tell(trial, known[status], status)
    assert strategy.best() is not None and len(strategy.told) == 30


def test_metrics_that_are_missing_or_nan_are_one_clear_line() -> None:
    strategy = made("random")
    trial = strategy.ask()[0]
    with pytest.raises(UserError, match='trial 0: metric "loss" is not a number'):
        strategy.tell(trial, {"loss": float("nan"), "size": 1.0})
    with pytest.raises(UserError, match='trial 0: metric "size" is missing'):
        strategy.tell(trial, {"loss": 1.0})


@pytest.mark.parametrize("name", [name for name in ALL if "random" not in name.lower()])
def test_searches_beat_random_on_a_toy(name: str) -> None:
    goal = (Objective("ones", "max"),)
    settings = {"regularised-evolution": {"population": 20, "sample": 5}, **{
        kind: {"population": 16} for kind in ("nsga2", "nsga3", "early-exit")}}.get(name, {})
    trials = 60 if "TPE" in name else 150
    best = {kind: np.mean([-_best(search.get(kind)(ONES, goal, seed=seed, **given), trials) for seed in range(3)])
            for kind, given in ((name, settings), ("random", {}))}
    assert best[name] > best["random"] + 1


def _best(strategy: search.Strategy, trials: int) -> float:
    drive(strategy, ones, trials)
    found = strategy.best()
    assert found is not None
    return found.costs[0]


@pytest.mark.parametrize(("name", "settings"), [("nsga2", {"population": 30}),
                                                ("regularised-evolution", {"population": 40, "sample": 6})])
def test_multi_objective_searches_find_the_known_front(name: str, settings: dict[str, int]) -> None:
    goals = (Objective("left"), Objective("right"))
    strategy = search.get(name)(TRADE, goals, seed=1, **settings)
    drive(strategy, trade, 900)
    costs = np.array([told.costs for told in strategy.told])
    exact = hypervolume(np.array([[a, 20.0 - a] for a in range(21)]), (30, 30))
    assert hypervolume(costs, (30, 30)) >= (0.99 if name == "nsga2" else 0.9) * exact


@pytest.mark.parametrize("name", ["regularised-evolution", "nsga2", "optuna:TPESampler"])
def test_bounds_are_met(name: str) -> None:
    goals = (Objective("ones", "max"), Objective("equal", bound=4.0))
    strategy = search.get(name)(ONES, goals, seed=0, **({"population": 20} if name == "nsga2" else {}))
    drive(strategy, ones, 60 if "optuna" in name else 250)
    best = strategy.best()
    assert best is not None and best.violation == 0


def test_names_are_found_and_unknown_ones_suggest_the_nearest() -> None:
    assert {"random", "regularised-evolution", "nsga2", "optuna"} <= set(search.names())
    with pytest.raises(UserError, match="nsga2"):
        search.get("nsga")
    with pytest.raises(UserError, match="TPESampler"):
        search.get("optuna:TPESamplr")(ONES, GOALS)
    with pytest.raises(ValueError, match="without a bound"):
        search.get("random")(ONES, (Objective("size", bound=3.0),))


def test_a_sampler_that_cannot_search_the_space_says_so() -> None:
    with pytest.raises(UserError, match="BruteForceSampler cannot search this space"):
        drive(search.get("optuna:BruteForceSampler")(MIXED, GOALS), mixed, 3)


def test_a_strategy_knows_no_space_graph_or_device() -> None:
    for file in Path(search.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netwright"):
                assert node.module == "netwright" or node.module.split(".")[1] in ("search", "errors"), file
