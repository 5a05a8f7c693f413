"""Training-free scores of recurrent cells and BERTs: python -m benchmarks.rnn_scores [--hidden 600] [--json].

published   correlations recomputed from the recorded columns of Serianni and Kalita 2023; no score is computed
parameters  all NAS-Bench-NLP recipes with a WikiText-2 run, built as Graphs: parameter counts against the recorded
computed    hidden covariance of the first layer, by netwright, of the recipes that have a published score: Spearman
            with it, and of both with the loss; on the WikiText-2 runs, with the best validation loss

The text is WikiText-2's test part in 50 columns, its first 70 words each; words beyond the 10,000 most frequent are
<unk>, as in Penn Treebank. Recorded data are in --data, NETWRIGHT_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.recorded import root
from netwright import estimate
from netwright.spaces.zoo.rnn_cells import network

WORDS, STEPS, BATCH, WIKITEXT = 10_000, 70, 50, 33_278


def columns(path: Path) -> dict[str, np.ndarray]:
    """A parquet file's columns."""
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def text(data: Path, vocabulary: int = WORDS) -> np.ndarray:
    """[steps, batch]: the first words of 50 equal stretches, by frequency; 0 is <unk>."""
    with gzip.open(data / "wikitext2-eval" / "test.txt.gz", "rt", encoding="utf-8") as file:
        words = [word for line in file for word in (*line.lower().split(), "<eos>")]
    common = [word for word, _ in Counter(words).most_common(vocabulary) if word != "<unk>"]
    numbers = {word: number for number, word in enumerate(common[: vocabulary - 1], 1)}
    ids = np.array([numbers.get(word, 0) for word in words])
    length = len(ids) // BATCH
    return ids[: length * BATCH].reshape(BATCH, length).T[:STEPS].copy()


def published(data: Path) -> list[dict[str, Any]]:
    """What the tables' own columns say. Finished RNN runs with scores; BERTs against GLUE."""
    rnn, bert = (columns(data / "nas-nlp" / f"{name}.parquet") for name in
                 ("rnn_ptb_training_free", "bert_glue_training_free"))  # fmt: skip
    there = np.isfinite(rnn["layer_1_hidden_covariance"]) & np.isfinite(rnn["loss"])
    loss, score = rnn["loss"][there], rnn["layer_1_hidden_covariance"][there]
    pairs = {"layer-1 hidden covariance with -loss (PTB)": (score, -loss)}
    for name in ("head_confidence", "number_of_parameters", "head_importance"):
        pairs[f"{name} with GLUE (BERT)"] = bert[name], bert["score_glue"]
    return [{"what": what, "rows": len(a), "spearman": float(spearmanr(a, b).statistic),
             "kendall": float(kendalltau(a, b).statistic)} for what, (a, b) in pairs.items()]


def parameters(data: Path) -> dict[str, int]:
    """How many recipes build with exactly the recorded number of parameters."""
    runs = columns(data / "nas-nlp" / "nas_bench_nlp_wikitext2.parquet")
    counts = [network(recipe, WIKITEXT).parameter_count for recipe in runs["recipe"]]
    return {"recipes": len(counts), "equal": int((np.array(counts) == runs["num_params"]).sum())}


def covariance(recipe: str, words: np.ndarray, hidden: int, seed: int) -> tuple[float, float]:
    """The score, and its seconds of processor time, building included."""
    began = time.process_time()
    graph = network(recipe, WORDS, 400, hidden, layers=1 if hidden == 400 else 2)
    found = estimate.get("hidden-covariance")(graph, words, seed=seed)["hidden-covariance"]
    return found, time.process_time() - began


def rank(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman; minus infinity is worst."""
    return float(spearmanr(np.where(np.isfinite(a), a, -1e300), b).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--hidden", type=int, default=600, help="width of the cell that is scored (published: 600)")
    parser.add_argument("--cheap", type=int, default=100, help="a narrower one, for its rank agreement")
    parser.add_argument("--seeds", type=int, default=1, help="the mean over so many initialisations")
    parser.add_argument("--recipes", type=int, help="only the first so many")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = root(given.data)
    words = text(data)
    report: dict[str, Any] = {"published, no score computed": published(data), "parameters": parameters(data)}

    rnn = columns(data / "nas-nlp" / "rnn_ptb_training_free.parquet")
    known = np.array([recipe is not None for recipe in rnn["recipe"]])
    rows = np.flatnonzero(known & np.isfinite(rnn["layer_1_hidden_covariance"]))[: given.recipes]
    spent: dict[int, list[float]] = {}
    found: dict[int, np.ndarray] = {}
    for hidden in (given.hidden, given.cheap):
        pairs = np.array([[covariance(rnn["recipe"][row], words, hidden, seed) for seed in range(given.seeds)]
                          for row in rows])  # [rows, seeds, (score, seconds)]
        found[hidden], spent[hidden] = pairs[:, :, 0].mean(1), list(pairs[:, :, 1].ravel())
    recorded, loss = rnn["layer_1_hidden_covariance"][rows], rnn["loss"][rows]
    ours, ends = found[given.hidden], np.isfinite(loss)
    narrow = found[given.cheap]
    report["computed"] = {
        "recipes": len(rows), "hidden": given.hidden, "seeds": given.seeds,
        "with the published score": rank(ours, recorded),
        "with -loss": rank(ours[ends], -loss[ends]), "published score with -loss": rank(recorded[ends], -loss[ends]),
        "finished runs": int(ends.sum()),
        "with -loss, diverged runs worst": rank(ours, -np.where(ends, loss, 1e9)),
        "seconds a recipe": statistics.median(spent[given.hidden]),
        "narrow": {"hidden": given.cheap, "with the wide one": rank(narrow, np.where(np.isfinite(ours), ours, -1e300)),
                   "with the published score": rank(narrow, recorded),
                   "seconds a recipe": statistics.median(spent[given.cheap])},
    }
    runs = columns(data / "nas-nlp" / "nas_bench_nlp_wikitext2.parquet")
    finished = np.flatnonzero(np.isfinite(runs["val_loss_best"]) & (runs["status"] == "OK"))[: given.recipes]
    values = np.array([covariance(runs["recipe"][row], words, given.hidden, 0)[0] for row in finished])
    validation = runs["val_loss_best"][finished]
    report["WikiText-2"] = {"runs": len(finished), "with -validation loss": rank(values, -validation)}
    if given.json:
        print(json.dumps(report, indent=1))
        return
    print("published, no score computed")
    for row in report["published, no score computed"]:
        print(f"  {row['what']:45s} Spearman {row['spearman']:.3f}, Kendall {row['kendall']:.3f} ({row['rows']} rows)")
    counted = report["parameters"]
    print(f"parameters equal the recorded: {counted['equal']} of {counted['recipes']} recipes")
    for part in ("computed", "WikiText-2"):
        print(f"{part}: " + ", ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}"
                                      for k, v in report[part].items()))  # fmt: skip


if __name__ == "__main__":
    main()
