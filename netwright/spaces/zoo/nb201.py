"""NAS-Bench-201: one cell of four nodes, six edges and five operations (Dong and Yang 2020, section 2).

A decision is named by its edge, "0-1" to "2-3", and is one of the benchmark's own operation names. `to_string` and
`from_string` speak the benchmark's strings; its index is that of a table, not of the space.

The skeleton (section 2.1): 3x3 stem, three stages of N cells with C, 2C and 4C channels, residual blocks of stride 2
between them, batch norm, ReLU, global average, classifier. Smaller C and N make reduced networks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.graph import Builder, Type, Value
from netwright.graph.ops.binary import Mul
from netwright.graph.ops.pool import AveragePool
from netwright.spaces import blocks, cells
from netwright.spaces.candidate import Candidate
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")  # in the order of the benchmark's strings
INTO = {node: tuple((int(edge[0]), edge) for edge in EDGES if edge[2] == str(node)) for node in (1, 2, 3)}
POOL = cells.pool("average")


def to_string(candidate: Mapping[str, str]) -> str:
    """The benchmark's string: "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"."""
    return "+".join(
        "|" + "|".join(f"{candidate[edge]}~{source}" for source, edge in INTO[node]) + "|" for node in (1, 2, 3)
    )


def from_string(text: str) -> Candidate:
    """The candidate that a string of the benchmark names; UserError for any other text."""
    groups = text.strip().split("+")
    found: dict[str, str] = {}
    for node, group in enumerate(groups, 1):
        for op, source in re.findall(r"([a-z0-9_]+)~(\d)", group):
            found[f"{source}-{node}"] = op
    wrong = [op for op in found.values() if op not in OPS]
    if wrong:
        raise UserError(f'"{text}": there is no operation "{wrong[0]}" in NAS-Bench-201 (there are: {", ".join(OPS)})')
    if set(found) != set(EDGES) or to_string(found) != text.strip():
        raise UserError(f'"{text}" is no NAS-Bench-201 cell; one reads |op~0|+|op~0|op~1|+|op~0|op~1|op~2|')
    return Candidate({edge: found[edge] for edge in EDGES})


def string_class(structure: Mapping[str, str]) -> str:
    """The benchmark's own rule for cells that are alike: 6,466 classes. It keeps sums of zeros as terms."""
    nodes = ["0"]
    for node in (1, 2, 3):
        terms = []
        for source, edge in INTO[node]:
            op = structure[edge]
            if op == "none" or nodes[source] == "#":
                terms.append("#")
            else:
                terms.append(nodes[source] if op == "skip_connect" else f"({nodes[source]})@{op}")
        nodes.append("+".join(sorted(terms)))
    return nodes[3]


def terms(structure: Mapping[str, str]) -> list[tuple[str, ...]]:
    """What each node sums, zeros left out and identities unfolded: sorted terms, a repeated one as often as it is."""
    nodes: list[tuple[str, ...]] = [("x",)]
    for node in (1, 2, 3):
        found: list[str] = []
        for source, edge in INTO[node]:
            op = structure[edge]
            if op == "none" or not nodes[source]:
                continue
            found += nodes[source] if op == "skip_connect" else [f"{op}({'+'.join(nodes[source])})"]
        nodes.append(tuple(sorted(found)))
    return nodes


def canonical(structure: Mapping[str, str]) -> str:
    """The cell as a formula: 4,930 over the 15,625. Cells of one formula give equal outputs when the convolutions of
    equal terms have equal weights. A convolution of nothing is taken as nothing, which a trained one's batch norm may
    shift by a constant."""
    return "+".join(terms(structure)[3]) or "0"


def space(channels: int = 16, cells: int = 5) -> Space:
    """C channels in the first stage and N cells a stage; the benchmark's are 16 and 5.

    ValueError unless both are at least 1.
    """
    if channels < 1 or cells < 1:
        raise ValueError(f"channels ({channels}) and cells ({cells}) are at least 1")
    tree = {edge: Choice(OPS) for edge in EDGES}
    about = "NAS-Bench-201 cells for small images"
    return Space("nb201", tree, partial(build, channels, cells), about=about, canonical=canonical)


def build(channels: int, number: int, structure: Any, x: Type, y: Type) -> Build:
    """x [1, C, H, W] -> logits [1, K]. Edges that carry nothing, or that the output does not see, are not built."""
    cells.need_images(x, "nb201")
    b, v = blocks.start("nb201", x)
    with b.scope("stem"):
        v = cells.conv_norm(b, v, channels, 3)
    for stage in range(3):
        if stage:
            with b.scope(f"reduce{stage}"):
                v = _residual(b, v, channels << stage)
        for place in range(number):
            with b.scope(f"stage{stage}.cell{place}"):
                v = _cell(b, v, structure)
    with b.scope("last"):
        v = b(cells.RELU, blocks.norm(b, v), name="relu")
    return Build(cells.finish(b, v, y.shape[-1]))


def _cell(b: Builder, x: Value, structure: Mapping[str, str]) -> Value:
    needed = {3}
    for node in (3, 2, 1):
        if node in needed:
            needed.update(source for source, edge in INTO[node] if structure[edge] != "none")
    nodes: list[Value | None] = [x, None, None, None]
    for node in (1, 2, 3):
        for source, edge in INTO[node] if node in needed else ():
            given = nodes[source]
            if structure[edge] != "none" and given is not None:
                with b.scope(f"{edge}.{structure[edge]}"):
                    part = _edge(b, given, structure[edge])
                nodes[node] = part if nodes[node] is None else b(blocks.ADD, nodes[node], part, name=f"node{node}")
    return nodes[3] if nodes[3] is not None else b(Mul(), x, b.constant(np.zeros((1,) * 4), "zero"), name="nothing")


def _edge(b: Builder, x: Value, op: str) -> Value:
    if op == "skip_connect":
        return x
    return POOL(b, x, x.shape[1], 1) if op == "avg_pool_3x3" else cells.relu_conv(b, x, x.shape[1], int(op[-1]))


def _residual(b: Builder, x: Value, width: int) -> Value:
    """The basic residual block of stride 2: its shortcut averages 2x2, then a 1x1 convolution."""
    with b.scope("a"):
        y = cells.relu_conv(b, x, width, 3, 2)
    with b.scope("b"):
        y = cells.relu_conv(b, y, width, 3)
    with b.scope("shortcut"):
        pads = (0, 0, *(n % 2 for n in x.shape[2:]))
        s = cells.convolved(b, b(AveragePool((2, 2), (2, 2), pads), x, name="average"), width, (1, 1))
    return b(blocks.ADD, s, y, name="sum")
