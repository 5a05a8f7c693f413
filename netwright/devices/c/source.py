"""Writing the C of a program: constants, a function a layer, an entry that calls them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netwright.compile import schedule
from netwright.compile.memory import Plan, Region, least, plan, shared_states
from netwright.errors import UserError
from netwright.graph import Graph, Node, Op, State, Type, Value, by_signature

from .names import Names, comment, program_name

KERNELS = Path(__file__).parent / "kernels"
CTYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "float32": "float",
    "bool": "uint8_t",
}
_SHORT = ("init", "input", "output")  # of the first entry, beside its step
Emitter = Callable[["Writer", Node], "Body"]
EMITTERS: dict[type[Op], Emitter] = {}
SCRATCH: dict[type[Op], Callable[[Node], int]] = {}


@dataclass(frozen=True)
class Body:
    """What an emitter gives back: statements over `x0`, `x1`, ... and `y0`, ..., and the kernel headers they use."""

    statements: str
    headers: tuple[str, ...] = ()
    constant_bytes: int = 0


@dataclass(frozen=True)
class Layer:
    """One layer of a program, for reports."""

    entry: str
    node: str
    op: str
    function: str
    shape: tuple[int, ...]
    macs: int
    constant_bytes: int
    ram_bytes: int  # alive while it runs


@dataclass(frozen=True)
class CSource:
    """The C of one program. Offsets are into the arena; `plans` has one plan an entry, all in the same arena."""

    name: str
    files: dict[str, str]
    plans: dict[str, Plan]
    arena_bytes: int
    layers: tuple[Layer, ...]
    graphs: dict[str, Graph] = field(default_factory=dict)
    states: dict[str, Type] = field(default_factory=dict)  # in the order of the C function that says where they lie


def emits(*ops: type[Op]) -> Callable[[Emitter], Emitter]:
    """Register the emitter of these op classes."""

    def register(emitter: Emitter) -> Emitter:
        for op in ops:
            EMITTERS[op] = emitter
        return emitter

    return register


def scratch(*ops: type[Op]) -> Callable[[Callable[[Node], int]], Callable[[Node], int]]:
    """Register how many bytes of working memory the kernels of these op classes need beside their tensors."""

    def register(size: Callable[[Node], int]) -> Callable[[Node], int]:
        SCRATCH.update(dict.fromkeys(ops, size))
        return size

    return register


def planned(
    graph: Graph, shared: Mapping[str, Region] | None = None, outside: frozenset[Value] = frozenset()
) -> Plan:
    """The arena as the generated C uses it: tensors, and the kernels' working memory.

    `shared` and `outside` as for `plan`. Raises UserError for an input outside that a view shows.
    """
    from .overlap import overlap

    for node in graph.nodes:
        if node.op.is_view and node.inputs[0] in outside:
            raise UserError(
                f"{node.name} shows input {node.inputs[0]} in another shape, so that it cannot lie outside the arena"
            )
    return plan(graph, _scratch_bytes, overlap, shared, outside)


def least_bytes(graph: Graph) -> int:
    """What no plan of this graph as C goes below; much quicker than a plan."""
    from .overlap import overlap

    return least(graph, _scratch_bytes, overlap)


def planned_entries(entries: Mapping[str, Graph], outside: bool = False) -> dict[str, Plan]:
    """The plans of entries that share one arena and, by name, their states; the inputs lie in it or `outside`.

    Raises UserError where entries differ about a state.
    """

    def apart(graph: Graph) -> frozenset[Value]:
        return frozenset(graph.inputs) if outside else frozenset()

    if len(entries) == 1:
        return {entry: planned(graph, outside=apart(graph)) for entry, graph in entries.items()}
    try:
        regions = shared_states(entries.values())
    except ValueError as error:
        raise UserError(f"these entries cannot be one program: {error}") from None
    return {entry: planned(graph, regions, apart(graph)) for entry, graph in entries.items()}


def reordered(graph: Graph) -> Graph:
    """The nodes in the order for which `planned` needs least, as far as it was found."""
    from .overlap import overlap

    return schedule.reorder(graph, _scratch_bytes, overlap)


@by_signature
def _scratch_bytes(node: Node) -> int:
    size = SCRATCH.get(type(node.op))
    return size(node) if size is not None else 0


def supported(op: Op) -> bool:
    """Whether C can be written for this op."""
    return type(op) in EMITTERS or op.is_view


class Writer:
    """Collects the constants of one program; emitters ask it for arrays by name."""

    def __init__(
        self, graph: Graph, names: Names, constants: dict[str, str], where: Plan, known: dict[str, str] | None = None
    ) -> None:
        self.graph = graph
        self.names = names
        self.known = known if known is not None else {}  # definition, but for the name -> identifier
        self.constants = constants  # identifier -> definition
        self.helpers: dict[str, str] = {}
        self.where = where
        self._shared: dict[Value, str] = {}

    def array(self, value: Value | None) -> np.ndarray:
        """The contents of a parameter. Raises UserError when it has none."""
        array = self.graph.constant(value)
        if array is None:
            raise UserError(f"{value.name if value is not None else 'an input'} must be a constant here")
        return array

    def operands(self, node: Node, without: int | None = None) -> tuple[list[str], int]:
        """C expressions of a node's inputs (empty where one is left out), and the bytes of the constants among them.

        `without`: the position of a constant that is not to be written out.
        Activations are `x0`, `x1`, ... as the function receives them. A parameter is defined once, however many nodes
        read it; its bytes count for the first.
        """
        found, size, arena = [], 0, 0
        for position, value in enumerate(node.inputs):
            if value is None or position == without:
                found.append("")
            elif value in self.graph.param_of:
                if value not in self._shared:
                    array = self.array(value)
                    size += array.nbytes
                    self._shared[value] = self.constant(value.name, array)
                found.append(self._shared[value])
            else:
                found.append(f"x{arena}")
                arena += 1
        return found, size

    def helper(self, name: str, code: str) -> str:
        """A function that several layers share, defined once; returns its name."""
        self.helpers[name] = code
        return name

    def constant(self, name: str, array: np.ndarray, note: str = "", aligned: bool = False) -> str:
        """Define a constant array (`aligned`: to a word) and return its identifier."""
        ctype = CTYPES[str(array.dtype)]
        flat = array.reshape(-1)
        width = 16 if array.dtype.itemsize == 1 else 8
        rows = [", ".join(map(literal, flat[i : i + width].tolist())) for i in range(0, len(flat), width)]
        body = (
            f"[{len(flat)}] = {{ /* {comment(note or 'x'.join(map(str, array.shape)))} */\n    "
            + ",\n    ".join(rows)
            + "\n};"
        )
        attribute = " __attribute__((aligned(4)))" if aligned else ""
        definition = f"static const {ctype}{attribute} @{body}"
        if definition in self.known:
            return self.known[definition]
        chosen = self.known[definition] = self.names.unique(name)
        self.constants[chosen] = definition.replace("@", chosen, 1)
        return chosen


def literal(number: float) -> str:
    """A number as a C constant; floats exactly, in the fewest digits."""
    if not isinstance(number, float):
        return str(int(number))
    if number != number:
        return '__builtin_nanf("")'
    if number in (float("inf"), -float("inf")):
        return "__builtin_inff()" if number > 0 else "-__builtin_inff()"
    return f"{np.float32(number)!s}f"


def generate(entries: Mapping[str, Graph], name: str, outside: bool = False) -> CSource:
    """C for these entries, which share one arena; inputs lie in it, or `outside` of it in buffers of their own.

    Raises UserError naming an op that cannot be compiled.
    """
    # its files lie beside the kernels and the start-up code
    program = program_name(name, {"startup", *(path.stem for path in KERNELS.iterdir())})
    names = Names()
    if taken := {*_SHORT} & set(entries):
        raise UserError(f"entry {min(taken)!r}: its name is a function's of every program; choose another")
    for reserved in (program, "arena", f"{program}_state", *[f"{program}_{e}" for e in (*_SHORT, *entries)]):
        names.unique(reserved)
    constants: dict[str, str] = {}
    functions: list[str] = []
    helpers: dict[str, str] = {}
    bodies: list[str] = []
    layers: list[Layer] = []
    headers: set[str] = set()
    plans = planned_entries(entries, outside)
    own: dict[Value, str] = {}  # inputs outside the arena -> their buffers
    for entry, graph in entries.items():
        own.update({v: names.unique(f"{entry}_input_{i}_data") for i, v in enumerate(graph.inputs) if outside})
    starts: dict[str, str] = {}  # state -> the constant it starts from
    known: dict[str, str] = {}
    for entry, graph in entries.items():
        writer = Writer(graph, names, constants, plans[entry], known)
        calls = []
        for index, node in enumerate(graph.nodes):
            if node.op.is_view or node in plans[entry].free:
                continue
            emitter = EMITTERS.get(type(node.op))
            if emitter is None:
                raise UserError(f"{node.name}: no C can be written for {node.op.name}")
            body = emitter(writer, node)
            headers.update(body.headers)
            function = names.unique(node.name)
            functions.append(_function(function, node, graph, body, node in plans[entry].scratch))
            calls.append(_call(function, node, graph, plans[entry], own))
            layers.append(
                Layer(
                    entry,
                    node.name,
                    node.op.name,
                    function,
                    node.output.shape,
                    node.macs,
                    body.constant_bytes,
                    plans[entry].live(index),
                )
            )
        helpers.update(writer.helpers)
        for state in graph.states:
            if state.tensor is not None and state.name not in starts:
                starts[state.name] = writer.constant(f"{state.name}_start", graph.store[state.tensor])
        bodies.append(_entry(program, entry, graph, plans[entry], calls, starts, own))
    arena = max((p.bytes for p in plans.values()), default=0)
    states = {s.name: (s.before.type, plans[e].at[s.before]) for e, g in entries.items() for s in g.states}
    if states:
        bodies.append(_states(program, states))
    header = _header(program, entries, arena, states)
    headers.add("base.h")
    includes = "".join(f'#include "{h}"\n' for h in sorted(headers))
    source = (
        f'/* {comment(name)}: generated by netwright. */\n{includes}#include "{program}.h"\n\n'
        f"static int8_t arena[{max(4, arena)}] __attribute__((aligned(8)));\n"
        + "".join(
            f'static {CTYPES[v.dtype]} {name}[{v.type.size}] __attribute__((aligned(8), section(".outside")));\n'
            for v, name in own.items()
        )
        + "\n"
        + "\n\n".join((*constants.values(), *helpers.values(), *functions, *bodies))
        + "\n"
    )
    files = {f"{program}.h": header, f"{program}.c": source}
    files.update(_kernel_files(headers))
    return CSource(program, files, plans, arena, tuple(layers), dict(entries), {n: t for n, (t, _) in states.items()})


def _kernel_files(headers: set[str]) -> dict[str, str]:
    """The kernel headers with what they include in turn."""
    files: dict[str, str] = {}
    waiting = sorted(headers)
    while waiting:
        name = waiting.pop()
        if name not in files:
            files[name] = (KERNELS / name).read_text(encoding="utf-8")
            waiting += [line.split('"')[1] for line in files[name].splitlines() if line.startswith('#include "')]
    return files


def activations(node: Node, graph: Graph) -> list[Value]:
    """Inputs that live in the arena, in order; constants are named inside the function instead."""
    return [v for v in node.inputs if v is not None and v not in graph.param_of]


def _function(function: str, node: Node, graph: Graph, body: Body, working: bool) -> str:
    inputs = activations(node, graph)
    arguments = [f"const {CTYPES[v.dtype]} *x{i}" for i, v in enumerate(inputs)]
    arguments += [f"{CTYPES[v.dtype]} *y{i}" for i, v in enumerate(node.outputs)]
    arguments += ["int16_t *scratch"] if working else []
    given = ", ".join("x".join(map(str, v.shape[1:] or v.shape)) for v in inputs)
    made = ", ".join("x".join(map(str, v.shape[1:] or v.shape)) for v in node.outputs)
    macs = f", {node.macs} MACs" if node.macs else ""
    weights = f", {body.constant_bytes} bytes of constants" if body.constant_bytes else ""
    return (
        f"/* {comment(node.name)}: {node.op.name} {given} -> {made}{macs}{weights} */\n"
        f"NW_LAYER void {function}({', '.join(arguments)})\n{{\n{body.statements.rstrip()}\n}}"
    )


def _call(function: str, node: Node, graph: Graph, where: Plan, own: Mapping[Value, str]) -> str:
    values = (*activations(node, graph), *node.outputs)
    places = [own[v] if v in own else _pointer(v, where.at[v]) for v in values]
    if node in where.scratch:
        places.append(f"(int16_t *)(arena + {where.scratch[node]})")
    return f"    {function}({', '.join(places)});"


def _pointer(value: Value, offset: int) -> str:
    place = f"arena + {offset}" if offset else "arena"
    return place if value.dtype == "int8" else f"({CTYPES[value.dtype]} *)({place})"


def _entry(
    program: str,
    entry: str,
    graph: Graph,
    where: Plan,
    calls: list[str],
    starts: Mapping[str, str],
    own: Mapping[Value, str],
) -> str:
    reads = [(f"{program}_{entry}_input", graph.inputs, ""), (f"{program}_{entry}_output", graph.outputs, "const ")]
    parts = []
    for function, values, const in reads:
        cases = "".join(
            f"    case {i}: return {place}; /* {comment(v.name)}: {v.type} */\n"
            for i, v in enumerate(values)
            for place in [own[v] if v in own else f"arena + {where.at[v]}"]
        )
        parts.append(
            f"{const}void *{function}(unsigned index)\n{{\n    switch (index) {{\n{cases}    }}\n    return 0;\n}}"
        )
    copies = []
    for s in graph.states:
        target, source = where.at[s.before], where.at[s.after]
        if target != source:
            size = s.before.type.bytes
            copies.append(f"    __builtin_memcpy(arena + {target}, arena + {source}, {size}); /* {comment(s.name)} */")
    parts.append(f"void {program}_{entry}(void)\n{{\n" + "\n".join((*calls, *copies)) + "\n}")
    resets = [_reset(s, where.at[s.before], starts.get(s.name)) for s in graph.states]
    body = "\n".join(resets) + "\n" if resets else ""
    parts.append(f"void {program}_{entry}_reset(void)\n{{\n{body}}}")
    return "\n\n".join(parts)


def _states(program: str, states: Mapping[str, tuple[Type, int]]) -> str:
    """A function that says where each state lies: to keep what was learnt, and to bring it back."""
    cases = "".join(
        f"    case {i}: return arena + {offset}; /* {comment(name)}: {type} */\n"
        for i, (name, (type, offset)) in enumerate(states.items())
    )
    return f"void *{program}_state(unsigned index)\n{{\n    switch (index) {{\n{cases}    }}\n    return 0;\n}}"


def _reset(state: State, offset: int, start: str | None) -> str:
    """A state back to its start: bytes are set at once, wider numbers one by one unless they are 0."""
    type = state.before.type
    if start is not None:
        fill = f"__builtin_memcpy(arena + {offset}, {start}, {type.bytes});"
    elif state.initial == 0 or type.dtype in ("int8", "uint8", "bool"):
        fill = f"__builtin_memset(arena + {offset}, {int(state.initial)}, {type.bytes});"
    else:
        number = literal(state.initial if type.dtype == "float32" else int(state.initial))
        place = f"(({CTYPES[type.dtype]} *)(arena + {offset}))[i]"
        fill = f"for (int32_t i = 0; i < {type.size}; i++)\n        {place} = {number};"
    return f"    {fill} /* {comment(state.name)} */"


def _header(
    program: str, entries: Mapping[str, Graph], arena: int, states: Mapping[str, tuple[Type, int]]
) -> str:
    guard = f"{program.upper()}_H"
    lines = [f"/* Generated by netwright. Everything lives in one static arena of {arena} bytes. */"]
    lines += [f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", ""]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    for entry, graph in entries.items():
        for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
            for i, v in enumerate(values):
                macro = f"{program}_{entry}_{kind}_{i}".upper()
                lines.append(f"/* {kind} {i}, {comment(v.name)}: {v.type} */")
                lines.append(f"#define {macro}_BYTES {v.type.bytes}")
                if v.type.quant is not None:
                    lines.append(f"#define {macro}_SCALE {v.type.quant.scale!r}f")
                    lines.append(f"#define {macro}_ZERO ({v.type.quant.zero})")
        lines += [
            "",
            f"void *{program}_{entry}_input(unsigned index);        /* write here; overwritten by the run */",
            f"void {program}_{entry}(void);                         /* one step */",
            f"const void *{program}_{entry}_output(unsigned index); /* valid until the next step */",
            f"void {program}_{entry}_reset(void);                   /* states back to their start */",
            "",
        ]
    first = f"{program}_{next(iter(entries))}"
    lines += [
        "/* in short: _init once, then write the input, step, read the output */",
        f"static inline void {program}_init(void) {{ {first}_reset(); }}",
        f"static inline void *{program}_input(void) {{ return {first}_input(0); }}",
        f"static inline const void *{program}_output(void) {{ return {first}_output(0); }}",
        "",
    ]
    for i, (name, (type, _)) in enumerate(states.items()):
        lines.append(f"/* state {i}, {comment(name)}: {type} */")
    if states:
        lines += [f"void *{program}_state(unsigned index); /* kept from step to step; shared by the entries */", ""]
    lines += ["#ifdef __cplusplus", "}", "#endif", ""]
    return "\n".join((*lines, "#endif", ""))
