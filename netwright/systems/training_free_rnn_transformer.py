"""Training-free scores of recurrent cells and encoders: the published table's own columns, compared again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright.errors import UserError
from netwright.estimate.tables.files import read

from . import Claim, Measured, System


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


system = System(
    name="training-free-rnn-transformer",
    paper="Serianni and Kalita 2023 (Training-free neural architecture search for RNNs and transformers)",
    about="hidden covariance of untrained recurrent cells; attention confidence of untrained encoders",
    claims=(
        Claim("hidden covariance against the loss", "0.524", "NAS-Bench-NLP, Penn Treebank, first layer", "Spearman",
              covariance),
        Claim("head confidence against GLUE", "0.478", "500 FlexiBERT architectures", "Kendall", confidence),
    ),
)
