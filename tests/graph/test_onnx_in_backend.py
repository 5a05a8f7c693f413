"""ONNX's own backend tests: each is agreed with or refused in one line, and at least 150 operators agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_backend import Outcome, difference, node_cases, outcome, plain

from netwright.graph.onnx import from_onnx

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
# expected values that the test itself prints with four digits
ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}
LIGHT = sorted((DATA / "light").glob("*.onnx"))


@pytest.fixture(scope="module")
def nodes() -> list[tuple[Any, Outcome]]:
    return [(case, outcome(case.model, case.data_sets)) for case in node_cases()]


def test_no_accepted_node_test_is_wrong(nodes) -> None:
    wrong = {case.name: result.wrong for case, result in nodes if result.wrong and case.name not in ROUNDED}
    assert not wrong, wrong


def test_at_least_150_operators_of_the_standard_are_accepted_and_agree(nodes) -> None:
    standard = {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}
    accepted = {n.op_type for case, r in nodes if not r.refused and not r.wrong for n in case.model.graph.node}
    assert len(accepted & standard) >= 170, sorted(standard - accepted)


def test_nearly_all_of_them_work_on_values_computed_at_run_time(nodes) -> None:
    """Not only where every input is known at import."""
    alive = {
        n.op_type for case, r in nodes if not r.refused and not r.wrong and r.bound < max(1, len(case.model.graph.input))
        for n in case.model.graph.node
    }  # fmt: skip
    assert len(alive) >= 150


def test_what_is_refused_says_which_input_or_node_and_why(nodes) -> None:
    refusals = [result.refused for _, result in nodes if result.refused]
    for line in refusals:
        assert re.match(r"the model: (node '.*', \w+ \([\w.]+ opset \d+\): |(input|output) ')", line), line
    assert len(refusals) < 0.2 * len(nodes)


def tensor(path: Path) -> np.ndarray:
    return plain(onnx.TensorProto.FromString(path.read_bytes()))


def folder_outcome(folder: Path) -> Outcome:
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        counts = {kind: len(list(data.glob(f"{kind}_*.pb"))) for kind in ("input", "output")}
        sets.append(tuple([tensor(data / f"{kind}_{i}.pb") for i in range(counts[kind])] for kind in ("input", "output")))
    return outcome(onnx.load(folder / "model.onnx"), sets)


@pytest.mark.parametrize("kind, least", [("pytorch-converted", 82), ("pytorch-operator", 35)])
def test_models_converted_from_torch_agree(kind: str, least: int) -> None:
    found = {folder.name: folder_outcome(folder) for folder in sorted((DATA / kind).iterdir()) if folder.is_dir()}
    bad = {name: result for name, result in found.items() if result.refused or result.wrong}
    assert not bad and len(found) >= least, bad


def test_sequences_of_tensors_are_taken_apart_at_import() -> None:
    for number in range(1, 9):
        result = folder_outcome(DATA / "simple" / f"test_sequence_model{number}")
        assert not result.wrong and not result.refused, (number, result)


@pytest.mark.parametrize("path", LIGHT, ids=lambda p: p.stem)
def test_light_models_agree_with_onnx_runtime(path: Path, tmp_path: Path) -> None:
    """Without a softmax at the end: of these models' constant weights logits are alike and up to 1e10, and what it makes
    of them is their last bit, in which matrix products of processors differ."""
    model = onnx.load(path)
    last = model.graph.node[-1]
    if last.op_type == "Softmax":
        del model.graph.node[-1], model.graph.output[:]
        model.graph.output.append(onnx.helper.make_tensor_value_info(last.input[0], onnx.TensorProto.FLOAT, None))
        path = tmp_path / path.name
        onnx.save(model, path)
    graph = from_onnx(path)
    rng = np.random.default_rng(0)
    feeds = {v.name: rng.standard_normal(v.shape).astype(v.dtype) for v in graph.inputs}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert not difference(graph.run(*feeds.values()), session.run(None, feeds))
