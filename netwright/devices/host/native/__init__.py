"""Products with constant fp16 weights, and rounding, in C for this machine; NumPy does them where no compiler is.

A decoder multiplies every weight with a bucket of few columns: reading the weights is what takes the time. They are
kept as fp16, half the bytes of what NumPy would have to read, in the order in which they are used.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

from ...c.toolchain import build, cache_folder
from ...quantities import cores

ROWS = 16  # of a panel, as in kernels.c
KINDS = {"q8_0": 80, "q4_0": 40, "q4_1": 41}
MOST_COLUMNS = 128  # beyond, NumPy's blocked product is faster than reading the weights once for each 16 columns
FLAGS = (
    "-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast", "-fno-sanitize=all",
    "-shared", "-fPIC", "-pthread", "-g0", "-s",
)  # fmt: skip


@lru_cache(maxsize=1)
def _library() -> Any:
    """The compiled kernels, or None where it cannot be had."""
    if util.find_spec("ziglang") is None:
        return None
    source = Path(__file__).with_name("kernels.c").read_text(encoding="utf-8")
    artefact = build({"kernels.c": source}, FLAGS, "kernels.so")
    place = cache_folder() / "native" / f"kernels-{hashlib.sha256(artefact).hexdigest()[:16]}.so"
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        beside.write_bytes(artefact)
        os.replace(beside, place)
    library = ctypes.CDLL(str(place))
    library.nw_product.restype = library.nw_round.restype = None
    library.nw_product.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 3 + [ctypes.c_int, ctypes.c_long]
    library.nw_packed.restype = None
    library.nw_packed.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 2 + [ctypes.c_int, ctypes.c_long]
    library.nw_pack.restype = library.nw_vector.restype = None
    library.nw_vector.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 3
    library.nw_pack.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_long] * 2
    library.nw_round.argtypes = [ctypes.c_void_p, ctypes.c_long]
    return library


@lru_cache(maxsize=1)
def threads() -> int:
    """OMP_NUM_THREADS where it is set, else the cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(given)) if given.isdigit() else cores()


def _place(array: np.ndarray) -> int:
    """Where a contiguous array is; `array.ctypes.data` takes several times as long."""
    try:
        return ctypes.addressof(_BYTE.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, or empty
        return int(array.ctypes.data)


_BYTE = ctypes.c_char


class Product:
    """Constant weights float16 [O, I], ready for products with x float32 [I, S]."""

    def __init__(self, weights: np.ndarray) -> None:
        self.rows, self.inner = weights.shape
        held = np.ascontiguousarray(weights, np.float16)
        self._panels = np.empty((-(-self.rows // ROWS), self.inner, ROWS), np.float16)
        _library().nw_pack(held.ctypes.data, self._panels.ctypes.data, self.rows, self.inner)
        self._call, self._place = _library().nw_product, self._panels.ctypes.data

    def __call__(self, x: np.ndarray, rounded: bool) -> np.ndarray:
        """float32 [O, S], summed in float32, with `rounded` once to fp16."""
        x = np.ascontiguousarray(x)
        y = np.empty((self.rows, x.shape[1]), np.float32)
        self._call(self._place, _place(x), _place(y), self.rows, self.inner, x.shape[1], rounded, threads())
        return y


def available(columns: int) -> bool:
    """Whether products with so many columns are better done here."""
    return columns <= MOST_COLUMNS and _library() is not None


def rounded(values: np.ndarray) -> np.ndarray | None:
    """float32 values [any shape], contiguous and writeable, to the nearest fp16 values in place; None without a
    compiler."""
    library = _library()
    if library is None:
        return None
    library.nw_round(_place(values), values.size)
    return values


def vector(weight: np.ndarray, x: np.ndarray, out: np.ndarray) -> Callable[[], None] | None:
    """A call that puts float32 weight [O, I] times x [I] into out [O], all contiguous and where they are now; None for
    other arrays, or without a compiler."""
    arrays = (weight, x, out)
    if any(a.dtype != np.float32 or not a.flags.c_contiguous for a in arrays) or _library() is None:
        return None
    return _bound(_library().nw_vector, arrays, *weight.shape, threads())


def blocks(kind: str, rows: np.ndarray, x: np.ndarray, out: np.ndarray) -> Callable[[], None] | None:
    """A call that puts a matrix in blocks (`netwright.models.blocks`) times x float32 [I] into out [O]; None without a
    compiler. Arrays are contiguous and stay where they are."""
    arrays = (rows, x, out)
    if _library() is None or not all(a.flags.c_contiguous for a in arrays):
        return None
    return _bound(_library().nw_packed, arrays, len(rows), len(x), KINDS[kind], threads())


def _bound(function: Any, arrays: tuple[np.ndarray, ...], *numbers: int) -> Callable[[], None]:
    """The call on these arrays, which live as long as it does."""
    given = (*(a.ctypes.data for a in arrays), *numbers)

    def call(held: tuple[np.ndarray, ...] = arrays) -> None:
        function(*given)

    return call
