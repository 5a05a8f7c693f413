"""Damaged model files, by seed: real TFLite and ONNX files, bits flipped, ends cut off, numbers swapped, files spliced.

`corpus` finds the files to start from and where their structure lies (weights are most of a file and say nothing about
how it is read); `damaged` makes one file of a seed and a number, the same one every time.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

LARGEST = 400_000  # bytes of a file that is taken
EXTREME = (0, 1, 2, 3, 4, 127, 128, 255, 256, 32767, 65535, 65536, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31, 0xFFFFFFFF,
           0xFFFFFFFE, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF, 0x00000001, 0x80000001)  # fmt: skip
WIDE = (0, 1, -1, 2, 3, 7, 64, 1000, 65535, 1 << 20, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), -2)

VARINTS = (b"\xff\xff\xff\xff\x0f", b"\xff" * 8 + b"\x7f", b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01")


@dataclass(frozen=True)
class Base:
    """A file to damage: its bytes, which ranges are structure, and where its numbers (shapes, indices, options) lie."""

    kind: str  # tflite | onnx
    name: str
    data: bytes
    structure: tuple[tuple[int, int], ...]
    numbers: tuple[tuple[int, int], ...] = ()  # (place, bytes)


def corpus(data: Path | None, kinds: tuple[str, ...] = ("tflite", "onnx")) -> dict[str, list[Base]]:
    """Files of each kind: of `data` where it is given, and those that need none."""
    found: dict[str, list[Base]] = {}
    if "tflite" in kinds:
        files = [*_recorded(data), *_written()] if data is not None else list(_written())
        found["tflite"] = [_tflite(name, contents) for name, contents in files]
    if "onnx" in kinds:
        # whole networks are few beside the tests of single operators: they are drawn more often
        found["onnx"] = [_onnx(*f) for f in _operators()] + 6 * [_onnx(*f) for f in (*_shipped(), *_exported())]
    return found


def _recorded(data: Path) -> Iterator[tuple[str, bytes]]:
    from .recorded import models

    for path in models(data):
        if path.stat().st_size <= LARGEST:
            yield path.name, path.read_bytes()


def _written() -> Iterator[tuple[str, bytes]]:
    """One file of each operator, as the tests write them."""
    import sys

    folder = str(Path(__file__).parents[1] / "tests" / "tflite")
    if folder not in sys.path:
        sys.path.append(folder)
    from operators import all_cases  # type: ignore[import-not-found]

    for i, (name, contents) in enumerate(all_cases()):
        yield f"{name} {i}", contents


def _shipped() -> Iterator[tuple[str, bytes]]:
    """Small models inside the onnx package."""
    import onnx

    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for path in sorted(folder.rglob("*.onnx")):
        if path.stat().st_size <= LARGEST:
            yield str(path.relative_to(folder)), path.read_bytes()


def _operators() -> Iterator[tuple[str, bytes]]:
    """ONNX's own tests of each operator."""
    import warnings

    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in load_model_tests(kind="node"):
            if case.model.ByteSize() <= LARGEST:
                yield case.name, case.model.SerializeToString()


def _exported() -> Iterator[tuple[str, bytes]]:
    """Graphs of ours: float layers, their int8 form, a recurrent cell, attention."""
    from netwright.compress import quantise
    from netwright.graph import OPS, Builder, Graph, Type
    from netwright.graph.onnx import to_onnx

    def with_weights(graph: Graph) -> Graph:
        return graph.with_store(graph.store.initialise(graph, 0))

    b = Builder("convolutions")
    x = b.input("x", Type((1, 3, 16, 16)))
    y = b(OPS["conv"]((2, 2), (1, 1, 1, 1)), x, b.param("w", (8, 3, 3, 3)), b.param("b", (8,)))
    y = b(OPS["relu"](), y)
    y = b(OPS["conv"]((1, 1), (1, 1, 1, 1), groups=8), y, b.param("d", (8, 1, 3, 3)))
    y = b(OPS["max_pool"]((2, 2), (2, 2)), y)
    y = b(OPS["reduce_mean"]((2, 3), False), y)
    b.output(b(OPS["linear"](), y, b.param("v", (10, 8)), b.param("c", (10,))))
    graph = with_weights(b.graph())
    yield "convolutions", to_onnx(graph).SerializeToString()
    images = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)
    yield "convolutions.int8", to_onnx(quantise(graph, images)).SerializeToString()
    b = Builder("attention")
    x = b.input("x", Type((1, 6, 8)))
    q, k, v = (b(OPS["linear"](), x, b.param(n, (8, 8))) for n in "qkv")
    scores = b(OPS["softmax"](-1), b(OPS["matmul"](), q, b(OPS["transpose"]((0, 2, 1)), k)))
    y = b(OPS["add"](), x, b(OPS["matmul"](), scores, v))
    y = b(OPS["layer_norm"](), y, b.param("g", (8,)), b.param("h", (8,)))
    b.output(b(OPS["gelu"](), b(OPS["reshape"]((0, 48)), y)))
    yield "attention", to_onnx(with_weights(b.graph())).SerializeToString()


def _tflite(name: str, data: bytes) -> Base:
    """Everything but the contents of large buffers is structure; `numbers` are the fields and list elements read."""
    from netwright.graph.tflite.flatbuffer import Table
    from netwright.graph.tflite.model import read_model

    start = np.frombuffer(data, np.uint8).ctypes.data
    weights: list[tuple[int, int]] = []
    numbers: set[tuple[int, int]] = set()
    plain, listed = Table.number, Table.numbers

    def number(table: Any, slot: int, kind: str, default: Any = 0) -> Any:
        at = table._field(slot)
        if at:
            numbers.add((at, struct.calcsize(f"<{kind}")))
        return plain(table, slot, kind, default)

    def several(table: Any, slot: int, dtype: str) -> np.ndarray | None:
        found = listed(table, slot, dtype)
        if found is not None and found.nbytes > 64:
            weights.append((found.ctypes.data - start, found.nbytes))
        elif found is not None:  # the contents of a small buffer are an operator's integers or a few weights
            size = found.itemsize if found.itemsize > 1 or found.nbytes % 4 else 4
            numbers.update((found.ctypes.data - start + at, size) for at in range(0, found.nbytes, size))
        return found

    with mock.patch.multiple(Table, number=number, numbers=several):
        read_model(data)
    return Base("tflite", name, data, _without(len(data), weights), tuple(sorted(numbers)))


def _onnx(name: str, data: bytes) -> Base:
    import onnx

    model = onnx.ModelProto.FromString(data)
    weights = []
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 64:
            at = data.find(tensor.raw_data)
            if at >= 0:
                weights.append((at, len(tensor.raw_data)))
    return Base("onnx", name, data, _without(len(data), weights))


def _without(size: int, weights: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    ranges, at = [], 0
    for start, length in sorted(weights):
        if start > at:
            ranges.append((at, start))
        at = max(at, start + length)
    if at < size:
        ranges.append((at, size))
    return tuple(ranges) or ((0, size),)


def damaged(bases: list[Base], seed: int, number: int) -> tuple[Base, bytes]:
    """File `number` of a seed, and what it was made of."""
    rnd = random.Random(f"{seed}:{number}")
    base = rnd.choice(bases)
    how = rnd.random()
    if how < 0.08:
        return base, base.data[: rnd.randrange(len(base.data))]
    if how < 0.16:
        return base, _spliced(base, rnd.choice(bases), rnd)
    if base.kind == "onnx" and how < 0.55:
        return base, _fields(base.data, rnd)
    out = bytearray(base.data)
    changes = rnd.choice((1, 1, 1, 2, 3, 8))
    if base.numbers and how < 0.65:
        for _ in range(changes):
            _number(out, *rnd.choice(base.numbers), rnd)
    else:
        for _ in range(changes):
            _change(out, base, rnd)
    return base, bytes(out)


def _number(out: bytearray, at: int, size: int, rnd: random.Random) -> None:
    """A dimension, an index, an option: extreme, small, near what it was, or a scale of another order."""
    before = int.from_bytes(out[at : at + size], "little")
    near, flipped = before + rnd.choice((-1, 1, 2)), before ^ 1 << rnd.randrange(8 * size)
    some = (rnd.choice(EXTREME), rnd.choice(WIDE), rnd.randrange(12), near, flipped)
    out[at : at + size] = (rnd.choice(some) % (1 << 8 * size)).to_bytes(size, "little")


def _place(base: Base, size: int, rnd: random.Random) -> int:
    """A byte of the structure, seldom of the weights."""
    if rnd.random() < 0.05:
        return rnd.randrange(size)
    ranges = base.structure
    start, stop = rnd.choices(ranges, [b - a for a, b in ranges])[0]
    return min(rnd.randrange(start, stop), size - 1)


def _change(out: bytearray, base: Base, rnd: random.Random) -> None:
    if len(out) < 16:
        return
    at, how = _place(base, len(out), rnd), rnd.random()
    word = min(at & ~3 if base.kind == "tflite" else at, len(out) - 4)
    if how < 0.25:
        out[at] ^= 1 << rnd.randrange(8)
    elif how < 0.45:
        out[at] = rnd.choice((0, 1, 2, 127, 128, 255, rnd.randrange(256)))
    elif how < 0.78:
        struct.pack_into("<I", out, word, rnd.choice((*EXTREME, rnd.randrange(1 << 32), rnd.randrange(64))))
    elif how < 0.86:
        other = _place(base, len(out), rnd)
        other = min(other & ~3 if base.kind == "tflite" else other, len(out) - 4)
        if abs(other - word) >= 4:
            out[word : word + 4], out[other : other + 4] = out[other : other + 4], out[word : word + 4]
    elif how < 0.91:
        length = rnd.choice((1, 2, 4, 8, 12, rnd.randrange(1, 64)))
        del out[at : at + length]
    elif how < 0.96:
        length = rnd.choice((1, 2, 4, 8, 12, rnd.randrange(1, 64)))
        source = _place(base, len(out), rnd)
        out[at:at] = out[source : source + length]
    elif base.kind == "onnx":
        out[at : at + 1] = rnd.choice(VARINTS)
    else:
        out[at:at] = rnd.randbytes(rnd.choice((1, 2, 4, 8)))


def _spliced(base: Base, other: Base, rnd: random.Random) -> bytes:
    """The head of one file and the tail of another, or a piece of another over a piece of this one."""
    if rnd.random() < 0.5:
        return base.data[: rnd.randrange(len(base.data))] + other.data[rnd.randrange(len(other.data)) :]
    out = bytearray(base.data)
    start, length = _place(base, len(out), rnd), rnd.choice((4, 16, 64, 256, 1024))
    source = _place(other, len(other.data), rnd)
    piece = other.data[source : source + length]
    out[start : start + len(piece)] = piece
    return bytes(out)


def _fields(data: bytes, rnd: random.Random) -> bytes:
    """A file that parses, with impossible numbers and swapped names in it."""
    import onnx

    proto = onnx.ModelProto.FromString(data)
    graph = proto.graph
    for _ in range(rnd.choice((1, 1, 2, 4))):
        what = rnd.randrange(8)
        if what <= 1 and graph.node:
            node = rnd.choice(graph.node)
            if node.attribute:
                _attribute(rnd.choice(node.attribute), rnd)
        elif what == 2 and graph.node:
            nodes = [rnd.choice(graph.node) for _ in range(2)]
            if nodes[0].input and nodes[1].input:
                nodes[0].input[rnd.randrange(len(nodes[0].input))] = rnd.choice(["", *nodes[1].input, *nodes[1].output])
        elif what == 3 and graph.node:
            a, b = rnd.choice(graph.node), rnd.choice(graph.node)
            a.op_type = b.op_type
        elif what == 4 and graph.input:
            dims = rnd.choice(graph.input).type.tensor_type.shape.dim
            if dims:
                rnd.choice(dims).dim_value = rnd.choice(WIDE)
        elif what == 5 and graph.initializer:
            _tensor(rnd.choice(graph.initializer), rnd)
        elif what == 6 and graph.node:
            index = rnd.randrange(len(graph.node))
            if rnd.random() < 0.5:
                del graph.node[index]
            else:
                graph.node.add().CopyFrom(graph.node[index])
        elif what == 7 and proto.opset_import:
            rnd.choice(proto.opset_import).version = rnd.choice((*range(1, 24), 0, -1, 2**40))
    return bytes(proto.SerializeToString())


def _attribute(attribute: Any, rnd: random.Random) -> None:
    if attribute.ints and rnd.random() < 0.8:
        if rnd.random() < 0.2:
            attribute.ints.append(rnd.choice(WIDE))
        else:
            attribute.ints[rnd.randrange(len(attribute.ints))] = rnd.choice(WIDE)
    elif rnd.random() < 0.6:
        attribute.i = rnd.choice(WIDE)
    elif rnd.random() < 0.5:
        attribute.f = rnd.choice((0.0, -1.0, float("inf"), float("nan"), 1e-30, 1e30))
    else:
        attribute.type = rnd.randrange(15)


def _tensor(tensor: Any, rnd: random.Random) -> None:
    how = rnd.random()
    integers = {6: 4, 7: 8}.get(tensor.data_type, 0)
    if how < 0.4 and tensor.dims:
        tensor.dims[rnd.randrange(len(tensor.dims))] = rnd.choice(WIDE)
    elif how < 0.7 and integers and len(tensor.raw_data) >= integers:  # shapes, axes, pads
        raw = bytearray(tensor.raw_data)
        at = rnd.randrange(len(raw) // integers) * integers
        raw[at : at + integers] = (rnd.choice(WIDE) % (1 << 8 * integers)).to_bytes(integers, "little")
        tensor.raw_data = bytes(raw)
    elif how < 0.8:
        tensor.data_type = rnd.randrange(27)
    elif how < 0.9 and tensor.int64_data:
        tensor.int64_data[rnd.randrange(len(tensor.int64_data))] = rnd.choice(WIDE)
    else:
        tensor.raw_data = tensor.raw_data[: rnd.randrange(len(tensor.raw_data) + 1)]
