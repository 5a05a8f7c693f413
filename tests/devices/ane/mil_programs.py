"""MIL programs for tests: a small writer of statements, and the kernels that Orion's catalogue names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netwright.devices.ane import weights
from netwright.devices.ane.execute import result_types
from netwright.devices.ane.mil import (
    BlobFile,
    Constant,
    Function,
    Program,
    Statement,
    TensorType,
    Variable,
    boolean,
    string,
)
from netwright.devices.ane.weights import WeightFiles

PATH = "@model_path/weights/weight.bin"


class Writer:
    """Statements in order; types are what our own ops infer, so that an independent checker can contradict them."""

    def __init__(self, folder: Path, dtype: str = "fp16") -> None:
        self.folder, self.dtype = folder, dtype
        self.inputs: list[Variable] = []
        self.statements: list[Statement] = []
        self.types: dict[str, TensorType] = {}
        self.known: dict[str, Constant] = {}
        self.tensors: list[np.ndarray] = []
        self.offset = 64

    def input(self, name: str, *shape: int, dtype: str | None = None) -> str:
        self.inputs.append(Variable(name, TensorType(dtype or self.dtype, shape)))
        self.types[name] = self.inputs[-1].type
        return name

    def const(self, value: Constant | BlobFile, name: str | None = None) -> str:
        name = name or f"c{len(self.statements)}"
        self.types[name] = value.type
        if isinstance(value, Constant):
            self.known[name] = value
        self.statements.append(Statement((Variable(name, value.type),), "const", (), (("name", string(name)), ("val", value))))
        return name

    def scalar(self, value: float) -> str:
        return self.const(Constant.of(np.float32(value), self.dtype))

    def weight(self, array: np.ndarray) -> str:
        held = array.astype(np.float16)
        blob = BlobFile(TensorType("fp16", held.shape), PATH, self.offset)
        self.tensors.append(held)
        self.offset += 64 + held.nbytes + -held.nbytes % 64
        name = self.const(blob)
        self.known[name] = Constant.of(held, "fp16")
        return name

    def op(self, op: str, *, result: str | None = None, **args: Any) -> str:
        """One statement; Python numbers, lists and strings become named constants before it."""
        return self.ops(op, 1, result=result, **args)[0]

    def ops(self, op: str, count: int, *, result: str | None = None, **args: Any) -> list[str]:
        given = {name: self._argument(value) for name, value in args.items()}
        names = [result or f"v{len(self.statements)}"] if count == 1 else [f"v{len(self.statements)}_{i}" for i in range(count)]
        sketch = Statement(tuple(Variable(n, TensorType("fp16")) for n in names), op, tuple(given.items()))
        types = result_types(sketch, self.types, self.known)
        self.types.update(zip(names, types))
        results = tuple(Variable(n, t) for n, t in zip(names, types))
        self.statements.append(Statement(results, op, tuple(given.items()), (("name", string(names[0])),)))
        return names

    def _argument(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if value in self.types else self.const(string(value))
        if isinstance(value, tuple):
            return value
        if isinstance(value, bool):
            return self.const(boolean(value))
        if isinstance(value, float):
            return self.scalar(value)
        if isinstance(value, list) and value and isinstance(value[0], bool):
            return self.const(Constant.of(np.array(value), "bool"))
        return self.const(Constant.of(np.array(value), "int32"))

    def conv(self, x: str, w: np.ndarray, **changes: Any) -> str:
        settings = {"pad_type": "valid", "strides": [1, 1], "pad": [0, 0, 0, 0], "dilations": [1, 1], "groups": 1}
        return self.op("conv", weight=self.weight(w), x=x, **{**settings, **changes})

    def linear(self, x: str, w: np.ndarray) -> str:
        """w [out, in] times x [1, in, 1, S], as a convolution of one element."""
        return self.conv(x, w.reshape(*w.shape, 1, 1))

    def program(self, *outputs: str) -> Program:
        if self.tensors:
            weights.write(self.folder / "weights" / "weight.bin", self.tensors)
        return Program((Function("main", "ios18", tuple(self.inputs), tuple(self.statements), outputs),))

    def files(self) -> WeightFiles:
        return WeightFiles(self.folder)


def rms_norm(w: Writer, x: str, gain: np.ndarray) -> str:
    """x [1, d, 1, S] over its root mean square along the channels."""
    d = len(gain)
    small = w.op("mul", x=x, y=1 / 16)
    mean = w.op("reduce_mean", x=w.op("mul", x=small, y=small), axes=[1], keep_dims=True)
    scale = w.op("pow", x=w.op("add", x=mean, y=6e-8), y=-0.5)
    return w.op("mul", x=w.op("mul", x=small, y=scale), y=w.weight(gain.reshape(1, d, 1, 1)))


def layer_norm(w: Writer, x: str, gain: np.ndarray, bias: np.ndarray) -> str:
    """Layer norm along the channels, spelled out."""
    centred = w.op("sub", x=x, y=w.op("reduce_mean", x=x, axes=[1], keep_dims=True))
    variance = w.op("reduce_mean", x=w.op("mul", x=centred, y=centred), axes=[1], keep_dims=True)
    scale = w.op("pow", x=w.op("add", x=variance, y=1e-5), y=-0.5)
    scaled = w.op("mul", x=w.op("mul", x=centred, y=scale), y=w.weight(gain.reshape(1, -1, 1, 1)))
    return w.op("add", x=scaled, y=w.weight(bias.reshape(1, -1, 1, 1)))


def attention(w: Writer, q: str, k: str, v: str, heads: int, mask: np.ndarray, result: str | None = None) -> str:
    """Causal attention of q, k, v [1, d, 1, S] in heads."""
    _, d, _, s = w.types[q].shape
    split = [w.op("transpose", x=w.op("reshape", x=t, shape=[1, heads, d // heads, s]), perm=[0, 1, 3, 2]) for t in (q, k, v)]
    scores = w.op("matmul", x=split[0], y=split[1], transpose_x=False, transpose_y=True)
    scaled = w.op("mul", x=scores, y=float((d // heads) ** -0.5))
    masked = w.op("add", x=scaled, y=w.weight(mask.reshape(1, 1, s, s)))
    mixed = w.op("matmul", x=w.op("softmax", x=masked, axis=-1), y=split[2], transpose_x=False, transpose_y=False)
    return w.op("reshape", result=result, x=w.op("transpose", x=mixed, perm=[0, 1, 3, 2]), shape=[1, d, 1, s])


def swiglu(w: Writer, x: str, w1: np.ndarray, w2: np.ndarray, w3: np.ndarray) -> str:
    """W2 (silu(W1 x) * W3 x)"""
    h1 = w.linear(x, w1)
    gate = w.op("mul", x=w.op("mul", x=h1, y=w.op("sigmoid", x=h1)), y=w.linear(x, w3))
    return w.linear(gate, w2)


def gelu_tanh(w: Writer, x: str) -> str:
    """gelu in its tanh form, from mul, add and tanh."""
    cube = w.op("mul", x=w.op("mul", x=x, y=x), y=x)
    inner = w.op("mul", x=w.op("add", x=x, y=w.op("mul", x=cube, y=0.044715)), y=0.7979)
    return w.op("mul", x=w.op("mul", x=x, y=0.5), y=w.op("add", x=w.op("tanh", x=inner), y=1.0))


def causal(s: int) -> np.ndarray:
    """0 on and below the diagonal, -1e4 above it."""
    return np.triu(np.full((s, s), -1e4), 1)
