"""Weight files: what BLOBFILE constants point into (Orion, weight file; the layout of Core ML's `weight.bin`).

    bytes 0-63      file header: number of chunks (u32), version 2 (u32), zeros
    at each offset  chunk header of 64 bytes: magic 0xDEADBEEF (u32), element type (u32), data bytes (u64),
                    absolute offset of the data (u64), zeros
    after it        the data, little-endian; the next chunk header starts at the next multiple of 64

A reference gives the offset of the chunk header: 64 for the first, so always 64 in a file of one chunk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from netwright.errors import UserError

from .mil.program import DTYPES, BlobFile, TensorType

MAGIC = 0xDEADBEEF
VERSION = 2
ALIGNMENT = 64
FP16_MAX = 65504.0
_CODES = {"fp16": 1, "fp32": 2, "uint8": 3, "int8": 4, "int16": 6, "uint16": 7, "int32": 14, "uint32": 15}
_NAMES = {"float16": "fp16", "float32": "fp32"}
_STEP = 1 << 20
MODEL_PATH = "@model_path/"


@dataclass(frozen=True)
class Written:
    """What `write` did.

    Attributes:
        offsets: of the chunk headers, one a tensor: what BLOBFILE wants.
        nans: elements that were NaN and were written as 0.
        clamped: elements beyond +-65504 that were written as +-65504.
    """

    offsets: tuple[int, ...]
    nans: int
    clamped: int


def sanitised(values: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Floating values as fp16 [same shape], NaN as 0 and clamped to +-65504; how many were NaN, how many clamped."""
    bad = np.isnan(values)
    nans = int(np.count_nonzero(bad))
    clean = np.where(bad, 0, values) if nans else values
    with np.errstate(over="ignore"):
        rounded = clean.astype(np.float16)
    over = np.isinf(rounded)
    clamped = int(np.count_nonzero(over))
    if clamped:
        rounded = np.where(over, np.copysign(np.float16(FP16_MAX), rounded), rounded)
    return rounded, nans, clamped


def write(path: str | Path, tensors: Sequence[np.ndarray], floats: str | None = "fp16") -> Written:
    """A weight file with one chunk a tensor, in order; the file appears whole or not at all.

    Floating tensors are stored as `floats`, integers as they are. fp16: NaN becomes 0 and values are clamped, both
    counted; fp32; None: floating tensors as they are too, bit for bit. Raises UserError for an element type that weight
    files do not have, and when the file cannot be written.
    """
    place = Path(path)
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                written = _write(file, tensors, floats)
            os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror or error}") from None
    return written


def to_bytes(tensors: Sequence[np.ndarray], floats: str | None = "fp16") -> tuple[bytes, Written]:
    """The contents of the file that `write` writes, and what it says. Raises UserError as it does."""
    file = BytesIO()
    written = _write(file, tensors, floats)
    return file.getvalue(), written


def _write(file: BinaryIO, tensors: Sequence[np.ndarray], floats: str | None) -> Written:
    put = file.write
    put(struct.pack("<II56x", len(tensors), VERSION))
    offset, offsets, nans, clamped = ALIGNMENT, [], 0, 0
    for tensor in tensors:
        flat = np.asarray(tensor).reshape(-1)
        own = _NAMES.get(flat.dtype.name, flat.dtype.name)
        dtype = floats if floats is not None and flat.dtype.kind == "f" else own
        if dtype not in _CODES:
            raise UserError(f"a weight file holds {', '.join(_CODES)}, not {dtype}")
        stored = DTYPES[dtype]
        assert stored is not None
        count = flat.size * stored.itemsize
        put(struct.pack("<IIQQ40x", MAGIC, _CODES[dtype], count, offset + ALIGNMENT))
        for start in range(0, flat.size, _STEP):  # in pieces, so that no second copy of a tensor is held
            piece = flat[start : start + _STEP]
            if floats == "fp16" and flat.dtype.kind == "f":
                piece, bad, over = sanitised(piece)
                nans, clamped = nans + bad, clamped + over
            put(piece.astype(stored.newbyteorder("<"), copy=False).tobytes())
        put(bytes(-count % ALIGNMENT))
        offsets.append(offset)
        offset += ALIGNMENT + count + -count % ALIGNMENT
    return Written(tuple(offsets), nans, clamped)


class WeightFile:
    """A weight file, memory-mapped. Raises UserError, naming the file, when it cannot be read or is no weight file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            size = self.path.stat().st_size
            if size < ALIGNMENT:
                raise UserError(f"{self.path}: not a weight file: {size} bytes, its header alone has {ALIGNMENT}")
            self._bytes: Any = np.memmap(self.path, np.uint8, "r")
            head: Any = self._bytes
            self.count, version = struct.unpack_from("<II", head, 0)
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if version != VERSION:
            raise UserError(f"{self.path}: not a weight file: version {version} in its header, expected {VERSION}")

    def _chunk(self, offset: int) -> tuple[int, int, int]:
        """Type code, first byte and number of bytes of the chunk whose header is at `offset`."""
        if not ALIGNMENT <= offset <= len(self._bytes) - ALIGNMENT:
            raise UserError(f"{self.path}: no chunk at offset {offset}: the file has {len(self._bytes)} bytes")
        magic, code, count, start = struct.unpack_from("<IIQQ", self._bytes, offset)
        if magic != MAGIC:
            raise UserError(f"{self.path}: no chunk header at offset {offset} (magic {magic:08x}, not {MAGIC:08x}); "
                            "a reference gives the offset of the header, 64 for the first chunk")
        if start + count > len(self._bytes):
            raise UserError(f"{self.path}: the chunk at offset {offset} ends at {start + count}, "
                            f"the file at {len(self._bytes)}")
        return code, start, count

    def read(self, offset: int, type: TensorType) -> np.ndarray:
        """The chunk at `offset` as a read-only view [type.shape]. Raises UserError unless it has that type and size."""
        code, start, count = self._chunk(offset)
        if code != _CODES.get(type.dtype):
            found = next((name for name, c in _CODES.items() if c == code), f"element type {code}")
            raise UserError(f"{self.path}: the chunk at offset {offset} holds {found}, the program says {type}")
        if count != type.bytes:
            raise UserError(f"{self.path}: the chunk at offset {offset} has {count} bytes, {type} has {type.bytes}")
        dtype = DTYPES[type.dtype]
        assert dtype is not None
        return np.asarray(self._bytes[start : start + count]).view(dtype.newbyteorder("<")).reshape(type.shape)

    def chunks(self) -> Iterator[tuple[int, str, int]]:
        """Offset, element type and data bytes of every chunk, in the order of the file."""
        names = {code: name for name, code in _CODES.items()}
        offset = ALIGNMENT
        for _ in range(self.count):
            code, start, count = self._chunk(offset)
            yield offset, names.get(code, f"type {code}"), count
            end = start + count
            offset = end if self._at(end) else end + -end % ALIGNMENT

    def _at(self, offset: int) -> bool:
        """Whether a chunk header starts here; some writers do not pad to 64 bytes."""
        return offset + 4 <= len(self._bytes) and struct.unpack_from("<I", self._bytes, offset)[0] == MAGIC


class WeightFiles:
    """The weight files of a program: `@model_path/` in a reference is `folder`. Each is opened once."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._files: dict[str, WeightFile] = {}

    def read(self, blob: BlobFile) -> np.ndarray:
        """The value a reference stands for, as a read-only view. Raises UserError for a path that leaves the folder."""
        path = blob.path
        if path not in self._files:
            inside = PurePosixPath(path.removeprefix(MODEL_PATH))
            leaves = inside.is_absolute() or ".." in inside.parts
            if not path.startswith(MODEL_PATH) or leaves or not path.isprintable():
                raise UserError(f"{path!r} is no weight file of a program: expected {MODEL_PATH} and a file below it")
            self._files[path] = WeightFile(self._folder / inside)
        return self._files[path].read(blob.offset, blob.type)
