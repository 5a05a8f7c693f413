"""Training-free scores of BERT-like encoders: python -m benchmarks.bert_scores [--cells 100] [--json].

parameters  of all 500 recorded encoders, built as Graphs, against the recorded numbers: at the sizes that their scores
            were computed at (256 wide, feed-forward layers of 1,024) and at the sizes of their own nas_config
recorded    Kendall of the recorded columns with GLUE; no score computed
computed    scores by netwright of --cells encoders: Spearman with the recorded column, Kendall with GLUE, at both
            sizes. Scores that need gradients have them against random numbers and, as published, against ones
buckets     Kendall with GLUE inside groups of one hidden size and number of layers; their mean, by the number of
            pairs, tells what a score knows beside these two, whose product stands among the recorded

The text is WikiText-2's test part in lower case, --batch stretches of --tokens words; a word's number is the CRC-32 of
its letters modulo the vocabulary of 30,522 (the published tokenizer is not at hand, and untrained embeddings know no
words). Recorded data are in --data or NETWRIGHT_DATA.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.recorded import root
from netwright import estimate
from netwright.estimate.tables.files import read
from netwright.spaces.zoo.flexibert import OPERATIONS, Recipe, as_scored, network, parse

VOCABULARY = 30_522
RECORDED = ("head_confidence", "head_softmax_confidence", "number_of_parameters", "head_importance",
            "synaptic_diversity", "activation_distance")  # fmt: skip
NORMALIZED = tuple(name for name in RECORDED if name != "number_of_parameters")
SCORES: dict[str, tuple[str, dict[str, Any]]] = {
    "head_confidence": ("head-confidence", {}),
    "head_softmax_confidence": ("head-confidence", {"softmax": True}),
    "activation_distance": ("activation-distance", {}),
    "head_importance": ("head-importance", {}),
    "head_importance, ones": ("head-importance", {"against": "ones"}),
    "synaptic_diversity": ("synaptic-diversity", {}),
    "synaptic_diversity, ones": ("synaptic-diversity", {"against": "ones"}),
}


def text(data: Path, batch: int, tokens: int) -> np.ndarray:
    """[batch, tokens]: the first words of equal stretches, as numbers."""
    with gzip.open(data / "wikitext2-eval" / "test.txt.gz", "rt", encoding="utf-8") as file:
        words = file.read().lower().split()
    numbers = np.array([crc32(word.encode()) % VOCABULARY for word in words])
    length = len(numbers) // batch
    return numbers[: length * batch].reshape(batch, length)[:, :tokens].copy()


def kendall(a: np.ndarray, b: np.ndarray) -> float | None:
    """Kendall's tau-b; None where one of them is constant."""
    found = float(kendalltau(a, b).statistic)
    return found if np.isfinite(found) else None


def inside(score: np.ndarray, glue: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Kendall in each group of at least ten where the score varies, and the mean by the number of pairs."""
    found, total, pairs = dict[str, Any](), 0.0, 0.0
    for name in np.unique(groups):
        there = groups == name
        rows = int(there.sum())
        if rows >= 10 and (tau := kendall(score[there], glue[there])) is not None:
            found[str(name)] = {"rows": rows, "kendall": tau}
            total, pairs = total + tau * rows * (rows - 1) / 2, pairs + rows * (rows - 1) / 2
    return {"mean": total / pairs if pairs else None, **found}


def shown(value: float | None) -> str:
    return f"{value:6.3f}" if value is not None else "     -"


def scores(given: list[Recipe], words: np.ndarray, seed: int, spent: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Each score, and each divided by its number of terms, of each encoder."""
    found: dict[str, list[float]] = {}
    for one in given:
        began = time.process_time()
        graph = network(one, words.shape[1])
        graph = graph.with_store(graph.store.initialise(graph, seed))
        spent.setdefault("network with weights", []).append(time.process_time() - began)
        for name, (estimator, options) in SCORES.items():
            began = time.process_time()
            made = estimate.get(estimator)(graph, words, seed=seed, **options)
            spent.setdefault(name, []).append(time.process_time() - began)
            key, _, how = name.partition(", ")
            for column, end in ((key, ""), (f"{key}_normalized", "_normalized")):
                found.setdefault(f"{key}{end}{', ' + how if how else ''}", []).append(made[column])
        found.setdefault("number_of_parameters", []).append(graph.parameter_count)
    return {name: np.array(values) for name, values in found.items()}


def counted(given: list[Recipe], recorded: np.ndarray) -> dict[str, Any]:
    """How many encoders have the recorded number of parameters, at both sizes."""
    own = np.array([network(x, 1).parameter_count for x in given])
    scored = np.array([network(as_scored(x), 1).parameter_count for x in given])
    return {"encoders": len(given), "equal as scored": int((scored == recorded).sum()),
            "equal at their own sizes": int((own == recorded).sum()), "own": own}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--cells", type=int, default=100, help="how many encoders are scored, drawn without repetition")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and of the weights")
    parser.add_argument("--batch", type=int, default=8, help="stretches of text (published: 128)")
    parser.add_argument("--tokens", type=int, default=128, help="words of each (published: 512)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = root(given.data)
    table = read(data / "nas-nlp" / "bert_glue_training_free.parquet")
    glue = table["score_glue"].astype(float)
    every = [parse(text, size) for text, size in zip(table["nas_config"], table["hidden_size"], strict=True)]
    groups = np.array([f"{x.hidden} wide, {len(x.layers)} layers" for x in every])
    plain = {"hidden size times layers": np.array([x.hidden * len(x.layers) for x in every]),
             "feed-forward layers": np.array([sum(layer.stacks for layer in x.layers) for x in every]),
             **{f"layers of {kind}": np.array([sum(layer.operation == kind for layer in x.layers) for x in every])
                for kind in OPERATIONS}}  # fmt: skip
    parameters = counted(every, table["number_of_parameters"])
    plain["number_of_parameters at own sizes"] = parameters.pop("own")
    known = {name: table[name] for name in (*RECORDED, *(f"{name}_normalized" for name in NORMALIZED))}
    report: dict[str, Any] = {"parameters": parameters, "recorded": {
        name: {"kendall": kendall(values, glue), "in buckets": inside(values, glue, groups)}
        for name, values in {**known, **plain}.items()}}  # fmt: skip

    rows = np.sort(np.random.default_rng(given.seed).permutation(len(every))[: given.cells])
    words, spent = text(data, given.batch, given.tokens), dict[str, list[float]]()
    report["computed"] = {"encoders": len(rows), "batch": given.batch, "tokens": given.tokens, "seed": given.seed}
    drawn = [every[row] for row in rows]
    for size, made in (("as scored", [as_scored(x) for x in drawn]), ("own sizes", drawn)):
        report["computed"][size] = {}
        for name, values in scores(made, words, given.seed, spent).items():
            there = table[name.partition(", ")[0]][rows]
            report["computed"][size][name] = {
                "spearman with the recorded": float(spearmanr(values, there).statistic),
                "kendall": kendall(values, glue[rows]), "recorded": kendall(there, glue[rows]),
                "in buckets": inside(values, glue[rows], groups[rows])}  # fmt: skip
    report["seconds of processor time an encoder"] = {name: statistics.median(times) for name, times in spent.items()}
    if given.json:
        print(json.dumps(report, indent=1))
        return
    print(f"parameters equal the recorded: {parameters['equal as scored']} of {len(every)} encoders as scored, "
          f"{parameters['equal at their own sizes']} at their own sizes")  # fmt: skip
    print(f"Kendall with GLUE, {len(every)} recorded encoders: of all, in buckets")
    for name, row in report["recorded"].items():
        print(f"  {name:40s} {shown(row['kendall'])} {shown(row['in buckets']['mean'])}")
    for size in ("as scored", "own sizes"):
        print(f"computed, {len(rows)} encoders, {size}: Spearman with the recorded; Kendall with GLUE: computed, "
              "recorded, computed in buckets")  # fmt: skip
        for name, row in report["computed"][size].items():
            print(f"  {name:40s} {row['spearman with the recorded']:6.3f} {shown(row['kendall'])} "
                  f"{shown(row['recorded'])} {shown(row['in buckets']['mean'])}")  # fmt: skip
    print("seconds of processor time an encoder:",
          ", ".join(f"{k} {s:.2f}" for k, s in report["seconds of processor time an encoder"].items()))  # fmt: skip


if __name__ == "__main__":
    main()
