"""Text classifiers by templates: bits choose the parts, each part has settings of its own (HHNAS-AM, 2025).

The parts are a bag of words (Iyyer et al. 2015, "Deep averaging networks"), a convolution over words (Kim 2014,
"Convolutional neural networks for sentence classification") and a small transformer (Vaswani et al. 2017, section 3.1);
one of them is on at least. HHNAS-AM has RoBERTa and features that a language model wrote in their place, no code of it
was published, and the choices of each setting are ours. Several parts stand side by side, their results end to end or
added, or one after another: a part then reads what the one before made, and the results are end to end.

All read one table of embeddings, a row for each number of a word; row 0, where a text has ended, is learnt as others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from netwright.graph import Builder, Op, Type, Value
from netwright.graph.ops.index import Gather
from netwright.graph.ops.reduce import ReduceMax, ReduceMean
from netwright.graph.ops.shape import Concat, Transpose
from netwright.graph.ops.unary import Relu
from netwright.spaces import blocks
from netwright.spaces.candidate import Candidate
from netwright.spaces.some_of import OFF, ON, Several, SomeOf
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice
from netwright.spaces.zoo import vit

PARTS = ("convolution", "transformer", "bag")  # in the order in which they read one another
POOLS: dict[str, Op] = {"max": ReduceMax((1,), False), "mean": ReduceMean((1,), False)}
RECIPE = {"decay": 0.05, "beta2": 0.98, "warmup": 0.1}
TURN = Transpose((0, 2, 1))

tree = {
    "embedding": Choice((16, 32, 64)),
    "template": SomeOf(
        {
            "convolution": {
                "kernel": Choice((2, 3, 4, 5)),  # words
                "filters": Choice((32, 64, 128)),
                "layers": Choice((1, 2)),
                "pool": Choice(("max", "mean")),
            },
            "transformer": {
                "layers": Choice((1, 2)),
                "heads": Choice((1, 2, 4)),
                "ratio": Choice((1, 2)),
                "pool": Choice(("max", "mean")),
            },
            "bag": {"width": Choice((0, 32, 64)), "pool": Choice(("max", "mean"))},  # 0: the embeddings themselves
        },
        together={"join": Choice(("concat", "add", "serial"))},
    ),
    "dense": Choice((0, 32, 64, 128)),  # 0: no hidden layer
    "rate": Choice((4e-3, 8e-3, 1.6e-2)),
    "drop": Choice((0.0, 0.2, 0.4)),  # share of the words that a training step leaves out
}
USUAL = {
    "embedding": 32, "dense": 64, "rate": 8e-3, "drop": 0.2, "template/join": "concat",
    "template/convolution/kernel": 3, "template/convolution/filters": 64, "template/convolution/layers": 1,
    "template/convolution/pool": "max", "template/transformer/layers": 1, "template/transformer/heads": 2,
    "template/transformer/ratio": 2, "template/transformer/pool": "mean", "template/bag/width": 0,
    "template/bag/pool": "mean",
}  # fmt: skip


def space(vocabulary: int = 8192, fixed: Mapping[str, Any] | None = None) -> Space:
    """Templates over numbers of words below `vocabulary`. `fixed` decides what is not to be searched, by address:
    {"template/transformer": "on"}. UserError for an address or a value that there is not."""
    about = "templates of text classifiers: bag of words, convolution, transformer"
    return Space("text-templates", tree, partial(build, vocabulary), about=about).fix(fixed or {})


def usual(*parts: str) -> Candidate:
    """The template of these parts ("bag", ...) with the usual value of every setting. ValueError for other names."""
    if not parts or not set(parts) <= set(PARTS):
        raise ValueError(f"a template has one or more of {', '.join(PARTS)}, not {', '.join(parts) or 'none'}")
    bits = {f"template/{part}": ON if part in parts else OFF for part in PARTS}
    chosen = {**USUAL, **bits}
    found: Candidate = space().walk(lambda address, domain: chosen[address])[1]
    return found


def build(vocabulary: int, structure: Any, x: Type, y: Type) -> Build:
    """x: numbers of words [1, T] int32 -> logits [1, K]."""
    if len(x.shape) != 2 or x.dtype not in ("int32", "int64"):
        raise ValueError(f'the space "text-templates" needs numbers of words (int32 [1, T]), not {x}')
    b, numbers = blocks.start("text", x)
    table = b.param("embedding", (vocabulary, structure["embedding"]), init=vit.SMALL)
    words = b(Gather(), table, numbers, name="embedded")  # [1, T, E]
    template: Several = structure["template"]
    join = template.together["join"] if template.together is not None else "concat"
    results, read = [], words
    for name, part in template.parts.items():
        with b.scope(name):
            made = _MAKERS[name](b, read, part)
            results.append(b(POOLS[part["pool"]], made, name="pool"))
        if join == "serial":
            read = made
    v = _joined(b, results, join)
    if structure["dense"]:
        v = b(Relu(), blocks.dense(b, v, structure["dense"], "dense"), name="dense.relu")
    recipe = {**RECIPE, "rate": structure["rate"], "augment": {"drop": structure["drop"]}}
    return Build(blocks.finish(b, blocks.dense(b, v, y.shape[-1], "classifier")), recipe)


def _joined(b: Builder, results: list[Value], join: str) -> Value:
    """Results [1, W] of the parts as one: end to end, or brought to the widest part's width and added."""
    if len(results) == 1:
        return results[0]
    if join != "add":
        return b(Concat(1), *results, name="joined")
    widest = max(v.shape[-1] for v in results)
    total, *rest = (blocks.dense(b, v, widest, f"join{place}") for place, v in enumerate(results))
    for v in rest:
        total = b(blocks.ADD, total, v, name="joined")
    return total


def _convolution(b: Builder, x: Value, part: Mapping[str, Any]) -> Value:
    v = b(TURN, x, name="channels")
    for layer in range(part["layers"]):
        with b.scope(f"layer{layer}"):
            v = blocks.conv(b, v, part["filters"], part["kernel"])
    return b(TURN, v, name="words")


def _transformer(b: Builder, x: Value, part: Mapping[str, Any]) -> Value:
    v = b(blocks.ADD, x, b.param("position", x.shape[1:], init=vit.SMALL), name="positioned")
    for layer in range(part["layers"]):
        with b.scope(f"layer{layer}"):
            v = vit.encoder_block(b, v, part["heads"], part["ratio"])
    return vit.norm(b, v, "norm")


def _bag(b: Builder, x: Value, part: Mapping[str, Any]) -> Value:
    """Each word by itself."""
    if not part["width"]:
        return x
    weight = b.param("weight", (part["width"], x.shape[-1]), init=blocks.NARROW)
    bias = b.param("bias", (part["width"],), init=blocks.ZERO)
    return b(Relu(), b(blocks.LINEAR, x, weight, bias, name="each"), name="relu")


_MAKERS = {"convolution": _convolution, "transformer": _transformer, "bag": _bag}
