"""Published models out of packages: they load fast, run, and agree with ONNX Runtime."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx_backend import difference

from netwright.errors import UserError
from netwright.graph.onnx import from_onnx

rng = np.random.default_rng(0)


def model(package: str, path: str) -> Path:
    """A file of an installed package, which is not imported. Absent, it fails in CI and is skipped elsewhere."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        message = f"{package} is not installed: run `make test`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return Path(spec.submodule_search_locations[0]) / path


def real(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def agrees(path: Path, feeds: dict[str, np.ndarray], constants: dict[str, Any] | None = None, **shapes: Any) -> None:
    graph = from_onnx(path, shapes=shapes, constants=constants)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {i.name for i in session.get_inputs()}
    bound = {k: np.asarray(v) for k, v in (constants or {}).items()}
    theirs = session.run(None, {k: v for k, v in (feeds | bound).items() if k in given})
    assert not difference(graph.run(*(feeds[v.name] for v in graph.inputs)), theirs)


@pytest.mark.parametrize("rate, samples", [(16000, 576), (8000, 288)])
@pytest.mark.parametrize("file", ["silero_vad.onnx", "silero_vad_op18_ifless.onnx"])
def test_silero_voice_detector_with_its_rate_bound(file: str, rate: int, samples: int) -> None:
    """Nested Ifs on the rate, an LSTM with its state outside."""
    feeds = {"input": real(1, samples), "state": real(2, 1, 128)}
    agrees(model("silero_vad", f"data/{file}"), feeds, {"sr": np.int64(rate)}, input=(1, samples), state=(2, 1, 128))


def test_silero_sequence_model_unrolled() -> None:
    feeds = {"input": real(10, 576), "h": real(1, 1, 128), "c": real(1, 1, 128)}
    agrees(model("silero_vad", "data/silero_vad_16k_sequence.onnx"), feeds, sequence_length=10)


def test_silero_with_an_open_dimension_says_how_to_bind_it() -> None:
    with pytest.raises(UserError, match=r"input 'input' is \[\?, \?\]: bind dimension 1 by shapes=\{'input': \(n, n\)\}"):
        from_onnx(model("silero_vad", "data/silero_vad.onnx"), constants={"sr": 16000})
    with pytest.raises(UserError, match=r"If .*known at import: bind an input of the model by constants"):
        from_onnx(model("silero_vad", "data/silero_vad.onnx"), shapes={"input": (1, 576), "state": (2, 1, 128)})


def test_magika_file_type_classifier() -> None:
    agrees(model("magika", "models/standard_v3_3/model.onnx"), {"bytes": rng.integers(0, 257, (1, 2048)).astype(np.int32)})


@pytest.mark.parametrize(
    "file, shape",
    [
        ("PP-OCRv6_det_small.onnx", (1, 3, 96, 160)),
        ("PP-OCRv6_rec_small.onnx", (1, 3, 48, 160)),
        ("ch_ppocr_mobile_v2.0_cls_mobile.onnx", (1, 3, 48, 192)),
    ],
)
def test_text_detector_reader_and_classifier(file: str, shape: tuple[int, ...]) -> None:
    agrees(model("rapidocr", f"models/{file}"), {"x": real(*shape)}, x=shape)


def test_a_model_of_21_megabytes_loads_in_less_than_a_second() -> None:
    path = model("rapidocr", "models/PP-OCRv6_rec_small.onnx")
    start = time.perf_counter()
    from_onnx(path, shapes={"x": (1, 3, 48, 160)})
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "package, file, shape",
    [
        ("rapidocr", "models/PP-OCRv6_rec_small.onnx", (1, 3, 48, 160)),
        ("rapidocr", "models/ch_ppocr_mobile_v2.0_cls_mobile.onnx", (1, 3, 48, 192)),
    ],
)
def test_a_model_read_for_one_sample_runs_any_batch(package: str, file: str, shape: tuple[int, ...]) -> None:
    graph = from_onnx(model(package, file), shapes={"x": shape})
    x = real(2, *shape[1:])
    alone = np.concatenate([graph.run(row[None])[0] for row in x])
    assert not difference(graph.run(x), [alone])
