"""einspace: sampling, criticality and evolution from a seed: python -m benchmarks.einspace {sample,critical,evolve}.

sample    shape-correct samples a second of processor time, their sizes, and how often a computation was drawn where all
          four modules could be
critical  the grammar without its shapes: how many derivations outgrow a cap, and how large they are, as the cap rises;
          subcritical at a probability of computation of 0.32, supercritical at 0.30
evolve    regularised evolution from a seed network against the seed network itself, with the same number of trainings:
          the evolved network that validates best, and the seed at its best learning rate, both retrained with fresh
          seeds, and judged by test data that no search has seen. Both sides choose a learning rate, and on both the
          last --confirm trainings train the best four again, which then go by their means. MNIST cut to 24 x 24 and
          averaged to 8 x 8, other training and validation samples in every run; runs take the seed networks in turns.
          Budgets are counts of trainings.

Recorded data are found in --data, NETWRIGHT_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.recorded import root
from netwright import search, spaces
from netwright.graph import Graph, Type
from netwright.spaces.domain import Domain, stream
from netwright.spaces.einspace import seeds
from netwright.spaces.einspace.rules import rules
from netwright.spaces.grammar import Grammar, Machine
from netwright.spaces.regrown import RegrownSpace

SHAPE = (1, 8, 8)
SEEDS = {
    "resnet": lambda: seeds.resnet((16, 32), 1),
    "vit": lambda: seeds.vit(64, 2, 4, 64, ("3-2-1",)),
    "mixer": lambda: seeds.mixer(16, 64, 2, (32, 64), ("3-2-1",)),
}
SHORT = 4  # are trained again before one is chosen
RATES = (0.003, 0.006, 0.012, 0.024)  # learning rates that both sides may choose


def sampling(count: int, shape: tuple[int, int, int], seed: int) -> dict[str, Any]:
    """Draw `count` candidates by the prior; their drawing is timed without the counting of what was drawn."""
    space, rng = spaces.get("einspace", shape=shape), np.random.default_rng(seed)
    started = time.process_time()
    sizes = [len(space.sample(rng)) for _ in range(count)]
    seconds = time.process_time() - started
    drawn: Counter[str] = Counter()
    draw = stream(rng)

    def choose(address: str, domain: Domain) -> Any:
        value = domain.draw_prior(draw)
        if "computation" in domain and domain.size == 4:
            drawn[value] += 1
        return value

    for _ in range(count // 10):
        space.walk(choose)
    return {
        "samples": count, "seconds": seconds, "per_second": count / seconds, "decisions_mean": float(np.mean(sizes)),
        "decisions_median_90_99_max": np.percentile(sizes, (50, 90, 99, 100)).tolist(),
        "computation_share": drawn["computation"] / sum(drawn.values()), "modules_drawn": sum(drawn.values()),
    }  # fmt: skip


def progeny(machine: Machine, draw: Any, cap: int) -> int:
    """Modules in one derivation without shapes, or `cap` where there are more."""
    waiting, modules = [machine.grammar.start], 0
    while waiting and modules < cap:
        symbol = waiting.pop()
        modules += symbol in ("M", "N")
        names = tuple(machine.grammar.rules[symbol])
        waiting += machine.symbols[symbol, machine.domain(symbol, names).draw_prior(draw)]
    return modules


def criticality(count: int, seed: int) -> list[dict[str, Any]]:
    """Share of derivations that outgrow rising caps, and the mean size under the cap."""
    rows = []
    for probability in (0.32, 0.30):
        machine = Machine(Grammar(rules(), "N", fixed={"M": {"computation": probability}}))
        draw = stream(np.random.default_rng(seed))
        sizes = np.array([progeny(machine, draw, 100_000) for _ in range(count)])
        rows += [{"computation": probability, "cap": cap, "outgrown": float((sizes >= cap).mean()),
                  "mean": float(np.minimum(sizes, cap).mean())} for cap in (100, 1_000, 10_000, 100_000)]
    return rows


class Arena:
    """One run's data, and the trainings on them."""

    def __init__(self, data: str | None, run: int, given: argparse.Namespace) -> None:
        from netwright.train import Recipe

        with np.load(root(data) / "mnist" / "mnist.npz") as file:
            images, labels, test, self.test_y = (file[k] for k in ("x_train", "y_train", "x_test", "y_test"))
        self.test_x, self.test_y = _reduced(test), self.test_y.astype(np.int64)
        rows = np.random.default_rng([run, 1]).permutation(len(images))[: given.samples + given.validation]
        x, y = _reduced(images[rows]), labels[rows].astype(np.int64)
        self.train_x, self.valid_x = x[: given.samples], x[given.samples :]
        self.train_y, self.valid_y = y[: given.samples], y[given.samples :]
        self.recipe = Recipe(epochs=given.epochs, batch=50, ema=0.0, smoothing=0.0)
        self.trainings = 0

    def trained(self, graph: Graph, rate: float, seed: int) -> Graph | None:
        """One training; None where it diverges."""
        from netwright.train import train

        self.trainings += 1
        try:
            return train(graph, self.train_x, self.train_y, replace(self.recipe, rate=rate), seed=seed).graph
        except FloatingPointError:
            return None

    def validated(self, graph: Graph, rate: float, seed: int) -> float:
        """Accuracy on the validation samples after one training."""
        from netwright.train import evaluate

        made = self.trained(graph, rate, seed)
        return 0.0 if made is None else evaluate(made, self.valid_x, self.valid_y)["accuracy"]

    def tested(self, graph: Graph, rate: float, run: int, repeats: int) -> float:
        """Mean test accuracy of trainings with fresh seeds."""
        from netwright.train import evaluate

        made = [self.trained(graph, rate, 1_000_000 + 1_000 * run + repeat) for repeat in range(repeats)]
        return float(np.mean([0.0 if g is None else evaluate(g, self.test_x, self.test_y)["accuracy"] for g in made]))


def _reduced(images: np.ndarray) -> np.ndarray:
    """uint8 [n, 28, 28] -> float32 [n, 1, 8, 8]."""
    middle = images[:, 2:26, 2:26].astype(np.float32) / 255
    return (middle.reshape(-1, 8, 3, 8, 3).mean((2, 4))[:, None] - 0.2) / 0.3


def confirmed(judged: list[tuple[float, Any]], again: Callable[[Any, int], float], run: int,
              trainings: int) -> tuple[float, Any]:
    """The best by the mean after the first four have shared so many more trainings."""
    ranked = sorted(judged, key=lambda one: -one[0])[: SHORT if trainings else 1]
    each = trainings // len(ranked)
    means = []
    for place, (value, what) in enumerate(ranked):
        more = [again(what, 500_000 + 1_000 * run + each * place + repeat) for repeat in range(each)]
        means.append((float(np.mean([value, *more])), what))
    return max(means, key=lambda one: one[0])


def evolution(name: str, run: int, given: argparse.Namespace) -> dict[str, Any]:
    """One run: the evolved network and the seed network, each after the same number of trainings."""
    plain = spaces.get("einspace", shape=SHAPE, max_params=2_000_000, max_elements=2**16)
    space = RegrownSpace("einspace and a rate", {**plain.tree, "rate": spaces.Choice(RATES)}, plain.builder)
    arena, rng = Arena(given.data, run, given), np.random.default_rng([run, 2])

    network = seeds.decisions(SEEDS[name]())
    starts = [space.validate({**network, "rate": rate}) for rate in RATES]
    first = starts[0]

    def built(candidate: Any) -> Graph:
        return space.build(candidate, Type((1, *SHAPE)), Type((1, 10))).graph

    def cost(graph: Graph) -> np.ndarray:
        """MACs, and elements of all results: what a training has to keep."""
        return np.array([graph.macs, sum(value.type.size for node in graph.nodes for value in node.outputs)])

    most = given.growth * cost(built(first))

    def accept(candidate: Any) -> bool:
        return bool((cost(built(candidate)) <= most).all())

    initial = list(starts)  # the seed at every rate, and mutants at the two higher rates
    while len(initial) < given.population:
        mutant = space.mutate(starts[-1 - len(initial) % 2], rng)
        if accept(mutant) and mutant not in initial:
            initial.append(mutant)
    goal = search.Objective("accuracy", "max")
    strategy = search.get("regularised-evolution")(
        space, (goal,), seed=run, initial=initial, accept=accept, population=given.population, sample=given.tournament,
    )  # fmt: skip
    explored = given.trainings - given.confirm
    while arena.trainings < explored:
        (trial,) = strategy.ask()
        accuracy = arena.validated(built(trial.candidate), trial.candidate["rate"], 1_000 * run + trial.number)
        strategy.tell(trial, {"accuracy": accuracy})
    evolved = [(-told.costs[0], told.trial.candidate) for told in strategy.told]
    found, best = confirmed(evolved, lambda c, seed: arena.validated(built(c), c["rate"], seed), run, given.confirm)
    winner, own = built(best), built(first)
    spent = arena.trainings
    rates = [RATES[place % len(RATES)] for place in range(explored)]
    judged = [(arena.validated(own, rate, 1_000 * run + place), rate) for place, rate in enumerate(rates)]
    valid, rate = confirmed(judged, lambda r, seed: arena.validated(own, r, seed), run, given.confirm)
    assert spent == arena.trainings - spent == given.trainings
    return {
        "seed": name, "run": run, "trainings": spent, "winner_trial": [c for _, c in evolved].index(best),
        "winner_validation": found, "seed_validation": valid, "seed_rate": rate, "winner_rate": best["rate"],
        "winner_macs": winner.macs, "seed_macs": own.macs, "winner_parameters": winner.parameter_count,
        "seed_parameters": own.parameter_count,
        "winner_test": arena.tested(winner, best["rate"], run, given.repeats),
        "seed_test": arena.tested(own, rate, run, given.repeats),
        "winner": dict(best),
    }  # fmt: skip


def compared(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The paired differences in points, and whether they are above 0."""
    differences = np.array([100 * (row["winner_test"] - row["seed_test"]) for row in rows])
    many = len(differences) > 1 and bool(np.any(differences != differences[0]))
    p = {"t_test_p": float(stats.ttest_1samp(differences, 0, alternative="greater").pvalue) if many else None,
         "wilcoxon_p": float(stats.wilcoxon(differences, alternative="greater").pvalue) if many else None}
    better = many and all(value < 0.05 for value in p.values() if value is not None)
    return {"runs": len(rows), "mean_points": float(differences.mean()), "wins": int((differences > 0).sum()), **p,
            "better": better}


def evolve(given: argparse.Namespace) -> None:
    """The table, run by run, and its tests."""
    import torch

    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    verdicts = {}
    for run in given.runs:
        name = given.networks[run % len(given.networks)]
        rows.append(evolution(name, run, given))
        r = rows[-1]
        line = (f"{name:7s} run {run}: winner {100 * r['winner_test']:.2f} %, seed {100 * r['seed_test']:.2f} % "
                f"(validation {100 * r['winner_validation']:.2f}, {100 * r['seed_validation']:.2f}; "
                f"MACs {r['winner_macs']:,}, {r['seed_macs']:,}; rates {r['winner_rate']}, {r['seed_rate']})")
        print(line, file=sys.stderr if given.json else sys.stdout, flush=True)
    for name in given.networks:
        if mine := [row for row in rows if row["seed"] == name]:
            verdicts[name] = compared(mine)
    verdicts["all"] = compared(rows)
    if given.json:
        print(json.dumps({**{k: v for k, v in vars(given).items() if k != "data"}, "rows": rows, "verdicts": verdicts}))
        return
    for name, v in verdicts.items():
        said = "better with p < 0.05" if v["better"] else "not better with p < 0.05"
        print(f"{name:7s} {v['runs']} runs: {v['mean_points']:+.2f} points, {v['wins']} won, "
              f"t-test p = {v['t_test_p']}, Wilcoxon p = {v['wilcoxon_p']}: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sample", "critical", "evolve"))
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="samples (10,000), or derivations of each probability (1,000)")
    parser.add_argument("--shape", type=int, nargs=3, default=(3, 28, 28), help="of the samples' input")
    parser.add_argument("--networks", nargs="+", choices=SEEDS, default=list(SEEDS), help="seeds of the runs, in turns")
    parser.add_argument("--runs", type=int, nargs="+", default=list(range(10, 18)),
                        help="numbers that fix data and seeds (10 to 17; the search was set up on 0 to 7)")
    parser.add_argument("--trainings", type=int, default=60, help="of each side in a run")
    parser.add_argument("--confirm", type=int, default=12, help="of these, to train the best four again")
    parser.add_argument("--repeats", type=int, default=3, help="trainings with fresh seeds at the end")
    parser.add_argument("--samples", type=int, default=800, help="to train on")
    parser.add_argument("--validation", type=int, default=1_000)
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--population", type=int, default=12)
    parser.add_argument("--tournament", type=int, default=5)
    parser.add_argument("--growth", type=float, default=3.0,
                        help="a network may have so many times the seed's MACs and activations")
    given = parser.parse_args()
    if given.what == "evolve":
        evolve(given)
        return
    if given.what == "sample":
        result: Any = sampling(given.count or 10_000, tuple(given.shape), given.seed)
        lines = [f"{key}: {value}" for key, value in result.items()]
    else:
        result = criticality(given.count or 1_000, given.seed)
        lines = [f"computation {r['computation']:.2f}, cap {r['cap']:7,}: {100 * r['outgrown']:5.2f} % outgrow it, "
                 f"mean under it {r['mean']:.1f} modules" for r in result]
    print(json.dumps(result) if given.json else "\n".join(lines))


if __name__ == "__main__":
    main()
