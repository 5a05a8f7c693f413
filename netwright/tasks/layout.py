"""Which axis of an array of samples is what."""

from __future__ import annotations

import numpy as np

from netwright.errors import UserError

# Layout as one may write it into the file -> kind, and the order of axes that gives [n, C, H, W], [n, C, L] or [n, F].
LAYOUTS: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "NF": ("vector", (0, 1)),
    "NHW": ("image", (0, None, 1, 2)),
    "NHWC": ("image", (0, 3, 1, 2)),
    "NCHW": ("image", (0, 1, 2, 3)),
    "NCL": ("series", (0, 1, 2)),
    "NLC": ("series", (0, 2, 1)),
}
_MOST_COLOURS = 4  # an axis this short is taken for channels


def guess(shape: tuple[int, ...], dtype: np.dtype, where: str) -> str:
    """The layout of an array [n, ...] that does not say. Raises UserError where the rules do not decide.

    - [n] or [n, F]: vectors.
    - [n, a, b]: images when 8-bit or square; else series, the longer axis being time.
    - [n, a, b, c]: images. If just one of a and c is at most 4, it is the channels; else the axis that leaves a square.
    """
    if len(shape) <= 2:
        return "NF"
    if len(shape) == 3:
        if dtype == np.uint8 or shape[1] == shape[2]:
            return "NHW"
        return "NLC" if shape[1] > shape[2] else "NCL"
    if len(shape) == 4:
        first, last = shape[1] <= _MOST_COLOURS, shape[3] <= _MOST_COLOURS
        if first == last:
            first, last = shape[2] == shape[3], shape[1] == shape[2]
        if first != last:
            return "NCHW" if first else "NHWC"
        raise UserError(
            f"{where}: cannot tell channels first from channels last in shape {show_shape(shape)}: "
            f'add an array named layout to the file, np.array("NCHW") or np.array("NHWC")'
        )
    raise UserError(
        f"{where}: shape {show_shape(shape)} has {len(shape)} axes: give at most 4, [n, channels, height, width]"
    )


def arrange(x: np.ndarray, layout: str, where: str) -> tuple[str, np.ndarray]:
    """Kind, and x with channels first. Raises UserError when `layout` is not known or has another number of axes."""
    if layout not in LAYOUTS:
        raise UserError(f"{where}: layout {layout!r} is not one of {', '.join(sorted(LAYOUTS))}")
    kind, order = LAYOUTS[layout]
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != len(layout):
        raise UserError(f"{where}: layout {layout} needs {len(layout)} axes, and the shape is {show_shape(x.shape)}")
    moved = x.transpose([axis for axis in order if axis is not None])
    return kind, moved[:, None] if None in order else moved


def show_shape(shape: tuple[int, ...]) -> str:
    """`60000x28x28`."""
    return "x".join(map(str, shape))
