"""Training-free scores of recurrent cells and encoders: the published table's own columns, compared again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import estimate
from netwright.errors import UserError
from netwright.estimate.tables.files import read
from netwright.spaces.zoo.flexibert import Recipe, as_scored, network, parse

from . import Claim, Measured, System

ENCODERS, BATCH, TOKENS = 40, 4, 64  # of the claim on our own head confidence


def _table(data: Path | None, name: str) -> dict[str, np.ndarray]:
    if data is None:
        raise UserError("training-free-rnn-transformer needs nas-nlp/* of the recorded data: give --data DIR "
                        "or NETWRIGHT_DATA")
    return read(data / "nas-nlp" / name)


def covariance(data: Path | None, seed: int) -> Measured:
    """Spearman of the first layer's hidden covariance and the negative loss."""
    from scipy.stats import spearmanr

    table = _table(data, "rnn_ptb_training_free.parquet")
    score, loss = (np.asarray(table[n], dtype=float) for n in ("layer_1_hidden_covariance", "loss"))
    known = ~(np.isnan(score) | np.isnan(loss))
    found = float(spearmanr(score[known], -loss[known]).statistic)
    note = f"no score computed: recomputed from the table's columns, {int(known.sum()):,} rows that did not diverge"
    return Measured(found, abs(found - 0.524) < 0.01, note)


def confidence(data: Path | None, seed: int) -> Measured:
    """Kendall of head confidence and the GLUE score."""
    from scipy.stats import kendalltau

    table = _table(data, "bert_glue_training_free.parquet")
    name = next(column for column in table if column.startswith("head_confidence") and "norm" not in column)
    score, glue = (np.asarray(table[column], dtype=float) for column in (name, "score_glue"))
    found = float(kendalltau(score, glue).statistic)
    return Measured(found, abs(found - 0.478) < 0.01, f"no score computed: {len(table[name])} rows, column {name}")


def _encoders(table: dict[str, np.ndarray]) -> list[Recipe]:
    return [parse(text, size) for text, size in zip(table["nas_config"], table["hidden_size"], strict=True)]


def parameters(data: Path | None, seed: int) -> Measured:
    """Recorded encoders that build, as they were scored, with exactly the recorded number of parameters."""
    table = _table(data, "bert_glue_training_free.parquet")
    given = _encoders(table)
    own, scored = (np.array([network(x, 1).parameter_count for x in made]) for made in (given, map(as_scored, given)))
    equal = int((scored == table["number_of_parameters"]).sum())
    same = int((own == table["number_of_parameters"]).sum())
    note = f"256 wide with feed-forward layers of 1,024 whatever the recipe says; at their own sizes {same} are equal"
    return Measured(equal, equal == len(given), note)


def buckets(data: Path | None, seed: int) -> Measured:
    """Kendall of head confidence and GLUE among encoders of one hidden size and number of layers."""
    from scipy.stats import kendalltau

    table = _table(data, "bert_glue_training_free.parquet")
    score, glue = (np.asarray(table[name], dtype=float) for name in ("head_confidence", "score_glue"))
    sizes = np.array([(x.hidden, len(x.layers)) for x in _encoders(table)])
    groups = [(sizes == size).all(1) for size in np.unique(sizes, axis=0)]
    pairs = [group.sum() * (group.sum() - 1) / 2 for group in groups]
    found = float(np.average([kendalltau(score[g], glue[g]).statistic for g in groups], weights=pairs))
    alone = kendalltau(sizes.prod(1), glue).statistic
    note = f"no score computed: mean of {len(groups)} groups by pairs; hidden size times layers alone reach {alone:.3f}"
    return Measured(found, abs(found) < 0.2, note)


def own_confidence(data: Path | None, seed: int) -> Measured:
    """Spearman of our head confidence and the recorded one."""
    from scipy.stats import spearmanr

    table = _table(data, "bert_glue_training_free.parquet")
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(table["nas_config"]))[:ENCODERS]
    words = rng.integers(30_522, size=(BATCH, TOKENS))
    given = _encoders(table)
    score = estimate.get("head-confidence")
    found = [score(network(as_scored(given[row]), TOKENS), words, seed=seed)["head_confidence"] for row in rows]
    value = float(spearmanr(found, table["head_confidence"][rows]).statistic)
    note = f"{ENCODERS} encoders on {BATCH} x {TOKENS} random tokens; recorded on 128 x 512 of OpenWebText"
    return Measured(value, value > 0.9, note)


system = System(
    name="training-free-rnn-transformer",
    paper="Serianni and Kalita 2023 (Training-free neural architecture search for RNNs and transformers)",
    about="hidden covariance of untrained recurrent cells; attention confidence of untrained encoders",
    claims=(
        Claim("hidden covariance against the loss", "0.524", "NAS-Bench-NLP, Penn Treebank, first layer", "Spearman",
              covariance),
        Claim("head confidence against GLUE", "0.478", "500 FlexiBERT architectures", "Kendall", confidence),
        Claim("number of parameters", "no such figure", "500 recorded encoders, built as they were scored",
              "encoders equal", parameters),
        Claim("head confidence predicts by size", "normalised scores do not predict",
              "against GLUE, hidden size and layers fixed", "Kendall", buckets),
        Claim("our head confidence against the recorded", "no such figure",
              "recorded on 128 x 512 tokens of OpenWebText, ours on 4 x 64 random ones", "Spearman", own_confidence),
    ),
)
