"""Text templates on news: learned mutation rates against fixed ones, random search and the templates as they are.

    python -m benchmarks.text_templates [--seeds 3] [--seed 0] [--trials 40] [--objective loss] [--json]

AG News' test part of 7,600 items, shuffled by generator 0: the first 6,000 to train on, of which a fifth judges each
short training, the last 1,600 to test. Every arm sees the same trainings, kept by candidate: the same number of trials
of the space `text-templates` chosen by validation accuracy (or loss) with rates that are learned, with rates that are
fixed, and at random. The first seven trials of each are the templates with the usual value of every setting; the best
of these alone is `plain`. Winners are trained once more, as shortly, on all 6,000, and the test set is read once for
each. Beside them: TF-IDF and logistic regression on the same split.
Recorded data are found in --data or NETWRIGHT_DATA. Use OMP_NUM_THREADS to pin threads.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recorded import root
from netwright.search import Objective
from netwright.spaces import Candidate
from netwright.spaces.some_of import ON
from netwright.spaces.zoo.text_templates import PARTS
from netwright.systems import hhnas_am
from netwright.systems.hhnas_am import ACCURACY, ARMS, TEMPLATES, TRAINED, TRIALS, items, news, search_of
from netwright.tasks import Task

BAR = 1.0  # points over the best template as it is


def name(candidate: Candidate) -> str:
    """The parts of a template, and how they are joined."""
    on = " + ".join(part for part in PARTS if candidate[f"template/{part}"] == ON)
    return f"{on} ({candidate['template/join']})" if "template/join" in candidate else on


def linear(texts: list[str], labels: list[str]) -> float:
    """Test accuracy in % of logistic regression on TF-IDF of whole items, on the same split."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    model.fit(texts[:TRAINED], labels[:TRAINED])
    return 100 * float(model.score(texts[TRAINED:], labels[TRAINED:]))


def one_seed(task: Task, seed: int, trials: int, objective: Objective, tell: Any) -> dict[str, Any]:
    """All arms of one seed: what each chose, its validation result after a quarter, a half and all trials, its test."""
    trainings = hhnas_am.trainings(task, seed)
    tested: dict[Candidate, float] = {}

    def row(candidate: Candidate) -> dict[str, Any]:
        if candidate not in tested:
            tested[candidate] = trainings.test(candidate)
        return {"template": name(candidate), "candidate": dict(candidate), "test": tested[candidate],
                "validation": {key: float(value) for key, value in trainings(candidate).items()}}

    found: dict[str, Any] = {"plain": row(trainings.best(TEMPLATES, objective))}
    found["plain"]["each"] = {name(c): 100 * trainings(c)["accuracy"] for c in TEMPLATES}
    tell(f"seed {seed}, templates as they are: {found['plain']['template']}, test {found['plain']['test']:.2f} %")
    for arm in ARMS:
        best, rates = search_of(trainings, arm, trials, objective)
        found[arm] = row(best[-1])
        marks = sorted({max(1, trials // 4), max(1, trials // 2), trials})
        found[arm]["after"] = {n: trainings(best[n - 1])[objective.name] for n in marks}
        if arm == "learned":
            found[arm]["rates"] = dict(sorted(rates.items(), key=lambda item: -item[1]))
        tell(f"seed {seed}, {arm}: {found[arm]['template']}, test {found[arm]['test']:.2f} %, "
             f"{len(trainings.known)} trainings so far")
    return found


def measured(data: Path, seeds: range, trials: int, objective: Objective) -> dict[str, Any]:
    """Every seed, means over them, and whether the bar is met."""
    started = time.monotonic()

    def tell(words: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {words}", file=sys.stderr, flush=True)

    task = news(data)
    tell(str(task))
    rows = [one_seed(task, seed, trials, objective, tell) for seed in seeds]
    tests = {arm: [row[arm]["test"] for row in rows] for arm in ("plain", *ARMS)}
    gains = (np.array(tests["learned"]) - tests["plain"]).tolist()
    return {
        "task": task.describe(),
        "trials": trials,
        "objective": objective.name,
        "linear": linear(*items(data)),
        "test": {arm: {"mean": float(np.mean(values)), "each": values} for arm, values in tests.items()},
        "after": {arm: {n: float(np.mean([row[arm]["after"][n] for row in rows])) for n in rows[0][arm]["after"]}
                  for arm in ARMS},
        "gain": {"mean": float(np.mean(gains)), "each": gains, "bar": BAR, "met": float(np.mean(gains)) >= BAR},
        "seconds": time.monotonic() - started,
        "seeds": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--objective", choices=("accuracy", "loss"), default="accuracy")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    objective = ACCURACY if given.objective == ACCURACY.name else Objective(given.objective)
    found = measured(root(given.data), range(given.seed, given.seed + given.seeds), given.trials, objective)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for arm, test in found["test"].items():
        after = "".join(f", {value:.3f} after {n}" for n, value in found["after"].get(arm, {}).items())
        each = ", ".join(f"{value:.2f}" for value in test["each"])
        print(f"{arm:8} test {test['mean']:.2f} % ({each}){after and f'; validation {objective.name}'}{after}")
    print(f"{'linear':8} test {found['linear']:.2f} %")
    gain = found["gain"]
    print(f"learned over plain: {gain['mean']:+.2f} points ({', '.join(f'{v:+.2f}' for v in gain['each'])}); "
          f"the bar of {BAR:g} is {'met' if gain['met'] else 'MISSED'}; {found['seconds']:.0f} s")


if __name__ == "__main__":
    main()
