"""What a library is made from: the C of a compiled program, its types, and what was measured of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from netwright.errors import UserError
from netwright.graph.types import FLOATS

from ...device import Entry, Program
from ...manifest import MANIFEST
from ..names import comment
from ..source import CTYPES

_INCLUDE = re.compile(r'^#include "([A-Za-z0-9_]+\.h)"$', re.MULTILINE)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_WHOLE = 1 << 24  # bytes; no generated source comes near


@dataclass(frozen=True)
class Package:
    """`sources` are `<name>.c` and the kernels it includes; `header` is `<name>.h`, the C API."""

    name: str  # prefix of every function
    header: str
    sources: dict[str, str]
    entry: str
    types: Entry
    device: str
    flags: tuple[str, ...]  # a gcc's, that name the core; none for the host
    figures: tuple[tuple[str, str], ...]  # what was counted on that device
    classes: tuple[str, ...]

    @classmethod
    def of(cls, program: Program) -> Package:
        """The package of a compiled folder. Raises UserError for a folder whose sources are missing or damaged."""
        folder = program.folder
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        name = str(manifest["program"])
        if not _IDENTIFIER.fullmatch(name):
            raise UserError(f"{folder / MANIFEST}: damaged: {name!r} is no name of a program")
        header, sources = _read(folder / f"{name}.h"), {}
        waiting = [f"{name}.c"]
        while waiting:
            file = waiting.pop()
            if file not in sources and file != f"{name}.h":
                sources[file] = _read(folder / file)
                waiting += _INCLUDE.findall(sources[file])
        entry, types = next(iter(program.entries.items()))
        profile = program.profile(entry=entry)
        parts = ", ".join(f"{part} {size:,}" for part, size in profile.ram_bytes.items())
        figures = [("RAM", f"{profile.ram_total:,} B ({parts})"), ("Flash", f"{profile.flash_total:,} B")]
        if profile.instructions:
            figures += [("instructions of one run", f"{profile.instructions:,}")]
        figures += [("compiler", profile.compiler)]
        flags = tuple(getattr(program, "gcc_flags", ()))
        return cls(
            name, header, sources, entry, types, str(manifest["device"]), flags, tuple(figures), _classes(folder)
        )

    @property
    def input_count(self) -> int:
        """Numbers of the first input."""
        return self.types.inputs[0][1].size

    @property
    def output_count(self) -> int:
        """Numbers of the first output."""
        return self.types.outputs[0][1].size

    @property
    def input_ctype(self) -> str:
        """C type of the first input's numbers."""
        return CTYPES[self.types.inputs[0][1].dtype]

    @property
    def output_ctype(self) -> str:
        """C type of the first output's numbers."""
        return CTYPES[self.types.outputs[0][1].dtype]

    @property
    def title(self) -> str:
        """The name as libraries and examples are called: KeywordSpotter for keyword_spotter."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    def shown(self, place: str) -> str:
        """A C expression of type `long` that an example prints for one output; reals in thousandths."""
        real = self.types.outputs[0][1].dtype in FLOATS
        return f"(long)({place} * 1000)" if real else f"(long){place}"

    def unit(self) -> str:
        """What `shown` counts in."""
        return " thousandths" if self.types.outputs[0][1].dtype in FLOATS else ""

    def described(self) -> str:
        """Inputs, outputs and figures, in Markdown."""
        lines = [f"- input {i}, {comment(n)}: `{t}`" for i, (n, t) in enumerate(self.types.inputs)]
        lines += [f"- output {i}, {comment(n)}: `{t}`" for i, (n, t) in enumerate(self.types.outputs)]
        lines += [f"- classes, in the order of the output: {', '.join(self.classes)}"] if self.classes else []
        lines += ["", f"Measured on {self.device}:", ""]
        lines += [f"- {what}: {figure}" for what, figure in self.figures]
        return "\n".join(lines)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _WHOLE:
            raise UserError(f"{path}: over {_WHOLE:,} B is no source that netwright wrote")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: missing; compile the program again") from None
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not text"
        raise UserError(f"{path}: {what}; compile the program again") from None


def _classes(folder: Path) -> tuple[str, ...]:
    """The class names that `fit` wrote beside the program; none where there are none."""
    try:
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))["classes"]
        return tuple(comment(str(name), 40).replace('"', "'").replace("%", "?") for name in found)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
