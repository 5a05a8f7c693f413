"""Reverse-mode differentiation: the gradient of a graph, as a graph in the same ops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from netwright.errors import nearest
from netwright.graph import Builder, Composite, Graph, Node, Value, expand_all
from netwright.graph.builder import copy_node, opened
from netwright.graph.op import Op
from netwright.graph.ops.binary import Add
from netwright.graph.ops.shape import zeros_like
from netwright.graph.types import FLOATS

from . import dead


def autodiff(
    graph: Graph, wrt: Sequence[str] | None = None, *, keep_outputs: bool = True, seeded: bool = False
) -> Graph:
    """The gradient of one step of `graph`, by reverse accumulation (Griewank and Walther 2008, section 3.2).

    `wrt` names inputs, states, parameters, or values that a node makes (None: every trainable parameter). The gradient
    of a value inside is what reaches it, whatever it is made of. The result has

    - inputs: the graph's own, its states as plain inputs, then `d_<output>` for each floating output and
      `d_<state>.after` for each floating state, each of its value's type. With `seeded` the graph must have one
      output of one element and no state; that output's gradient is 1 and there is no `d_` input;
    - outputs: with `keep_outputs` the graph's own and then the next states; then one gradient for each name in `wrt`,
      in that order, of its value's type. Nothing flows through integers and booleans: what is reached only through
      them has a gradient of zeros.

    Composites are differentiated through their expansions, but for those that have a rule of their own. Shapes are
    those of the types, the batch included: differentiate `graph.rebatch(n)` for another. The result may be
    differentiated again. Raises ValueError for a name in `wrt` that is absent or not floating point, and for an op
    without a gradient.
    """
    if seeded and (len(graph.outputs) != 1 or graph.outputs[0].type.size != 1 or graph.states):
        raise ValueError(f"{graph.name}: a seeded gradient needs one output of one element (a loss) and no state")
    targets = _targets(graph, wrt)
    names = [f"d_{v.name}" for v in graph.outputs] + [f"d_{s.name}.after" for s in graph.states]
    whole = _whole(graph, targets)
    step = _stateless(expand_all(graph, lambda op: op not in whole))
    b, new = opened(step, name=f"{graph.name}.gradient")
    copies: list[Node] = []
    for node in step.nodes:
        copies.append(copy_node(b, node, tuple(new[v] if v is not None else None for v in node.inputs)))
        new.update(zip(node.outputs, copies[-1].outputs, strict=True))
    ends = [new[v] for v in step.outputs]
    by_name = {v.name: new[v] for node in step.nodes for v in node.outputs}
    by_name |= {v.name: new[v] for v in (*step.inputs, *(p.value for p in step.params))}
    leaves = [by_name.get(v.name) for v in targets]  # None: the expansion dropped a parameter that nothing reads
    reached = _reached_from((v for v in leaves if v is not None), copies)
    grads: dict[Value, Value] = {}
    fixed = set(new.values())  # what keeps its name
    for name, end in zip(names, ends, strict=True):
        if end.dtype in FLOATS:
            seed = b.constant(np.ones(end.shape), "one", end.dtype) if seeded else b.input(name, end.type)
            _add(b, grads, end, seed)
            fixed.add(seed)
    _backward(b, copies, reached, grads)
    if keep_outputs:
        b.output(*ends)
    for target, leaf in zip(targets, leaves, strict=True):
        grad = grads.get(leaf) if leaf is not None else None
        grad = grad if grad is not None else zeros_like(b, target)
        if grad not in fixed:
            grad.name = b.unique(f"d_{target.name}")
            fixed.add(grad)
        b.output(grad)
    return dead.eliminate(b.graph())


def _targets(graph: Graph, wrt: Sequence[str] | None) -> list[Value]:
    """The values that `wrt` names."""
    if wrt is None:
        return [p.value for p in graph.params if p.trainable and p.value.dtype in FLOATS]
    known = {v.name: v for node in graph.nodes for v in node.outputs} | {v.name: v for v in graph.inputs}
    known |= {s.name: s.before for s in graph.states} | {p.value.name: p.value for p in graph.params}
    for name in wrt:
        if name not in known:
            raise ValueError(f"{graph.name} has no input, state, parameter or value {name!r}{nearest(name, known)}")
        if known[name].dtype not in FLOATS:
            raise ValueError(f"no gradient for {name!r}: it is {known[name].dtype}, not floating point")
    return [known[name] for name in wrt]


def _whole(graph: Graph, targets: Sequence[Value]) -> set[Op]:
    """Composites with a gradient rule that is enough wherever the graph has them."""
    known: set[Op] = set()
    lacking: set[Op] = set()
    reached = _reached_from(targets, graph.nodes)
    for node in graph.nodes:
        if isinstance(node.op, Composite) and node.op.differentiable:
            (known if _enough(node.op, node, reached) else lacking).add(node.op)
    return known - lacking


def _enough(op: Composite, node: Node, reached: set[Value]) -> bool:
    """Whether the op's own rule covers every operand that a gradient must reach."""
    return all(v not in reached for i, v in enumerate(node.inputs) if v is not None and i not in op.differentiable)


def _stateless(graph: Graph) -> Graph:
    """One step as a function: states come in after the inputs, and leave after the outputs."""
    return replace(
        graph,
        inputs=(*graph.inputs, *(s.before for s in graph.states)),
        outputs=(*graph.outputs, *(s.after for s in graph.states)),
        states=(),
    )


def _reached_from(leaves: Iterable[Value], nodes: Sequence[Node]) -> set[Value]:
    """Floating values that depend on a leaf through floating values."""
    reached = set(leaves)
    for node in nodes:
        if any(v in reached for v in node.inputs):
            reached.update(v for v in node.outputs if v.dtype in FLOATS)
    return reached


def _backward(b: Builder, nodes: Sequence[Node], reached: set[Value], grads: dict[Value, Value]) -> None:
    """Carry gradients from results to operands, last node first; `grads` is complete for a value once it is read."""
    for node in reversed(nodes):
        given = [grads.get(v) for v in node.outputs]
        if all(g is None for g in given) or not any(v in reached for v in node.outputs):
            continue
        with b.scope(f"d_{node.name}"):
            if isinstance(node.op, Composite) and not _enough(node.op, node, reached):
                raise ValueError(f"gradient of {node.name!r}: wanted for more than its rule covers; expand it first")
            try:
                parts = node.op.gradient(b, node, *given)
            except ValueError as error:
                raise ValueError(f"gradient of {node.name!r}: {error}") from None
            for operand, part in zip(node.inputs, parts, strict=True):
                if operand is not None and part is not None and operand in reached:
                    _add(b, grads, operand, part)


def _add(b: Builder, grads: dict[Value, Value], value: Value, part: Value) -> None:
    """Accumulate. Raises ValueError when an op's rule gave a gradient of another type."""
    if part.type != value.type:
        raise ValueError(f"the gradient of {value!r} came out as {part!r}")
    grads[value] = b(Add(), grads[value], part) if value in grads else part
