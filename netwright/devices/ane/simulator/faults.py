"""What the engine makes of a program that breaks a silent rule: the program it runs instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..mil import BlobFile, Constant, Program, Statement, Variable, string
from ..profile import AneProfile
from ..rules import BY_ID, Sight
from ..weights import ALIGNMENT, MODEL_PATH
from ..weights import write as write_weights


def as_run(program: Program, profile: AneProfile, folder: Path, chunks: dict[str, frozenset[int]]) -> Program:
    """The program with the consequences of R6, L13, R8 and L8 in it; files of garbage go to `folder`."""
    functions = []
    for function in program.functions:
        sight = Sight(function, profile, chunks)
        broken = {r: {where for where, _ in BY_ID[r].look(sight)} if profile.breaks(r) else set() for r in _CHANGES}
        statements: list[Statement] = []
        for statement in function.statements:
            done = [statement]
            for rule, change in _CHANGES.items():
                if statement.name in broken[rule]:
                    done = change(statement, folder)
            statements += done
        functions.append(replace(function, statements=tuple(statements)))
    return replace(program, functions=tuple(functions))


def _unmasked(statement: Statement, folder: Path) -> list[Statement]:
    """R6: the fused attention op without its mask."""
    return [replace(statement, args=tuple((k, a) for k, a in statement.args if k != "attn_mask"))]


def _garbage(statement: Statement, folder: Path) -> list[Statement]:
    """R8: 64 bytes are skipped from the wrong offset, and what follows is taken for the weights."""
    blob = statement.attribute("val")
    assert isinstance(blob, BlobFile)
    raw = np.fromfile(folder / blob.path.removeprefix(MODEL_PATH), np.uint8)
    start = (blob.offset + ALIGNMENT) % max(1, raw.size)
    held = np.resize(np.roll(raw, -start), blob.type.bytes).view(np.float16)
    if not blob.offset % ALIGNMENT and blob.offset == 0:
        held = np.resize(raw, blob.type.bytes).view(np.float16)  # from the start: the header itself
    name = f"garbage/{statement.name}.bin"
    write_weights(folder / name, [held], None)
    wrong = replace(blob, path=MODEL_PATH + name, offset=ALIGNMENT)
    return [replace(statement, attributes=tuple((k, wrong if k == "val" else v) for k, v in statement.attributes))]


def _saturated(statement: Statement, folder: Path) -> list[Statement]:
    """L8: the slice's values end at 4094."""
    (result,) = statement.results
    inner = Variable(f"{result.name}_before_limit", result.type)
    made: list[Statement] = [replace(statement, results=(inner,))]
    names = []
    for key, value in (("alpha", -4094.0), ("beta", 4094.0)):
        name = f"{result.name}_{key}"
        constant = Constant.of(value, result.type.dtype)
        attributes = (("name", string(name)), ("val", constant))
        made.append(Statement((Variable(name, constant.type),), "const", (), attributes))
        names.append((key, name))
    return [*made, Statement((result,), "clip", (*names, ("x", inner.name)), (("name", string(result.name)),))]


_CHANGES = {"R6": _unmasked, "L13": _unmasked, "R8": _garbage, "L8": _saturated}
