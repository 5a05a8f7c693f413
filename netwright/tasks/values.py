"""Sample values as they are kept: uint8 or float32, and finite."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netwright.errors import UserError

_BLOCK = 1 << 22  # elements checked at a time, so that checking takes no memory to speak of


def keep(x: np.ndarray, image: bool, where: str, spot: Callable[[tuple[int, ...]], str]) -> np.ndarray:
    """x as uint8 where it is an image of whole numbers 0..255, else as float32, C-contiguous.

    Raises UserError for NaN, infinity or numbers beyond float32, naming the first with `spot(index)`, and for arrays
    that hold no numbers.
    """
    if x.dtype.kind not in "biuf":
        raise UserError(f"{where}: holds {x.dtype}, not numbers: save it as uint8 or float32")
    if image and x.dtype.kind in "biu" and x.min() >= 0 and x.max() <= 255:
        return np.ascontiguousarray(x, np.uint8)
    with np.errstate(over="ignore"):
        kept = np.ascontiguousarray(x, np.float32)
    flat = kept.reshape(-1)
    for begin in range(0, flat.size, _BLOCK):
        bad = np.flatnonzero(~np.isfinite(flat[begin : begin + _BLOCK]))
        if len(bad):
            index = tuple(int(i) for i in np.unravel_index(begin + int(bad[0]), kept.shape))
            value = {True: "NaN", False: "infinite or too large for float32"}[bool(np.isnan(x[index]))]
            raise UserError(f"{where}: {spot(index)} is {value}: mend it or remove the sample")
    return kept
