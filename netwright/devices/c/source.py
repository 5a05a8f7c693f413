"""Writing the C of a program: constants, a function a layer, an entry that calls them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netwright.compile.memory import Plan, plan
from netwright.errors import UserError
from netwright.graph import Graph, Node, Op, State, Value, by_signature

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


def planned(graph: Graph) -> Plan:
    """The arena as the generated C uses it: tensors, and the kernels' working memory."""
    from .overlap import overlap

    return plan(graph, _scratch_bytes, overlap)


@by_signature
def _scratch_bytes(node: Node) -> int:
    size = SCRATCH.get(type(node.op))
    return size(node) if size is not None else 0


def supported(op: Op) -> bool:
    """Whether C can be written for this op."""
    return type(op) in EMITTERS or op.is_view


class Writer:
    """Collects the constants of one program; emitters ask it for arrays by name."""

    def __init__(self, graph: Graph, names: Names, constants: dict[str, str], where: Plan) -> None:
        self.graph = graph
        self.names = names
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

    def operands(self, node: Node) -> tuple[list[str], int]:
        """C expressions of a node's inputs (empty where one is left out), and the bytes of the constants among them.

        Activations are `x0`, `x1`, ... as the function receives them. A parameter is defined once, however many nodes
        read it; its bytes count for the first.
        """
        found, size, arena = [], 0, 0
        for value in node.inputs:
            if value is None:
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
        chosen = self.names.unique(name)
        attribute = " __attribute__((aligned(4)))" if aligned else ""
        self.constants[chosen] = f"static const {ctype}{attribute} {chosen}{body}"
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


def generate(entries: Mapping[str, Graph], name: str) -> CSource:
    """C for these entries, which share one arena. Raises UserError naming an op that cannot be compiled."""
    # its files lie beside the kernels and the start-up code
    program = program_name(name, {"startup", *(path.stem for path in KERNELS.iterdir())})
    names = Names()
    if taken := {*_SHORT} & set(entries):
        raise UserError(f"entry {min(taken)!r}: its name is a function's of every program; choose another")
    for reserved in (program, "arena", *[f"{program}_{e}" for e in (*_SHORT, *entries)]):
        names.unique(reserved)
    constants: dict[str, str] = {}
    functions: list[str] = []
    helpers: dict[str, str] = {}
    bodies: list[str] = []
    layers: list[Layer] = []
    headers: set[str] = set()
    plans = {entry: planned(graph) for entry, graph in entries.items()}
    if len(entries) > 1 and any(g.states for g in entries.values()):
        raise UserError("entries with states cannot share an arena yet: compile them as separate programs")
    for entry, graph in entries.items():
        writer = Writer(graph, names, constants, plans[entry])
        calls = []
        for index, node in enumerate(graph.nodes):
            if node.op.is_view:
                continue
            emitter = EMITTERS.get(type(node.op))
            if emitter is None:
                raise UserError(f"{node.name}: no C can be written for {node.op.name}")
            body = emitter(writer, node)
            headers.update(body.headers)
            function = names.unique(node.name)
            functions.append(_function(function, node, graph, body, node in plans[entry].scratch))
            calls.append(_call(function, node, graph, plans[entry]))
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
        bodies.append(_entry(program, entry, graph, plans[entry], calls))
    arena = max((p.bytes for p in plans.values()), default=0)
    header = _header(program, entries, arena)
    headers.add("base.h")
    includes = "".join(f'#include "{h}"\n' for h in sorted(headers))
    source = (
        f'/* {comment(name)}: generated by netwright. */\n{includes}#include "{program}.h"\n\n'
        f"static int8_t arena[{max(4, arena)}] __attribute__((aligned(8)));\n\n"
        + "\n\n".join((*constants.values(), *helpers.values(), *functions, *bodies))
        + "\n"
    )
    files = {f"{program}.h": header, f"{program}.c": source}
    files.update(_kernel_files(headers))
    return CSource(program, files, plans, arena, tuple(layers), dict(entries))


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


def _call(function: str, node: Node, graph: Graph, where: Plan) -> str:
    places = [_pointer(v, where.at[v]) for v in (*activations(node, graph), *node.outputs)]
    if node in where.scratch:
        places.append(f"(int16_t *)(arena + {where.scratch[node]})")
    return f"    {function}({', '.join(places)});"


def _pointer(value: Value, offset: int) -> str:
    place = f"arena + {offset}" if offset else "arena"
    return place if value.dtype == "int8" else f"({CTYPES[value.dtype]} *)({place})"


def _entry(program: str, entry: str, graph: Graph, where: Plan, calls: list[str]) -> str:
    reads = [(f"{program}_{entry}_input", graph.inputs, ""), (f"{program}_{entry}_output", graph.outputs, "const ")]
    parts = []
    for function, values, const in reads:
        cases = "".join(
            f"    case {i}: return arena + {where.at[v]}; /* {comment(v.name)}: {v.type} */\n"
            for i, v in enumerate(values)
        )
        parts.append(
            f"{const}void *{function}(unsigned index)\n{{\n    switch (index) {{\n{cases}    }}\n    return 0;\n}}"
        )
    copies = []
    for s in graph.states:
        target, source = where.at[s.before], where.at[s.after]
        copies.append(
            f"    __builtin_memcpy(arena + {target}, arena + {source}, {s.before.type.bytes}); /* {comment(s.name)} */"
        )
    parts.append(f"void {program}_{entry}(void)\n{{\n" + "\n".join((*calls, *copies)) + "\n}")
    resets = [_reset(s, where.at[s.before]) for s in graph.states]
    body = "\n".join(resets) + "\n" if resets else ""
    parts.append(f"void {program}_{entry}_reset(void)\n{{\n{body}}}")
    return "\n\n".join(parts)


def _reset(state: State, offset: int) -> str:
    """A state back to its start: bytes are set at once, wider numbers one by one unless they are 0."""
    type = state.before.type
    if state.initial == 0 or type.dtype in ("int8", "uint8", "bool"):
        fill = f"__builtin_memset(arena + {offset}, {int(state.initial)}, {type.bytes});"
    else:
        number = literal(state.initial if type.dtype == "float32" else int(state.initial))
        place = f"(({CTYPES[type.dtype]} *)(arena + {offset}))[i]"
        fill = f"for (int32_t i = 0; i < {type.size}; i++)\n        {place} = {number};"
    return f"    {fill} /* {comment(state.name)} */"


def _header(program: str, entries: Mapping[str, Graph], arena: int) -> str:
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
    lines += ["#ifdef __cplusplus", "}", "#endif", ""]
    return "\n".join((*lines, "#endif", ""))
