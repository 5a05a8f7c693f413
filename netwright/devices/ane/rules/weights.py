"""Weights: where they are, and when they are read."""

from __future__ import annotations

from collections import Counter

from ..mil import BlobFile
from ..passes.sram import weight_bytes
from ..weights import ALIGNMENT
from .rule import COMPILE, FRONT_END, ORION, WRONG, Found, Sight, rule

MOST_BYTES = 2 << 30


def _blobs(sight: Sight) -> list[tuple[str, BlobFile]]:
    return [(s.name, v) for s in sight.function.statements for _, v in s.attributes if isinstance(v, BlobFile)]


@rule("R7", "runtime", WRONG, "weights are compiled in: overwriting their file does nothing to a loaded program",
      "compile again; or unload, overwrite and load where the profile's reload applies; or weights as inputs", ORION,
      by_host=True)
def stale(sight: Sight) -> Found:
    for path, (then, now) in sight.versions.items():
        if then != now:
            yield path, "changed since it was compiled in"


@rule("R8", "program", WRONG, "a weight's offset must be that of its chunk header (64 in a file of one)",
      "give the offset of the header, not of the file or the data", ORION)
def offset(sight: Sight) -> Found:
    for name, blob in _blobs(sight):
        known = (sight.chunks or {}).get(blob.path)
        if known is not None and blob.offset not in known:
            yield name, f"no chunk header at offset {blob.offset} of {blob.path}"
        elif known is None and (blob.offset < ALIGNMENT or blob.offset % ALIGNMENT):
            yield name, f"offset {blob.offset} is that of no chunk header"
        elif known is None and blob.offset == 2 * ALIGNMENT and _alone(sight, blob):
            yield name, f"offset {blob.offset} is that of the data in a file of one chunk"


def _alone(sight: Sight, blob: BlobFile) -> bool:
    return sum(other.path == blob.path for _, other in _blobs(sight)) == 1


@rule("L5", "program", COMPILE, "a program holds at most about 2 GB of weights", "split it into several", FRONT_END)
def too_many(sight: Sight) -> Found:
    size = weight_bytes(sight.function)
    if size > MOST_BYTES:
        yield "weights", f"{size:,} bytes"


@rule("L10", "program", COMPILE, "chips of the M1 class refuse one file with several weights",
      "write one file for each matrix", "first reverse-engineering project, M1")
def packed(sight: Sight) -> Found:
    for path, count in Counter(b.path for b in {b for _, b in _blobs(sight)}).items():
        if count > 1:
            yield path, f"holds {count} weights"


RULES = (stale, offset, too_many, packed)
