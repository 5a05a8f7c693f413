"""What sets two programs apart in structure: ops, constants, inputs, outputs (Orion, structural diff of MIL)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from zlib import crc32

from .program import BlobFile, Constant, Function, Program
from .text import value_text


@dataclass(frozen=True)
class Difference:
    """The findings, one line each; empty (and false) when the programs have one structure.

    Attributes:
        lines: such as `main: op conv: 4 in the first, 3 in the second`.
    """

    lines: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lines)

    def __str__(self) -> str:
        return "\n".join(self.lines) or "same structure"


def difference(first: Program, second: Program) -> Difference:
    """Compares op histograms, constants, inputs and outputs of functions of one name; names of inner values are free.

    A constant in the text counts with its value; one in a weight file with its type and file, as offsets are layout.
    """
    lines: list[str] = []
    names = [f.name for f in first.functions] + [f.name for f in second.functions]
    for name in dict.fromkeys(names):
        both = [next((f for f in p.functions if f.name == name), None) for p in (first, second)]
        if both[0] is None or both[1] is None:
            lines.append(f"{name}: only in the {'second' if both[0] is None else 'first'}")
        else:
            lines += [f"{name}: {line}" for line in _functions(both[0], both[1])]
    return Difference(tuple(lines))


def _functions(first: Function, second: Function) -> list[str]:
    lines = [f"opset {first.opset} in the first, {second.opset} in the second"] if first.opset != second.opset else []
    lines += _counts("op", first.histogram(), second.histogram())
    lines += _counts("constant", _constants(first), _constants(second))
    inputs = [[f"{v.type} {v.name}" for v in f.inputs] for f in (first, second)]
    lines += _ordered("inputs", *inputs)
    outputs = [[f"{f.types().get(o, '?')} {o}" for o in f.outputs] for f in (first, second)]
    return lines + _ordered("outputs", *outputs)


def _constants(function: Function) -> Counter[str]:
    found: Counter[str] = Counter()
    for statement in function.statements:
        value = statement.attribute("val") if statement.op == "const" else None
        if isinstance(value, BlobFile):
            found[f"{value.type} in {value.path}"] += 1
        elif isinstance(value, Constant):
            text = value_text(value)
            found[text if len(text) <= 80 else f"{text[:60]}... #{crc32(text.encode()):08x}"] += 1
    return found


def _counts(what: str, first: Counter[str], second: Counter[str]) -> list[str]:
    return [
        f"{what} {key}: {first[key]} in the first, {second[key]} in the second"
        for key in sorted(first | second)
        if first[key] != second[key]
    ]


def _ordered(what: str, first: list[str], second: list[str]) -> list[str]:
    if first == second:
        return []
    return [f"{what}: ({', '.join(first)}) in the first, ({', '.join(second)}) in the second"]
