"""Errors that people see: one line that says what, where and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave is wrong. The message is one line; the command line prints it and exits with status 2."""


class MissingExtra(UserError):
    """An optional dependency is not installed; names the extra that brings it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed: run `pip install 'netwright[{extra}]'`")


EXTRAS = {
    "torch": "train", "PIL": "train", "optuna": "search", "scipy": "search", "sklearn": "search", "pyarrow": "search",
    "ziglang": "mcu", "unicorn": "mcu", "capstone": "mcu", "elftools": "mcu", "onnx": "onnx", "onnxruntime": "onnx",
    "coremltools": "ane", "ray": "ray", "optuna_dashboard": "ui",
}  # module -> the extra that brings it


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean X?` when a name close to `name` exists, followed by what there is."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (there are: {', '.join(known)})"


class Refused(UserError):
    """A bounded search for a legal candidate gave up; strategies answer it by drawing afresh."""
