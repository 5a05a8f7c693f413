"""Training-free scores of BERT-like encoders: python -m benchmarks.bert_scores [--cells 100] [--json].

parameters  of all 500 recorded encoders, built as Graphs, against the recorded numbers: at the sizes that their scores
            were computed at (256 wide, feed-forward layers of 1,024) and at the sizes of their own nas_config
recorded    Kendall of the recorded columns with GLUE; no score computed
computed    scores by netwright of --cells encoders: Spearman with the recorded column, Kendall with GLUE, at both
            sizes. Scores that need gradients have them against random numbers and, as published, against ones
buckets     Kendall with GLUE inside groups of one hidden size and number of layers, whose mean, by the number of
            pairs, tells what a score knows beside these

The text is WikiText-2's test part in lower case, --batch stretches of --tokens words; a word's number is the CRC-32 of
its letters modulo the vocabulary of 30,522 (the published tokenizer is not at hand, and untrained embeddings know no
words). Recorded data are in --data, NETWRIGHT_DATA or ../shared/data.
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
from netwright.spaces.zoo.flexibert import Recipe, as_scored, network, parse

VOCABULARY = 30_522
RECORDED = ("head_confidence", "head_softmax_confidence", "number_of_parameters", "head_importance",
            "synaptic_diversity", "activation_distance")  # fmt: skip
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


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    return float(kendalltau(a, b).statistic)


def inside(score: np.ndarray, glue: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Kendall in each group of at least ten, and the mean by the number of pairs."""
    found = {name: (int((groups == name).sum()), kendall(score[groups == name], glue[groups == name]))
             for name in np.unique(groups) if (groups == name).sum() >= 10}  # fmt: skip
    there = [(n * (n - 1) / 2, tau) for n, tau in found.values() if np.isfinite(tau)]
    mean = sum(w * tau for w, tau in there) / sum(w for w, _ in there) if there else float("nan")
    return {"mean": mean, **{str(name): {"rows": n, "kendall": tau} for name, (n, tau) in found.items()}}


def scores(given: list[Recipe], words: np.ndarray, seed: int, spent: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Each score, and each divided by its number of terms, of each encoder."""
    found: dict[str, list[float]] = {}
    for one in given:
        graph = network(one, words.shape[1])
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
    glue, layers = table["score_glue"].astype(float), [len(json.loads(t)["encoder_layers"]) for t in table["nas_config"]]
    every = [parse(text, size) for text, size in zip(table["nas_config"], table["hidden_size"], strict=True)]
    groups = np.array([f"{x.hidden} wide, {n} layers" for x, n in zip(every, layers, strict=True)])
    parameters = counted(every, table["number_of_parameters"])
    own = parameters.pop("own")
    report: dict[str, Any] = {"parameters": parameters, "recorded": {
        name: {"kendall": kendall(table[name], glue), "in buckets": inside(table[name], glue, groups)}
        for name in (*RECORDED, *(f"{name}_normalized" for name in RECORDED if name != "number_of_parameters"))}}
    report["own number of parameters"] = {"kendall": kendall(own, glue), "in buckets": inside(own, glue, groups)}

    rows = np.sort(np.random.default_rng(given.seed).permutation(len(every))[: given.cells])
    words, spent = text(data, given.batch, given.tokens), dict[str, list[float]]()
    report["computed"] = {"encoders": len(rows), "batch": given.batch, "tokens": given.tokens, "seed": given.seed}
    for size, made in (("as scored", [as_scored(every[row]) for row in rows]), ("own sizes", [every[row] for row in rows])):
        found = scores(made, words, given.seed, spent)
        report["computed"][size] = {name: {
            "spearman with the recorded": float(spearmanr(values, table[name.partition(", ")[0]][rows]).statistic),
            "kendall": kendall(values, glue[rows]), "recorded": kendall(table[name.partition(", ")[0]][rows], glue[rows]),
            "in buckets": inside(values, glue[rows], groups[rows])} for name, values in found.items()}
    report["seconds of processor time an encoder"] = {name: statistics.median(times) for name, times in spent.items()}
    if given.json:
        print(json.dumps(report, indent=1))
        return
    print(f"parameters equal the recorded: {parameters['equal as scored']} of {parameters['encoders']} encoders as scored, "
          f"{parameters['equal at their own sizes']} at their own sizes")  # fmt: skip
    print(f"{'Kendall with GLUE, 500 recorded encoders':42s} all   in buckets")
    for name, row in {**report["recorded"], "parameters at their own sizes": report["own number of parameters"]}.items():
        print(f"  {name:40s} {row['kendall']:5.3f} {row['in buckets']['mean']:6.3f}")
    for size in ("as scored", "own sizes"):
        print(f"computed, {len(rows)} encoders, {size}:        Spearman with the recorded, Kendall, recorded Kendall, in buckets")
        for name, row in report["computed"][size].items():
            print(f"  {name:40s} {row['spearman with the recorded']:6.3f} {row['kendall']:6.3f} {row['recorded']:6.3f} "
                  f"{row['in buckets']['mean']:6.3f}")  # fmt: skip
    print("seconds of processor time an encoder: "
          + ", ".join(f"{name} {s:.2f}" for name, s in report["seconds of processor time an encoder"].items()))  # fmt: skip


if __name__ == "__main__":
    main()
