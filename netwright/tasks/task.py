"""`Task`: what a network is to learn, and on what it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from netwright.errors import UserError
from netwright.graph import Type

from . import splits
from .front_end import FrontEnd
from .resize import resize
from .words import Words

Kind = Literal["image", "series", "vector", "text"]
_RESIZABLE = {"image": 2, "series": 1, "vector": 0, "text": 0}  # trailing axes that `inputs` may resize


@dataclass(frozen=True, eq=False)
class Split:
    """Samples in file order. x: raw [n, C, H, W], [n, C, L] or [n, F], of texts numbers of words int32 [n, T];
    y: int64 [n] class numbers.

    group: int64 [n] or None; samples of one group come from one source (a person, a recording). sound: int16
    [n, samples] or None, the recordings that x was made of.
    """

    x: np.ndarray
    y: np.ndarray
    group: np.ndarray | None = None
    sound: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: np.ndarray) -> Split:
        """The samples at `indices`."""
        others = (None if a is None else a[indices] for a in (self.group, self.sound))
        return Split(self.x[indices], self.y[indices], *others)


@dataclass(frozen=True, eq=False)
class Task:
    """A classification task.

    held_out says in a sentence what the test set is. The network sees (raw - offset) * scale: offset and scale are
    float32 scalars [] for images, per channel [C, 1] for series, per feature [F] for vectors. digest is a hash of all
    of the data. features names the columns of a table; front_end is what makes the network's input of a
    sensor's readings on the device, None where the program takes the network's input itself. words is how texts became
    numbers, None for all else.
    """

    name: str
    kind: Kind
    train: Split
    test: Split
    classes: tuple[str, ...]
    held_out: str
    offset: np.ndarray
    scale: np.ndarray
    digest: str
    metric: Literal["accuracy"] = "accuracy"
    loss: Literal["cross-entropy"] = "cross-entropy"
    features: tuple[str, ...] = ()
    front_end: FrontEnd | None = None
    words: Words | None = None

    @property
    def x(self) -> Type:
        """One input: (1, C, H, W), (1, C, L) or (1, F), float32; of texts (1, T), int32."""
        return Type((1, *self.train.x.shape[1:]), "float32" if self.words is None else "int32")

    @property
    def y(self) -> Type:
        """One output: (1, classes), float32 logits."""
        return Type((1, len(self.classes)))

    def inputs(self, raw: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """What the network sees of raw samples [n, ...]: normalised float32, resized to `shape` (as `x.shape`); of
        texts the numbers of words as they are.

        Height and width of images and the length of series can change; resizing is bilinear and antialiased.
        Raises ValueError when raw is not shaped like this task's samples or `shape` changes anything else.
        """
        fixed = self.train.x.ndim - _RESIZABLE[self.kind]
        if raw.shape[1:] != self.x.shape[1:]:
            raise ValueError(f"{self.name}: samples are [n, ...] of {self.x.shape[1:]}, not {raw.shape}")
        if shape is not None and (len(shape) != raw.ndim or shape[1:fixed] != raw.shape[1:fixed] or min(shape) < 1):
            raise ValueError(f"{self.name}: inputs of shape {self.x.shape} cannot be resized to {shape}")
        if self.words is not None:
            return raw
        x = (raw.astype(np.float32) - self.offset) * self.scale
        return x if shape is None else resize(x, tuple(shape[fixed:]))

    def split_validation(self, share: float = 0.2, most: int = 5000, seed: int = 0) -> tuple[Split, Split]:
        """Training samples as (train, validation): `share` of each class, about `most` samples in all.

        Whole groups where the data has enough of them; else of each class the last in file order (another run for seeds
        other than 0), since neighbours in a file are often from one source. A class of one sample stays in training.
        """
        if not 0 < share < 1 or most < 1:
            raise ValueError(f"share must lie between 0 and 1 and most be positive, not {share} and {most}")
        share = min(share, most / len(self.train))
        halves = None
        if self.train.group is not None:
            halves = splits.whole_groups(self.train.group, self.train.y, share, seed or None)
        kept, held = halves or splits.contiguous_by_class(self.train.y, share, seed)
        return self.train.take(kept), self.train.take(held)

    def folds(self, k: int = 2) -> list[tuple[Split, Split]]:
        """k pairs (train, validation); validation parts are runs in file order, hold all classes and cover the data.

        Whole groups go to one fold where that leaves all classes in each; otherwise the runs are taken class by class.
        Raises ValueError for k < 2 and UserError when a class has fewer than k samples.
        """
        if k < 2:
            raise ValueError(f"folds needs k of at least 2, not {k}")
        counts = np.bincount(self.train.y, minlength=len(self.classes))
        few = int(counts.argmin())
        if counts[few] < k:
            raise UserError(
                f"{self.name}: class {self.classes[few]!r} has {counts[few]} training samples, too few for {k} folds: "
                "add some"
            )
        halves = None if self.train.group is None else splits.group_folds(self.train.group, self.train.y, k)
        halves = halves or splits.contiguous_folds(self.train.y, k)
        return [(self.train.take(kept), self.train.take(held)) for kept, held in halves]

    def preview(self) -> dict[str, np.ndarray]:
        """The first raw training sample of each class, by class name; for pictures in a report."""
        return {name: self.train.x[int(np.argmax(self.train.y == c))] for c, name in enumerate(self.classes)}

    def describe(self) -> dict[str, Any]:
        """Plain JSON for `--json` and the report."""
        return {
            "name": self.name,
            "kind": self.kind,
            "shape": list(self.x.shape[1:]),
            "dtype": str(self.train.x.dtype),
            "classes": list(self.classes),
            "samples": {"train": len(self.train), "test": len(self.test)},
            "counts": {"train": self._counts(self.train), "test": self._counts(self.test)},
            "held_out": self.held_out,
            "features": list(self.features),
            "front_end": self.front_end.describe() if self.front_end else None,
            **({"words": self.words.describe()} if self.words else {}),
            "metric": self.metric,
            "loss": self.loss,
            "digest": self.digest,
        }

    def _counts(self, split: Split) -> dict[str, int]:
        return dict(zip(self.classes, np.bincount(split.y, minlength=len(self.classes)).tolist(), strict=True))

    def __str__(self) -> str:
        shape = "x".join(map(str, self.x.shape[1:]))
        return (
            f"{self.name}: {self.kind} {shape}, {len(self.classes)} classes, {len(self.train)} to train on, "
            f"{len(self.test)} to test ({self.held_out})"
        )
