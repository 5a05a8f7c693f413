"""Files as data: mapped or read within bounds, every wrong thing one line that names the file."""

from __future__ import annotations

import gzip
import json
import mmap
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

LARGEST_TEXT = 128 << 20  # bytes of a vocabulary or settings file, unpacked


def read_bytes(path: Path, limit: int = LARGEST_TEXT) -> bytes:
    """A whole file, unpacked where its name ends in .gz. Raises UserError, also for more than `limit` bytes."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                data = packed.read(limit + 1)
        else:
            with path.open("rb") as file:
                data = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > limit:
        raise UserError(f"{path}: over {limit:,} bytes, too large for what it should hold")
    return data


def read_text(path: Path) -> str:
    """A UTF-8 file. Raises UserError."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def read_json(path: Path) -> Any:
    """A JSON file's value. Raises UserError."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error or 'nested too deeply'}") from None


def fields(where: Path, given: Any, names: dict[str, str], kind: type) -> dict[str, Any]:
    """Our names -> values of a JSON object's members of a kind (int or float). Raises UserError for what is absent."""
    found: dict[str, Any] = {}
    for ours, theirs in names.items():
        value = given.get(theirs) if isinstance(given, dict) else None
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (kind is float and isinstance(value, float))):
            raise UserError(f"{where}: {theirs!r} should be a number, found {str(value)[:40]!r}")
        found[ours] = kind(value)
    return found


class Mapped:
    """A file's bytes, mapped read-only, and a place in them; reading past the end raises UserError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = 0
        try:
            with path.open("rb") as file:
                self.size = path.stat().st_size
                self.data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b""
        except OSError as error:
            raise UserError(f"{path}: {error.strerror or error}") from None

    def fail(self, what: str) -> UserError:
        """The error to raise about this file."""
        return UserError(f"{self.path}: {what}")

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        if count < 0 or count > self.size - self.at:
            raise self.fail(f"ends within {what}: {count:,} bytes wanted at {self.at:,} of {self.size:,}")
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def unpack(self, form: str, what: str) -> tuple[Any, ...]:
        """The next values, little-endian, of a struct format."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}"), what))

    def array(self, offset: int, count: int, dtype: str, what: str) -> np.ndarray:
        """`count` elements at a byte offset, in place and read-only."""
        if offset < 0 or count < 0 or offset + count * np.dtype(dtype).itemsize > self.size:
            size = count * np.dtype(dtype).itemsize
            raise self.fail(f"ends within {what}: {size:,} bytes wanted at {offset:,} of {self.size:,}")
        return np.frombuffer(self.data, np.dtype(dtype).newbyteorder("<"), count, offset)
