"""What a planned training step holds in RAM, part by part."""

from __future__ import annotations

from netwright.compile.memory import Buffer, Plan
from netwright.graph import Graph
from netwright.graph.ops.int8.loss import QCrossEntropy

PARTS = ("weights", "residues", "biases", "activations", "masks", "gradients")


def memory(step: Graph, plan: Plan) -> dict[str, int]:
    """Bytes of a `train_step`: updated weights, their residues, updated biases; activations and clip masks kept for the
    way back, where the loss is computed; gradients, where most of them are alive; and the whole arena."""
    suffixes = {".trained": "weights", ".residue": "residues", ".trained_bias": "biases"}
    found = dict.fromkeys(PARTS, 0)
    states = {s.before for s in step.states}
    for state in states:
        part = next(part for suffix, part in suffixes.items() if state.name.endswith(suffix))
        found[part] += state.type.bytes
    turn = next(i for i, node in enumerate(step.nodes) if isinstance(node.op, QCrossEntropy))

    def held(at: int, dtype: str) -> int:
        return sum(_size(b, dtype) for b in plan.buffers if b.first <= at <= b.last and not states & set(b.values))

    logits = step.nodes[turn].inputs[0]
    assert logits is not None
    found["activations"] = held(turn, "int8") - logits.type.bytes
    found["masks"] = held(turn, "uint8")
    found["gradients"] = max(held(i, "float32") for i in range(turn, len(step.nodes)))
    return {**found, "arena": plan.bytes}


def _size(buffer: Buffer, dtype: str) -> int:
    return buffer.bytes if buffer.values and buffer.values[0].dtype == dtype else 0
