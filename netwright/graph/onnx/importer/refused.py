"""Operators that no static network of numbers can hold, each with what to do instead."""

from __future__ import annotations

from .entry import Result
from .importer import Call, imports

_RANDOM = "it draws random numbers: replace it by an input of the model"
_TEXT = "graphs hold numbers, not text: keep it outside of the model"
_COUNTED = "how many results it has depends on the data: cut the model before it and run that step on the host"
_SEQUENCE = "it works on sequences or optional values as the model runs: export with tensors only"
_TRAINING = "it belongs to training: export the model for inference"
_REGIONS = "sampling regions at computed places is not supported: cut the model before it"

_REASONS = {
    **dict.fromkeys(
        ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), _RANDOM
    ),
    **dict.fromkeys(
        ("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer", "ImageDecoder"), _TEXT
    ),
    "NonMaxSuppression": _COUNTED,
    "SequenceMap": _SEQUENCE,
    **dict.fromkeys(("RoiAlign", "MaxRoiPool", "DeformConv"), _REGIONS),
}


@imports(*_REASONS)
def refused(n: Call) -> Result:
    """Always UserError."""
    raise n.refuse(_REASONS[n.op_type])


@imports("Gradient", "Adam", "Adagrad", "Momentum", domain="ai.onnx.preview.training")
def training(n: Call) -> Result:
    """Always UserError."""
    raise n.refuse(_TRAINING)
