"""An .npz: x and y, or x_train, y_train and (if there is a test set) x_test, y_test; capital X and Y too.

y is one whole number or text for each sample. x is [n, F] vectors, [n, H, W] or [n, H, W, C] or [n, C, H, W] images,
or [n, L, C] or [n, C, L] series; `netwright.tasks.layout.guess` has the rules. To say it instead, add an array named
`layout` with one of NF, NHW, NHWC, NCHW, NCL, NLC. Images of whole numbers 0..255 are kept as uint8, all else as
float32. Arrays are read without pickle, and only after the shapes in their headers were held against the file and the
memory.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from netwright.errors import UserError
from netwright.tasks.labels import whole_labels
from netwright.tasks.layout import arrange, guess, show_shape
from netwright.tasks.printable import clean, show
from netwright.tasks.room import check_room
from netwright.tasks.sources import Options, Reading, Samples
from netwright.tasks.values import keep

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError, TypeError)


@dataclass(frozen=True)
class _Archive:
    """An open .npz: `members` maps array names as written to the members of the zip."""

    path: Path
    zip: zipfile.ZipFile
    members: dict[str, str]

    def key(self, name: str) -> str | None:
        """The array's name in the file: as asked, or with a capital first letter."""
        return next((key for key in (name, name.capitalize()) if key in self.members), None)

    def array(self, key: str) -> np.ndarray:
        """The array, after its header was held against the member's size and the machine's memory. Raises UserError."""
        where = f"{show(self.path)}: {key}"
        with self.zip.open(self.members[key]) as member:
            version = npy.read_magic(member)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read_header(member)
            promised = member.tell() + math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise UserError(f"{where} holds Python objects, which are not read: save numbers or text (dtype {dtype})")
        stored = self.zip.getinfo(self.members[key]).file_size
        if promised != stored:
            raise UserError(f"{where} is damaged: its header promises {promised:,} B and the file has {stored:,} B")
        check_room(promised, f"{where} ({show_shape(shape)} {dtype})")
        with self.zip.open(self.members[key]) as member:
            return npy.read_array(member, allow_pickle=False)


class NpzFile:
    """See the module."""

    name = "npz"
    expects = "an .npz file with x and y"
    built_in = False
    options: frozenset[str] = frozenset()

    def takes(self, path: Path) -> bool:
        """A file that ends in .npz."""
        return path.suffix.lower() == ".npz" and path.is_file()

    def read(self, path: Path, test: Path | None, options: Options) -> Reading:
        """Raises UserError for damaged files, missing arrays, lengths that differ, and values that are not finite."""
        kind, train, own_test = _open(path)
        if train is None:
            raise UserError(f"{show(path)}: has x_test and y_test but nothing to train on: add x_train and y_train")
        held_out = f"x_test and y_test of {clean(path.name)}"
        if test is not None:
            test_kind, given, own_test = _open(test)
            own_test = own_test or given
            held_out = f"the test set given: {clean(test)}"
            kind = kind if kind == test_kind else f"{kind} and {test_kind}"
        if own_test is not None and own_test.x.shape[1:] != train.x.shape[1:]:
            raise UserError(
                f"{show(test or path)}: test samples are {show_shape(own_test.x.shape[1:])} and training samples "
                f"{show_shape(train.x.shape[1:])} ({kind}, channels first): give both the same shape"
            )
        if own_test is not None and own_test.x.dtype != train.x.dtype:
            train, own_test = _as_float(train), _as_float(own_test)
        return Reading(kind, train, own_test, held_out)


def _as_float(samples: Samples) -> Samples:
    return Samples(samples.x.astype(np.float32), samples.labels)


def _open(path: Path) -> tuple[str, Samples | None, Samples | None]:
    """Kind, training samples and test samples; either may be missing, not both."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            return _halves(_Archive(path, archive, members))
    except _DAMAGE as error:
        raise UserError(
            f"{show(path)}: not a readable .npz, it is cut short or damaged ({clean(error)}): save it again"
        ) from None


def _halves(archive: _Archive) -> tuple[str, Samples | None, Samples | None]:
    pairs = [(archive.key(f"x{part}"), archive.key(f"y{part}"), part) for part in ("_train", "", "_test")]
    for x, y, part in pairs:
        if (x is None) != (y is None):
            missing = f"x{part}" if x is None else f"y{part}"
            raise UserError(f"{show(archive.path)}: has {x or y} but no {missing}: {_there_are(archive)}")
    layout = clean(archive.array("layout")).upper() if "layout" in archive.members else None
    kinds: list[str] = []
    found: dict[str, Samples] = {}
    for x, y, part in pairs:
        if x is not None and y is not None and not (part == "" and "_train" in found):
            kind, found[part] = _samples(archive, x, y, layout)
            kinds.append(kind)
    if not found:
        needs = "needs arrays x and y, or x_train, y_train, x_test and y_test"
        raise UserError(f"{show(archive.path)}: {needs}: {_there_are(archive)}")
    if len(set(kinds)) > 1:
        both = f"{kinds[0]} in training and {kinds[1]} in test"
        raise UserError(f"{show(archive.path)}: the arrays look like {both}: give both one shape")
    return kinds[0], found.get("_train", found.get("")), found.get("_test")


def _there_are(archive: _Archive) -> str:
    listed = ", ".join(clean(key) for key in sorted(archive.members)[:12]) or "none"
    return f"the arrays in the file are {listed}"


def _samples(archive: _Archive, x_key: str, y_key: str, layout: str | None) -> tuple[str, Samples]:
    where = show(archive.path)
    x, y = archive.array(x_key), archive.array(y_key)
    if x.ndim == 0 or not x.size:
        raise UserError(f"{where}: {x_key} is empty (shape {list(x.shape)}): give at least two samples of each class")
    labels = len(y) if y.ndim else 1
    if len(x) != labels:
        raise UserError(f"{where}: {x_key} has {len(x)} samples and {y_key} has {labels} labels: each sample needs one")
    here = f"{where}: {x_key}"
    kind, arranged = arrange(x, layout or guess(x.shape, x.dtype, here), here)
    kept = keep(arranged, kind == "image", here, lambda at: f"sample {at[0]} at {list(at[1:])} (channels first)")
    return kind, Samples(kept, whole_labels(y, f"{where}: {y_key}", lambda i: f"sample {i}"))


source = NpzFile()
