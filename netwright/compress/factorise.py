"""Linear maps as two factors of a lower rank, from the singular value decomposition of their weights.

Source: MCUFormer (Liang et al. 2023), which starts its low-rank layers so; its middle factor, the singular values, is
part of the first here.
"""

from __future__ import annotations

import numpy as np

from netwright.errors import UserError
from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.linear import Linear


def factorise(graph: Graph, ratio: float, *, always: bool = False) -> Graph:
    """Every linear layer in -> out as in -> R -> out, R = ratio * min(in, out), at least 1.

    Of all factors of that rank these are nearest to the weights (Eckart and Young 1936); ratio 1 gives the same map up
    to rounding. Layers where the factors would have no fewer weights stay, unless `always`. Raises UserError for a
    ratio outside 0 to 1 and for weights without contents.
    """
    if not 0 < ratio <= 1:
        raise UserError(f"a rank ratio lies above 0 and is at most 1, not {ratio}")

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        weight = node.inputs[1] if isinstance(node.op, Linear) else None
        if weight is None or weight not in graph.param_of:
            return None
        out, given = weight.shape
        rank = max(1, int(ratio * min(out, given)))
        if rank * (out + given) >= out * given and not always:
            return None
        if not graph.store.has(graph.param_of[weight]):
            raise UserError(f"{weight.name} has no contents: train the network before it is factorised")
        u, s, v = np.linalg.svd(graph.store.read(graph.param_of[weight]).astype(np.float64), full_matrices=False)
        made = []
        for part, array in (("inner", s[:rank, None] * v[:rank]), ("outer", u[:, :rank])):
            value = b.param(f"{weight.name}.{part}", array.shape)
            b.store[value.name] = array.astype(np.float32)
            made.append(value)
        inner = b(Linear(), inputs[0], made[0], name=f"{node.name}.inner")
        return b(Linear(), inner, made[1], *inputs[2:], name=node.name)

    return rebuild(graph, rule)
