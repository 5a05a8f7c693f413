"""Strategies over pools, policies, rungs and whole arrays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from toys import ONES, drive, drive_out_of_order, ones

from netwright import search
from netwright.errors import Refused, UserError
from netwright.search import Objective, Pool, replay
from netwright.search.vectorised import evolve
from netwright.spaces import Choice, Int, OneOf, Space

GOAL = (Objective("ones", "max"),)


def pool(number: int = 200, seed: int = 0) -> Pool:
    """Candidates of the toy space; one score that is the truth with noise, one that is nothing but noise."""
    rng = np.random.default_rng(seed)
    drawn = list(dict.fromkeys(ONES.sample(rng) for _ in range(number)))
    truth = np.array([ones(candidate)["ones"] for candidate in drawn])
    scores = {"good": truth + 0.5 * rng.standard_normal(len(truth)), "bad": rng.standard_normal(len(truth)) * 1e9}
    return Pool(drawn, scores, np.array([ONES.encode(candidate) for candidate in drawn]))


def best(name: str, queries: int, **settings: object) -> float:
    strategy = search.get(name)(None, GOAL, **settings)
    drive(strategy, ones, queries)
    found = strategy.best()
    assert found is not None
    return -found.costs[0]


def test_normal_ranks_ignore_scale_and_rank_what_is_missing_last() -> None:
    values = np.array([1e9, 1.0, np.nan, 2.0])
    made = Pool(["a", "b", "c", "d"], {"x": values, "log": np.log(values)})
    assert np.allclose(made.normal[:, 0], made.normal[:, 1])
    assert np.argsort(made.normal[:, 0]).tolist() == [2, 1, 3, 0]
    assert made.mean_rank().std() == pytest.approx(1)
    with pytest.raises(ValueError, match='has 1 values of "x"'):
        Pool(["a", "b"], {"x": np.zeros(1)})


@pytest.mark.parametrize("name", ["robot", "scored"])
def test_a_pool_is_searched_once_each_and_in_few_queries(name: str) -> None:
    made = pool()
    truth = sorted((ones(candidate)["ones"] for candidate in made.candidates), reverse=True)
    assert np.mean([best(name, 15, candidates=made, seed=seed) for seed in range(3)]) >= truth[3]
    strategy = search.get(name)(None, GOAL, candidates=Pool(made.candidates[:5], {"s": np.arange(5.0)}))
    trials = drive(strategy, ones, 5)
    assert len({trial.candidate for trial in trials}) == 5
    with pytest.raises(Refused, match=r"was asked or does not fit|was accepted"):
        strategy.ask()


@pytest.mark.parametrize("name", ["robot", "scored"])
def test_a_pool_strategy_is_rebuilt_from_its_log(name: str) -> None:
    made = pool()
    first, second = (search.get(name)(ONES, GOAL, candidates=made) for _ in range(2))
    replay(second, drive_out_of_order(first, ones, 14))
    assert second.told == first.told
    assert drive(second, ones, 8) == drive(first, ones, 8)


def test_robot_with_one_score_and_positive_weights_is_the_greedy_walk() -> None:
    made = pool()
    alone = Pool(made.candidates, {"good": made.scores["good"]})
    strategy = search.get("robot")(None, GOAL, candidates=alone, budget=10)
    trials = drive(strategy, ones, 10)
    order = np.argsort(-made.scores["good"])
    ends = {made.candidates[order[0]], made.candidates[order[-1]]}
    assert trials[0].candidate in ends
    walked = [trial.candidate for trial in trials if trial.candidate not in ends]
    side = order if strategy.weights[0] > 0 else order[::-1]  # type: ignore[attr-defined]
    assert walked == [made.candidates[place] for place in side[1:]][:len(walked)]
    assert abs(strategy.shares()["good"]) == 1  # type: ignore[attr-defined]


def test_robot_without_scores_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="robot weighs scores"):
        search.get("robot")(ONES, GOAL)


@pytest.mark.parametrize("name", ["reinforce", "ppo"])
def test_policies_learn_what_is_rewarded(name: str) -> None:
    strategy = search.get(name)(ONES, GOAL, learning_rate=0.1)
    trials = drive(strategy, ones, 600)
    late = np.mean([ones(trial.candidate)["ones"] for trial in trials[-100:]])
    assert late > 21  # of 24; random draws have 12
    assert strategy.shares("bits/0", [0, 1]).sum() == pytest.approx(1)  # type: ignore[attr-defined]


def test_a_recurrent_policy_learns_decisions_that_hang_together() -> None:
    """Each bit is rewarded for being as the one before."""
    strategy = search.get("recurrent-ppo")(ONES, GOAL, learning_rate=0.01)

    def alike(candidate: Any) -> dict[str, float]:
        bits = list(candidate.values())
        return {"ones": float(sum(a == b for a, b in itertools.pairwise(bits)))}

    trials = drive(strategy, alike, 600)
    late = [trial.candidate for trial in trials[-60:]]
    assert np.mean([alike(candidate)["ones"] for candidate in late]) > 19  # of 23; random draws have 11.5


def test_a_recurrent_policys_steps_and_batches_agree() -> None:
    from netwright.search.recurrent_ppo import _padded

    strategy: Any = search.get("recurrent-ppo")(ONES, GOAL)
    net = strategy._net
    made = [([net.row(f"bits/{at}={value}") for value in (0, 1)], at % 2) for at in range(5)]
    step, expected = net.stepper(), 0.0
    for rows, place in made:
        expected += float(np.log(step.shares(rows)[place]))
        step.took(rows[place])
    logs, spread = net.logs(_padded([made, made[:3]]))
    assert float(logs[0]) == pytest.approx(expected, abs=1e-5)
    assert 0 < float(spread[1]) < float(spread[0]) <= 5 * np.log(2) + 1e-5


def test_a_recurrent_policy_is_rebuilt_by_its_log_whatever_was_drawn_and_rejected() -> None:
    space = Space("narrowing", {f"{at}": OneOf({"a": {"x": Choice((1, 2, 3))}, "b": {"x": Choice((3, 4))}})
                                for at in range(4)})

    def judged(candidate: Any) -> dict[str, float]:
        return {"ones": float(sum(value for value in candidate.values() if isinstance(value, int)))}

    def strategy(seen: list[int]) -> search.Strategy:
        def accept(candidate: Any) -> bool:
            seen.append(1)
            return len(seen) % 3 == 0

        return search.get("recurrent-ppo")(space, GOAL, batch=5, accept=accept)

    undisturbed, restored = strategy([]), strategy([])
    log: list[tuple[Any, ...]] = []
    for _ in range(23):
        trial = undisturbed.ask()[0]
        metrics = judged(trial.candidate)
        undisturbed.tell(trial, metrics)
        log += [("ask", trial), ("tell", trial, metrics, "ok")]
    replay(restored, log)
    weights = [strategy._net.tables["rate"][strategy._net.row("0='a'")] for strategy in (undisturbed, restored)]  # type: ignore[attr-defined]
    assert np.allclose(*(weight.numpy() for weight in weights), atol=1e-6)


def test_a_recurrent_policy_of_nothing_but_numbers_draws_them() -> None:
    strategy = search.get("recurrent-ppo")(Space("numbers", {"n": Int(1, 9)}), GOAL, batch=3)
    trials = drive(strategy, lambda candidate: {"ones": float(candidate["n"])}, 8)
    assert len(trials) == 8


def test_the_gradient_of_a_policy_is_that_of_its_logarithm() -> None:
    strategy = search.get("reinforce")(ONES, GOAL, entropy=0.3)
    strategy.values["a"] = ["x", "y", "z"]  # type: ignore[attr-defined]
    logits = np.array([0.3, -0.2, 0.9])

    def value(at: np.ndarray) -> float:
        shares = np.exp(at) / np.exp(at).sum()
        return float(2 * np.log(shares[1]) - 0.3 * (shares * np.log(shares)).sum())

    strategy.logits["a"] = logits  # type: ignore[attr-defined]
    numeric = [(value(logits + step) - value(logits - step)) / 2e-5 for step in 1e-5 * np.eye(3)]
    assert strategy.gradient("a", 1, 2.0) == pytest.approx(numeric, abs=1e-6)  # type: ignore[attr-defined]


def test_successive_halving_keeps_one_in_eta_and_goes_on_from_its_trial() -> None:
    strategy = search.get("successive-halving")(ONES, GOAL, eta=3, least=1 / 9)
    assert strategy.plan(0) == [(9, 1 / 9), (3, 1 / 3), (1, 1.0)]  # type: ignore[attr-defined]
    trials = drive(strategy, ones, 13)
    assert [trial.fidelity for trial in trials] == [1 / 9] * 9 + [1 / 3] * 3 + [None]
    values = [ones(trial.candidate)["ones"] for trial in trials]
    assert sorted(values[9:12]) == sorted(sorted(values[:9])[-3:])
    assert values[12] == max(values[:9])
    for trial in trials[9:]:
        assert trial.resume_from is not None
        assert trials[trial.resume_from].candidate == trial.candidate


def test_weak_nas_beats_random() -> None:
    assert best_of("weak-nas", first=20, batch=5, top=20, pool_size=200) > best_of("random") + 1


def best_of(name: str, **settings: object) -> float:
    strategy = search.get(name)(ONES, GOAL, **settings)
    drive(strategy, ones, 80)
    found = strategy.best()
    assert found is not None
    return -found.costs[0]


def test_a_threshold_that_nothing_reaches_names_the_least() -> None:
    strategy = search.get("early-exit")(ONES, GOAL, size=lambda candidate: ones(candidate)["ones"], threshold=-1.0)
    with pytest.raises(UserError, match="the least of 1,000 draws is"):
        strategy.ask()
    kept = search.get("early-exit")(ONES, GOAL, size=lambda candidate: ones(candidate)["ones"], threshold=10.0)
    assert all(ones(trial.candidate)["ones"] <= 10 for trial in kept.ask(20))


def test_q_values_by_hand() -> None:
    strategy = search.get("adaptive-mutation")(ONES, GOAL, first=1, alpha=0.5, gamma=0.5, tau=1.0)
    one = strategy.ask()[0]
    strategy.tell(one, {"ones": 10.0, "equal": 0.0})
    two = strategy.ask()[0]
    changed = next(a for a in one.candidate if one.candidate[a] != two.candidate[a])
    same = next(a for a in one.candidate if one.candidate[a] == two.candidate[a])
    strategy.tell(two, {"ones": 12.0, "equal": 0.0})
    q = strategy.values  # type: ignore[attr-defined]
    # the only reward so far, 2, has no deviation: it counts as it is, and 0.5 * (2 + 0.5 * 0 - 0) = 1
    assert q[changed] == [0.0, 1.0] and q[same] == [1.0, 0.0]
    rates = strategy.rates  # type: ignore[attr-defined]
    assert rates[changed] > 0.2 > rates[same] >= 0.05


def test_evolution_in_arrays_keeps_the_limit_and_finds_the_knapsack() -> None:
    rng = np.random.default_rng(0)
    worth, weight = rng.random(12), rng.random(12)
    every = np.array(np.meshgrid(*[[0, 1]] * 12)).reshape(12, -1).T
    exact = (every @ worth)[every @ weight <= 3.0].max()
    found = evolve(np.full(12, 2), lambda g: g @ worth, lambda g: g @ weight, 3.0, generations=90)
    assert found.cost <= 3.0
    assert found.score == pytest.approx(exact)
    with pytest.raises(Refused, match="the smallest costs 5"):
        evolve(np.full(5, 2), lambda g: g @ np.ones(5), lambda g: 5 + g.sum(axis=1), 4.0, smallest=np.zeros(5, int))
