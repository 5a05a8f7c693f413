"""ONNX's own backend tests, run through from_onnx: what each gives, and which operators are then known to work."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.graph.onnx import from_onnx

SHARE = 1e-4  # of the largest value


@dataclass
class Outcome:
    """`wrong` and `refused` are empty where the results agree; `bound` inputs had to be known at import."""

    refused: str = ""
    wrong: str = ""
    bound: int = 0


@lru_cache(maxsize=1)
def node_cases() -> list[Any]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(load_model_tests(kind="node"))  # made anew, not read: about 5 s


def difference(got: Sequence[Any], wanted: Sequence[Any]) -> str:
    """What differs, or nothing: floats within SHARE of the largest value, integers exactly."""
    if len(got) != len(wanted):
        return f"{len(got)} results, {len(wanted)} expected"
    for index, (a, b) in enumerate(zip(got, wanted)):
        b = np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"result {index} is {a.dtype}{a.shape}, not {b.dtype}{b.shape}"
        if a.dtype.kind != "f":
            if not np.array_equal(a, b):
                return f"result {index}: {a.reshape(-1)[:8]} not {b.reshape(-1)[:8]}"
            continue
        finite = np.isfinite(b)
        if not np.array_equal(np.isnan(a), np.isnan(b)) or not np.array_equal(a[np.isinf(b)], b[np.isinf(b)]):
            return f"result {index}: infinities or nans differ: {a.reshape(-1)[:8]} not {b.reshape(-1)[:8]}"
        if not finite.any():
            continue
        largest = float(np.abs(b[finite].astype(np.float64)).max())
        share = SHARE if a.dtype != np.float16 else 2e-3
        apart = float(np.abs(a[finite].astype(np.float64) - b[finite]).max())
        if not apart <= share * largest + 1e-7:
            return f"result {index}: {apart:.3g} apart, largest {largest:.3g}"
    return ""


def bindings(model: Any, arrays: Sequence[Any]) -> list[dict[str, Any]]:
    """Which inputs to bind as constants, fewest first: none, small integers, all but the first, all."""
    names = [i.name for i in model.graph.input]
    given = dict(zip(names, arrays))
    small = {k: v for k, v in given.items() if np.asarray(v).dtype.kind in "iub" and np.ndim(v) <= 1}
    scalars = {k: v for k, v in given.items() if np.size(v) <= 1} | small
    ways = [{}, small, scalars, dict(list(given.items())[1:]), given]
    return [w for i, w in enumerate(ways) if list(w) not in [list(v) for v in ways[:i]]]


def plain(x: Any) -> Any:
    """A tensor of the test data as an array; sequences and optionals as they are."""
    import onnx

    return onnx.numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else x


def outcome(model: Any, data_sets: Sequence[tuple[Any, Any]]) -> Outcome:
    """Import a model and compare with the expected outputs that come with it."""
    result = Outcome("no data")
    for inputs, outputs in data_sets:
        inputs, outputs = [plain(x) for x in inputs], [plain(x) for x in outputs]
        tensors = all(isinstance(x, np.ndarray | np.generic) for x in inputs)
        result = attempt(model, inputs, outputs, bindings(model, inputs) if tensors else [{}])
        if result.refused or result.wrong:
            break
    return result


def attempt(model: Any, inputs: list[Any], outputs: list[Any], ways: list[dict[str, Any]]) -> Outcome:
    """The first way of binding inputs that is not refused."""
    refused = ""
    shapes = {i.name: np.shape(x) for i, x in zip(model.graph.input, inputs) if isinstance(x, np.ndarray | np.generic)}
    for way in ways:
        try:
            graph = from_onnx(model, shapes=shapes, constants=way)
        except UserError as error:
            assert "\n" not in str(error)
            refused = refused or str(error)
            continue
        free = [x for i, x in zip(model.graph.input, inputs) if i.name not in way]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Outcome("", difference(graph.run(*free), outputs), len(way))
    return Outcome(refused)
