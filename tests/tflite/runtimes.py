"""Other runtimes of TFLite files: LiteRT's reference kernels, and TFLite Micro where LiteRT refuses a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netwright.graph import Graph

MICRO = frozenset(("person_detect.tflite", "keyword_scrambled_8bit.tflite"))  # which LiteRT refuses


def in_litert(model: Path | bytes, batches: list[np.ndarray]) -> list[np.ndarray]:
    """Every sample through LiteRT's reference kernels, state reset before each: one array an output."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    given: dict[str, Any] = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    try:
        runtime = Interpreter(**given, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    except ValueError:  # a few operators have one kernel only, which is not among the reference ones
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        runtime = Interpreter(**given, num_threads=1, experimental_op_resolver_type=kernels)
    inputs = runtime.get_input_details()
    for detail, batch in zip(inputs, batches):
        if detail["shape"].tolist() != list(batch.shape[1:]):
            runtime.resize_tensor_input(detail["index"], list(batch.shape[1:]))
    runtime.allocate_tensors()
    outputs = []
    for sample in zip(*batches):
        runtime.reset_all_variables()
        for detail, array in zip(inputs, sample):
            runtime.set_tensor(detail["index"], array)
        runtime.invoke()
        outputs.append([runtime.get_tensor(d["index"]).copy() for d in runtime.get_output_details()])
    return [np.stack(arrays) for arrays in zip(*outputs)]


def in_tflite_micro(model: Path | bytes, batches: list[np.ndarray]) -> list[np.ndarray]:
    """Every sample through TFLite Micro's kernels, state reset before each."""
    from tflite_micro import runtime

    data = model if isinstance(model, bytes) else model.read_bytes()
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    outputs = []
    for sample in zip(*batches):
        interpreter.reset()
        for index, array in enumerate(sample):
            interpreter.set_input(array, index)
        interpreter.invoke()
        outputs.append([np.array(interpreter.get_output(0))])
    return [np.stack(arrays) for arrays in zip(*outputs)]


def inputs_for(graph: Graph, count: int, seed: int = 0) -> list[np.ndarray]:
    """Random samples for a graph's inputs, each [count, *shape]: any integer; floats from 0 to 1."""
    rng = np.random.default_rng(seed)
    made = []
    for value in graph.inputs:
        shape = (count, *value.shape)
        if value.dtype.startswith("float"):
            made.append(rng.random(shape).astype(value.dtype))
        else:
            info = np.iinfo(value.dtype)
            made.append(rng.integers(info.min, info.max, shape, endpoint=True).astype(value.dtype))
    return made


def reference(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    """What the file's own runtime gives."""
    return (in_tflite_micro if path.name in MICRO else in_litert)(path, batches)
