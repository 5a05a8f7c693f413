"""How a network is trained: everything that is not the network, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from netwright.errors import UserError

SHORT_SAMPLES = 27_500  # gradient samples of a search's short training
LONG_SAMPLES = 1_500_000  # of a final training, for large sets
LONG_TEXTS = 60_000  # the same of texts: a table of words learns a training set by heart in a few epochs
LONG_EPOCHS = 150  # of a final training, for small sets


@dataclass(frozen=True)
class Augment:
    """Random changes of a batch, each within its own range; 0 switches one off. Shifts are in pixels or steps."""

    rotate: float = 0.0  # degrees
    scale: float = 0.0  # of the logarithm, per axis
    shear: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0  # standard deviation of a 3x3 displacement grid
    bicubic: bool = False  # else bilinear
    flip: bool = False  # left-right
    brightness: float = 0.0  # of the logarithm
    noise: float = 0.0  # standard deviation, in units of the input
    drop: float = 0.0  # share of a text's words that are left out (Iyyer et al. 2015, section 3.2)


@dataclass(frozen=True)
class Recipe:
    """Optimiser, schedule, augmentation, regularisation. `epochs` may be a fraction."""

    epochs: float = 30.0
    batch: int = 64
    optimiser: str = "adamw"  # adamw | sgd
    rate: float = 6e-3
    decay: float = 0.05  # weight decay, on matrices and kernels only
    beta2: float = 0.98
    warmup: float = 0.15  # share of the steps
    schedule: str = "cosine"  # cosine | linear | constant, after the warm-up
    smoothing: float = 0.05  # label smoothing
    ema: float = 0.998  # moving average of the weights that is kept; 0: none
    patience: int = 0  # early stop after so many epochs without a better validation loss; 0: never
    precision: str = "auto"  # auto | float32 | bfloat16
    augment: Augment = Augment()

    def changed(self, changes: Mapping[str, Any]) -> Recipe:
        """With some fields replaced. Raises UserError for a field that does not exist."""
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise UserError(f"a recipe has no {name!r} (it has {', '.join(sorted(known))})")
        values = dict(changes)
        if isinstance(values.get("augment"), Mapping):
            values["augment"] = replace(self.augment, **values["augment"])
        return replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def default_recipe(kind: str, shape: tuple[int, ...], samples: int) -> Recipe:
    """A recipe for a final training. `kind` is image, series, vector or text; `shape` one sample with its leading 1."""
    most = LONG_TEXTS if kind == "text" else LONG_SAMPLES
    epochs = float(min(LONG_EPOCHS, max(10, most // max(1, samples))))
    small = samples <= 5000
    if kind == "image":
        side = min(shape[2:])
        if shape[1] == 1:
            augment = Augment(12, 0.12, 0.15, max(0.8, 0.07 * side), 0.25 if side < 16 else 0.0, side < 16)
        else:
            augment = Augment(5, 0.08, 0.05, max(1.0, 0.08 * side), flip=True, brightness=0.1)
    elif kind == "series":
        augment = Augment(scale=0.1, shift=max(1.0, 0.05 * shape[-1]), noise=0.03)
    else:
        augment = Augment(noise=0.03 if kind == "vector" else 0.0)
    return Recipe(
        epochs,
        64 if small else 128,
        rate=6e-3 if small else 8e-3,
        warmup=0.15 if small else 0.2,
        ema=0.998 if small else 0.999,
        augment=augment,
    )


def short_recipe(recipe: Recipe, samples: int, share: float = 1.0) -> Recipe:
    """The same for a search: `share` of about 27,500 samples (30 epochs at most), the whole schedule run down, the
    average (if any) shortened."""
    epochs = share * min(30.0, SHORT_SAMPLES / max(1, samples))
    average = (0.97 if epochs > 5 else 0.98) if recipe.ema else 0.0
    return replace(recipe, epochs=epochs, ema=average)
