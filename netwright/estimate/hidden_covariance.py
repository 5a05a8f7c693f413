"""Hidden covariance of recurrent networks (Serianni and Kalita 2023, section 3): do units say different things?"""

from __future__ import annotations

from typing import Any

from netwright.errors import UserError
from netwright.graph import Graph, Node, State, Value

STEPS, BATCH = 70, 50


def estimator(graph: Graph, words: Any = None, state: str = "", seed: int = 0) -> dict[str, float]:
    """{"hidden-covariance": ...} of a step Graph with memory: `correlation.spread` of one state over time.

    words  [steps, N] integers (or [steps, N, ...] of a float input), fed one row a step; None: 70 x 50 random ones
    state  which state's name; "": the graph's first, which is the first layer's
    seed   of the weights that the store lacks

    Rows are the state's units, columns its values before every step for every text, as the published code has them
    (600 eigenvalues for 600 units; the paper speaks of a row an input). Only what the state depends on is computed.
    Minus infinity where a unit never changes. UserError for a graph without such a state.
    """
    import torch

    from netwright.estimate.training_free.correlation import spread

    names = [s.name for s in graph.states]
    if not names or len(graph.inputs) != 1:
        raise UserError(f"{graph.name}: hidden-covariance is for recurrent networks, of one input and with memory")
    if state and state not in names:
        raise UserError(f'{graph.name} has no state "{state}" (there are: {", ".join(names)})')
    watched = next(s for s in graph.states if s.name == (state or names[0]))
    nodes, states = _behind(graph, watched)
    fed = _words(graph, words, seed)
    store = graph.store.initialise(graph, seed)
    read = {v for node in nodes for v in node.inputs}
    known: dict[Value, Any] = {p.value: torch.from_numpy(store.read(p)) for p in graph.params if p.value in read}
    for s in states:
        start = torch.full(s.before.shape, s.initial) if s.tensor is None else torch.from_numpy(store[s.tensor])
        known[s.before] = start.expand(fed.shape[1], *start.shape[1:])
    seen = []
    with torch.inference_mode():
        for step in fed:
            seen.append(known[watched.before].flatten(1))
            values = {**known, graph.inputs[0]: step}
            for node in nodes:
                made = node.op.torch(*[values[v] if v is not None else None for v in node.inputs])
                values.update(zip(node.outputs, made if len(node.outputs) > 1 else (made,), strict=True))
            known |= {s.before: values[s.after] for s in states}
        units = torch.stack(seen).permute(2, 0, 1).flatten(1).numpy()  # [units, steps * N]
    return {"hidden-covariance": spread(units)}


def _behind(graph: Graph, state: State) -> tuple[list[Node], list[State]]:
    """The nodes and states that the state's next value depends on, over any number of steps."""
    before = {s.before: s for s in graph.states}
    waiting, needed = [state.before], set[Value]()
    while waiting:
        value = waiting.pop()
        if value in needed:
            continue
        needed.add(value)
        if value in before:
            waiting.append(before[value].after)
        elif value in graph.producers:
            waiting += [v for v in graph.producers[value].inputs if v is not None]
    return ([node for node in graph.nodes if any(v in needed for v in node.outputs)],
            [s for s in graph.states if s.before in needed])  # fmt: skip


def _words(graph: Graph, words: Any, seed: int) -> Any:
    import torch

    kind = graph.inputs[0].type
    whole = kind.dtype.startswith("int")
    if words is None:
        drawn = torch.Generator().manual_seed(seed)
        shape = (STEPS, BATCH, *kind.shape[1:])
        rows = min((p.value.shape[0] for n in graph.consumers[graph.inputs[0]] if n.op.name == "gather"
                    for p in graph.params if p.value is n.inputs[0]), default=2)  # fmt: skip
        return torch.randint(rows, shape, generator=drawn) if whole else torch.empty(shape).normal_(generator=drawn)
    given = torch.as_tensor(words)
    if given.dim() != 2 + len(kind.shape[1:]) or tuple(given.shape[2:]) != kind.shape[1:]:
        raise UserError(f"{graph.name} takes [steps, N{''.join(f', {n}' for n in kind.shape[1:])}], "
                        f"not {list(given.shape)}")  # fmt: skip
    return given.long() if whole else given.float()
