"""From what the user typed to a `Task`: find the source, read, number the classes, hold out a test set, normalise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from netwright.errors import UserError, nearest

from . import folders, splits
from .front_end import FrontEnd, Pixels, Readings, Sound, whole_numbers
from .labels import encode, whole_labels
from .printable import clean, file_name, show
from .sources import Options, Reading, Samples, Source, all_sources
from .task import Kind, Split, Task
from .words import Words, chosen

SHARE = 0.2


def names() -> list[str]:
    """Built-in tasks."""
    return sorted(source.name for source in all_sources() if source.built_in)


def load(
    spec: str | Path, *, test: str | Path | None = None, label: str | None = None, window: int | None = None,
    stride: int | None = None, group: str | None = None, seed: int = 0, name: str | None = None,
) -> Task:
    """The task `spec`: a built-in name, an .npz, a .csv, or a folder of class subfolders of images or .wav files.

    test: a test set of the same kind, which wins over one in the data itself. label, group: columns of a .csv;
    window, stride: rows of a .csv in a window and between windows (window also: audio samples in a recording).
    seed: for the test set that is held out when the data has none. name: of the task, instead of the file's own.
    Raises UserError.
    """
    source, path = _find(str(spec))
    options = Options(label, window, stride, group)
    for option in options.given():
        if option not in source.options:
            raise UserError(f"--{option} says nothing about {show(path)}, which is {source.expects}: leave it out")
    for option, value in (("window", window), ("stride", stride)):
        if value is not None and value < 1:
            raise UserError(f"--{option} must be at least 1, not {value}")
    reading = _read(source, path, None if test is None else _test_path(source, path, test), options)
    said = name or (path.resolve().name if path.is_dir() else Path(path.name.removesuffix(".gz")).stem)
    return _assemble(file_name(said), show(path), reading, options, seed)


def from_texts(
    name: str, train: tuple[Sequence[str], Sequence[str | int]], test: tuple[Sequence[str], Sequence[str | int]],
    words: Words | None = None,
) -> Task:
    """A task of texts that are in memory: (texts, labels) to train on and to test.

    words: how they become numbers; None: as suits the training texts (`words.chosen`). Raises UserError for labels
    that cannot be learnt (see `labels.encode`), and ValueError where a text has no label of its own.
    """

    def samples(texts: Sequence[str], labels: Sequence[str | int]) -> Samples:
        if not texts or len(texts) != len(labels):
            raise ValueError(f"{name}: {len(texts)} texts with {len(labels)} labels: each text needs one")
        numbered = whole_labels(np.array(list(labels)), name, lambda i: f"text {i}")
        return Samples(np.array(list(texts), object), numbered)

    reading = Reading("text", samples(*train), samples(*test), "the test set given")
    return _assemble(file_name(name), name, reading, Options(), 0, words)


def _find(spec: str) -> tuple[Source, Path]:
    sources, path = all_sources(), Path(spec)
    for source in sources:
        if source.built_in and source.name == spec:
            return source, path
    if not path.exists():
        hint = "" if path.suffix or len(path.parts) > 1 else f", and no built-in task{nearest(spec, names())}"
        raise UserError(f"{show(spec)}: no such file or folder{hint}")
    try:
        for source in sources:
            if not source.built_in and source.takes(path):
                return source, path
        if path.is_dir():
            raise UserError(folders.explain(path))
    except OSError as error:
        raise UserError(f"{show(path)}: cannot be read: {error.strerror or error}") from None
    kinds = "; ".join(source.expects for source in sources if not source.built_in)
    raise UserError(f"{show(path)}: not a kind of data that can be read (these are: {kinds})")


def _test_path(source: Source, path: Path, test: str | Path) -> Path:
    found = Path(test)
    if source.built_in:
        raise UserError(f"--test cannot be used with {source.name}, which has a test set of its own: leave it out")
    if not found.exists():
        raise UserError(f"{show(found)}: no such file or folder (given as --test)")
    if not source.takes(found):
        raise UserError(f"--test {show(found)} must be of the same kind as {show(path)}, which is {source.expects}")
    return found


def _read(source: Source, path: Path, test: Path | None, options: Options) -> Reading:
    try:
        return source.read(path, test, options)
    except OSError as error:
        where = show(error.filename) if error.filename else show(path)
        raise UserError(f"{where}: cannot be read: {error.strerror or clean(error)}") from None


def _assemble(
    name: str, where: str, reading: Reading, options: Options, seed: int, words: Words | None = None
) -> Task:
    test_labels = None if reading.test is None else reading.test.labels
    classes, y, y_test = encode(reading.train.labels, test_labels, where)
    whole = Split(reading.train.x, y, reading.train.group, reading.train.sound)
    if reading.test is not None and y_test is not None:
        given = reading.test
        train, test, held_out = whole, Split(given.x, y_test, given.group, given.sound), reading.held_out
    else:
        (kept, held), held_out = _hold_out(reading.train, y, options.window or 1, seed, where)
        train, test = whole.take(kept), whole.take(held)
    if reading.kind == "text":
        words = words or chosen(train.x.tolist())
        train, test = (replace(split, x=words(split.x)) for split in (train, test))
    offset, scale = _normalisation(reading, train.x)
    if reading.kind == "series" and whole_numbers(train.x) and whole_numbers(test.x):
        offset = np.rint(offset)  # the device subtracts whole numbers
    return Task(
        name=name,
        kind=cast(Kind, reading.kind),
        train=train,
        test=test,
        classes=classes,
        held_out=held_out,
        offset=offset,
        scale=scale,
        digest=_digest(reading, train, test, classes, offset, scale),
        features=reading.features,
        front_end=_front_end(reading, train, test, offset, scale),
        words=words,
    )


def _hold_out(samples: Samples, y: np.ndarray, window: int, seed: int, where: str) -> tuple[splits.Halves, str]:
    """Whole groups, else (windows over time) the end of time, else at random."""
    if samples.group is None or samples.start is None:
        return splits.random_by_class(y, SHARE, seed), f"stratified 20 % held out at random, seed {seed}"
    halves = splits.whole_groups(samples.group, y, SHARE, seed)
    if halves is not None:
        held, all_groups = len(np.unique(samples.group[halves[1]])), len(np.unique(samples.group))
        part = 100 * len(halves[1]) / len(y)
        return halves, f"{held} whole groups of {all_groups} held out ({part:.0f} % of the samples), seed {seed}"
    halves, dropped = splits.end_of_time(y, samples.group, samples.start, window, SHARE)
    if not len(halves[1]) or len(np.unique(y[halves[0]])) < len(np.unique(y)):
        raise UserError(
            f"{where}: too few samples ({len(y)}) in time to hold 20 % out: "
            "make --window or --stride smaller, or name a test set with --test"
        )
    overlap = f"; {dropped} windows that overlap it are not used" if dropped else ""
    return halves, f"the last 20 % in time of each class within each group{overlap}"


def _normalisation(reading: Reading, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """offset and scale, float32, from the training set.

    Integer images keep black at 0 (so that zero padding is background) and their largest training value becomes 1;
    float images that lie in -1..1 stay as they are, as do numbers of words; all else gets mean 0 and deviation 1. What
    is constant is only centred.
    """
    if reading.kind == "text":
        return np.zeros((), np.float32), np.ones((), np.float32)
    if reading.kind == "image":
        if reading.scale is not None:
            return np.zeros((), np.float32), np.asarray(reading.scale, np.float32)
        if x.dtype == np.uint8:
            return np.zeros((), np.float32), np.asarray(1.0 / max(1, int(x.max())), np.float32)
        if reading.front is None and x.min() >= -1 and x.max() <= 1:
            return np.zeros((), np.float32), np.ones((), np.float32)
    axes = {"image": None, "series": (0, 2), "vector": 0}[reading.kind]
    mean, deviation = x.mean(axes, np.float64), x.std(axes, np.float64)
    constant = deviation <= 1e-6 * np.abs(mean)  # the spread of rounding errors is no spread
    scale = 1.0 / np.where(constant | (deviation == 0), 1.0, deviation)
    shape = (-1, 1) if reading.kind == "series" else mean.shape
    return np.asarray(mean, np.float32).reshape(shape), np.asarray(scale, np.float32).reshape(shape)


def _front_end(
    reading: Reading, train: Split, test: Split, offset: np.ndarray, scale: np.ndarray
) -> FrontEnd | None:
    """What the device computes before the network, where the sensor's readings are integers."""
    if reading.front is not None:
        return Sound(reading.front, float(offset), float(scale))
    if reading.kind == "image" and train.x.dtype == test.x.dtype == np.uint8:
        return Pixels(float(scale))
    if reading.kind == "series" and whole_numbers(train.x) and whole_numbers(test.x):
        return Readings(tuple(int(o) for o in offset.reshape(-1)), tuple(float(s) for s in scale.reshape(-1)))
    return None


def _digest(reading: Reading, train: Split, test: Split, classes: tuple[str, ...], *numbers: np.ndarray) -> str:
    """Hash of everything that a result depends on: 32 hexadecimal digits."""
    state = hashlib.blake2b(repr((reading.kind, classes, reading.features, reading.front)).encode(), digest_size=16)
    for array in (train.x, train.y, test.x, test.y, *numbers):
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()
