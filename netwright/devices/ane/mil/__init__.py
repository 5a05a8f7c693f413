"""MIL, the language of the Neural Engine's compiler: programs as data, their text, a parser, a structural difference.

    program = Program(functions=(Function("main", "ios18", inputs, statements, outputs),))
    to_text(program)                # text that the device's compiler reads
    parse(text, "model.mil")        # the same program; UserError with line and column for anything else
    print(difference(a, b))         # op histograms, constants, inputs and outputs, side by side

`program.py` says what a program is. To know whether names and types agree, prepare it for execution (`ane.execute`).
"""

from __future__ import annotations

from .difference import Difference, difference
from .parse import parse
from .program import (
    BUILD_INFO,
    DTYPES,
    Argument,
    BlobFile,
    Constant,
    Dictionary,
    Function,
    Program,
    Statement,
    TensorType,
    Value,
    Variable,
    boolean,
    string,
)
from .text import to_text, value_text

__all__ = [
    "BUILD_INFO",
    "DTYPES",
    "Argument",
    "BlobFile",
    "Constant",
    "Dictionary",
    "Difference",
    "Function",
    "Program",
    "Statement",
    "TensorType",
    "Value",
    "Variable",
    "boolean",
    "difference",
    "parse",
    "string",
    "to_text",
    "value_text",
]
