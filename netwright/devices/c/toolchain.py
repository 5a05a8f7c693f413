"""Building generated C with the clang inside `ziglang`, or a gcc of the system; results are kept by content."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

from netwright.errors import MissingExtra, UserError

ZIG = "zig"  # the compiler that is used unless another is named


@lru_cache(maxsize=1)
def zig() -> list[str]:
    """The command of zig's C compiler. Raises MissingExtra when it is not installed."""
    if util.find_spec("ziglang") is None:
        raise MissingExtra("the C compiler (ziglang)", "mcu")
    return [sys.executable, "-m", "ziglang", "cc"]


@lru_cache(maxsize=8)
def version(compiler: str = ZIG) -> str:
    """What built the code: part of every count that is reported. Raises UserError when it is not installed."""
    if compiler == ZIG:
        zig()
        return f"clang of ziglang {metadata.version('ziglang')}"
    command = system_compiler(compiler)
    done = subprocess.run([*command, "-dumpfullversion"], capture_output=True, text=True)
    if done.returncode or not done.stdout.strip():
        raise UserError(f"{compiler} does not tell its version: it is no gcc")
    return f"{Path(compiler).name} {done.stdout.split()[0]}"


def cache_folder() -> Path:
    """Where compiled programs are kept: NETWRIGHT_CACHE, else the user's cache folder."""
    base = os.environ.get("NETWRIGHT_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "netwright"
    )
    return Path(base)


def build(files: Mapping[str, str], flags: Sequence[str], output: str, compiler: str = ZIG) -> bytes:
    """Compile all .c files of `files` together and return the linked artefact called `output`.

    The same sources and flags are compiled once: results are kept in the cache folder. Raises UserError with the
    compiler's first error line.
    """
    key = hashlib.sha256(repr((sorted(files.items()), tuple(flags), version(compiler))).encode()).hexdigest()[:32]
    kept = cache_folder() / "build" / f"{key}-{output}"
    if kept.is_file():
        return kept.read_bytes()
    with tempfile.TemporaryDirectory(prefix="netwright-") as temporary:
        folder = Path(temporary)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        sources = sorted(name for name in files if name.endswith(".c"))
        if compiler == ZIG:
            run(zig(), [*flags, *sources, "-o", output], folder)
        else:
            run(system_compiler(compiler), [*flags, *sources, "-lgcc", "-o", output], folder)
        artefact = (folder / output).read_bytes()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_name(f".{kept.name}.{os.getpid()}")
        beside.write_bytes(artefact)
        os.replace(beside, kept)
    except OSError:
        pass  # an unwritable cache costs time, nothing else
    return artefact


def run(compiler: Sequence[str], arguments: Sequence[str], folder: Path) -> None:
    """Run a compiler in `folder`. Raises UserError with its first error line."""
    done = subprocess.run([*compiler, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.splitlines() or ["?"]
        said = [line for mark in ("overflowed by", "error:", "error") for line in lines if mark in line]
        raise UserError(f"the C compiler refused the program: {(said or lines)[0][:300]}")


def system_compiler(name: str) -> list[str]:
    """A compiler from the PATH, such as arm-none-eabi-gcc. Raises UserError when it is not there."""
    found = shutil.which(name)
    if found is None:
        raise UserError(f"{name} is not on the PATH")
    return [found]
