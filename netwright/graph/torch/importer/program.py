"""A whole module: trace it, decompose what has no rule, import node by node."""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind

from netwright.errors import UserError

from ...builder import live
from ...graph import Graph, Value
from ...store import Store
from ...types import Type
from .importer import RULES, Import, aten_name
from .naming import user_frame
from .shape import VIEWS

_MOVING = frozenset(
    ("permute", "transpose", "t", "movedim", "select", "unsqueeze", "squeeze", "lstm", "gru", "rnn_tanh", "rnn_relu")
)  # ops that may take the batch from the front
_DATA_DEPENDENT = ("data-dependent", "DataDependent", "unbacked", "Eq(u", "u0")


def from_torch(module: torch.nn.Module, example: Any, *, name: str | None = None) -> Graph:
    """The graph of `module` in evaluation mode, traced by `torch.export` on `example` (a tensor or a tuple of them).

    Shapes are the example's. Where all inputs begin with a dimension of 1, the graph runs other batches too, unless
    forward broadcasts a parameter to the batch (a class token: give the example the batch that is wanted). Parameters
    and buffers keep their qualified names and are copied; floating parameters that require gradients are trainable,
    except that the two biases of a recurrent layer become one. What is computed from buffers and constants alone is
    computed now. A buffer that forward changes becomes a state if it starts as one value throughout. The module itself
    is left as it was. Raises UserError, one line, for control flow or shapes that depend on data, for an op that has no
    rule (naming it, its module and its line) and for a buffer that cannot be a state.
    """
    inputs = tuple(example) if isinstance(example, (tuple, list)) else (example,)
    for x in inputs:
        if not isinstance(x, torch.Tensor):
            raise UserError(f"example holds {type(x).__name__}: give a tensor or a tuple of tensors, one an input")
    program = _exported(module, inputs)
    im = Import(name or type(module).__name__)
    im.doubled = _doubled(module, inputs, program)
    _open(im, program, {_key(p): n for n, p in module.named_parameters()})
    for node in program.graph.nodes:
        if node.op == "call_function":
            im.node(node)
        elif node.op not in ("placeholder", "output"):
            raise UserError(f"{im.b.name}: {node.target} is not a tensor op; leave it out of forward")
    _close(im, program)
    return _live(im.b.graph())


def _exported(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    """The module as a functional program whose ops have rules where rules exist."""
    from torch._decomp import core_aten_decompositions

    with _evaluation(module), _silence(), torch.no_grad():
        try:
            program = torch.export.export(module, inputs)
            table = {op: rule for op, rule in core_aten_decompositions().items() if aten_name(op) not in RULES}
            return program.run_decompositions(table)
        except Exception as error:
            raise UserError(_why(module, error)) from None


def _doubled(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], program: Any) -> dict[str, tuple[int, ...]]:
    """Shapes for a batch of 2 where the batch may leave the front: a batch of 1 does not show where it goes."""

    def shape(node: Any) -> tuple[int, ...]:
        meta = node.meta.get("val")
        return tuple(meta.shape) if isinstance(meta, torch.Tensor) else ()

    def moves(node: Any) -> bool:
        op = aten_name(node.target) if node.op == "call_function" else ""
        return op in _MOVING or (op in VIEWS and not shape(node)[:1] == shape(node.args[0])[:1] == (1,))

    nodes = list(program.graph.nodes)
    if not any(map(moves, nodes)) or any(x.shape[:1] != (1,) for x in inputs):
        return {}
    try:
        twice = list(_exported(module, tuple(torch.cat([x, x]) for x in inputs)).graph.nodes)
    except UserError:  # a module made for one sample
        return {}
    if [(n.op, n.name) for n in twice] != [(n.op, n.name) for n in nodes]:
        return {}
    return {n.name: shape(n) for n in twice}


@contextmanager
def _evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode inside, every submodule's own mode again afterwards."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing printed meanwhile: torch explains at length what `_why` says in a line."""
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logged)


def _why(module: torch.nn.Module, error: Exception) -> str:
    """One line for whatever `torch.export` raised."""
    text = f"{type(error).__name__}: {error}"
    place = user_frame("".join(traceback.format_exception(error))) or user_frame(str(error))
    at = f" at {place}" if place else ""
    if any(mark in text for mark in _DATA_DEPENDENT):
        return (
            f"{type(module).__name__}{at}: control flow or a shape depends on the values of a tensor; "
            "use torch.where or masks, or decide from shapes and constants"
        )
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{type(module).__name__}{at}: torch.export cannot trace it with this example ({first[:200]})"


def _key(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Equal for tensors that are the same view of the same memory."""
    return tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride())


def _open(im: Import, program: Any, names: dict[tuple[Any, ...], str]) -> None:
    """Inputs, parameters (called as `names` has them), constants and states."""
    signature = program.graph_signature
    nodes = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    changed = set(signature.buffers_to_mutate.values())
    shared: dict[tuple[Any, ...], Value] = {}  # one parameter under two names (tied weights) is one value
    for spec in signature.input_specs:
        node = nodes[spec.arg.name]
        if spec.kind == InputKind.USER_INPUT:
            if isinstance(node.meta.get("val"), torch.Tensor):
                meta = node.meta["val"]
                im.values[node] = im.b.input(node.name, Type(tuple(meta.shape), im.dtype_name(meta.dtype)))
            continue
        if spec.kind == InputKind.TOKEN:  # orders side effects, which no rule has
            continue
        if spec.kind not in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            raise UserError(f"{im.b.name}: {spec.target!r} is a {spec.kind.name.lower()}; use plain tensors")
        held = program.state_dict if spec.target in program.state_dict else program.constants
        tensor = held[spec.target]
        if spec.kind == InputKind.PARAMETER:
            key = _key(tensor)
            if node.users and key not in shared:
                trainable = tensor.requires_grad and tensor.is_floating_point()
                shared[key] = im.parameter(names.get(key, spec.target), tensor, trainable=trainable)
            im.values[node] = shared.get(key)
        elif spec.target in changed:
            im.values[node] = _state(im, spec.target, tensor)
        else:
            im.values[node] = tensor
            im.names[id(tensor)] = spec.target


def _state(im: Import, target: str, tensor: torch.Tensor) -> Value:
    """A buffer that forward changes. Raises UserError unless it starts as one number throughout."""
    first = tensor.flatten()[0] if tensor.numel() else torch.zeros(())
    if not bool((tensor == first).all()):
        raise UserError(
            f"{im.b.name}: forward changes buffer {target!r}, which starts with different values; a state starts as "
            "one number everywhere: fill the buffer with one, or pass it in and out as a tensor"
        )
    return im.b.state(target, Type(tuple(tensor.shape), im.dtype_name(tensor.dtype)), float(first))


def _close(im: Import, program: Any) -> None:
    """Outputs in the order of the flattened result, and what states become."""
    nodes = {n.name: n for n in program.graph.nodes}
    states = {s.name: s for s in im.b._states}
    for spec in program.graph_signature.output_specs:
        if getattr(spec.arg, "name", None) not in nodes:
            if getattr(spec.arg, "value", None) is not None:
                raise UserError(f"{im.b.name} returns {spec.arg.value!r}, which is no tensor: return tensors only")
            continue
        found = im.values[nodes[spec.arg.name]]
        if spec.kind == OutputKind.USER_OUTPUT:
            im.b.output(im.value(found))
        elif spec.kind == OutputKind.BUFFER_MUTATION:
            im.b.update(states[spec.target], im.value(found))
        else:
            raise UserError(f"{im.b.name} writes into input {spec.target!r}: compute a new tensor instead")


def _live(graph: Graph) -> Graph:
    """Without nodes, parameters and tensors that no output or state needs: last states of layers, merged biases."""
    graph = live(graph)
    return graph.with_store(Store({p.tensor: graph.store[p.tensor] for p in graph.params}))
