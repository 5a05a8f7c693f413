"""A folder of class subfolders of images (.png, .jpg, .bmp, ...), or train/ and test/ folders of these.

All images must have one size. Read as uint8: one channel if all of them are grey, else three (RGB; a palette counts as
colour). Transparency is dropped, 16-bit grey keeps its upper 8 bits, and turned photographs (EXIF orientation) are set
upright.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import MissingExtra, UserError
from netwright.tasks import folders
from netwright.tasks.printable import clean, show
from netwright.tasks.room import check_room
from netwright.tasks.sources import Options, Reading, Samples

_GREY = frozenset(("1", "L", "LA", "I;16", "I;16B", "I;16L", "I"))
_DEEP = frozenset(("I;16", "I;16B", "I;16L", "I"))
_ORIENTATION = 274  # EXIF tag; values of 5 and more turn the picture by 90 degrees


class ImageFolder:
    """See the module."""

    name = "images"
    expects = "a folder of class subfolders of images"
    built_in = False
    options: frozenset[str] = frozenset()

    def takes(self, path: Path) -> bool:
        """A folder whose class subfolders hold some image."""
        return folders.holds(path, folders.IMAGES)

    def read(self, path: Path, test: Path | None, options: Options) -> Reading:
        """Raises UserError for unreadable images, sizes that differ and empty classes; MissingExtra without Pillow."""
        root, own_test = folders.halves(path)
        held_out = f"the test/ folder of {clean(path)}"
        if test is not None:
            own_test, held_out = folders.test_root(test), f"the test set given: {clean(test)}"
        files, labels = folders.class_files(root, folders.IMAGES, "images")
        test_files, test_labels = folders.class_files(own_test, folders.IMAGES, "images") if own_test else ([], [])
        x = _read(files + test_files)
        train = Samples(x[: len(files)], np.array(labels))
        return Reading("image", train, Samples(x[len(files) :], np.array(test_labels)) if own_test else None, held_out)


def _read(files: list[Path]) -> np.ndarray:
    """uint8 [n, C, H, W]. Sizes come from all headers first; only then are pixels decoded."""
    headers = [_header(file) for file in files]
    sizes = Counter(size for size, _ in headers)
    if len(sizes) > 1:
        common = sizes.most_common(1)[0][0]
        usual = next(i for i, (size, _) in enumerate(headers) if size == common)
        other = next(i for i, (size, _) in enumerate(headers) if size != common)
        raise UserError(
            f"images differ in size: {show(files[usual])} is {common[0]}x{common[1]} and {show(files[other])} is "
            f"{headers[other][0][0]}x{headers[other][0][1]}: resize all to one size, for example with "
            f"ImageMagick's `mogrify -resize {common[0]}x{common[1]}!`"
        )
    width, height = headers[0][0]
    grey = all(mode in _GREY for _, mode in headers)
    shape = (len(files), 1 if grey else 3, height, width)
    check_room(int(np.prod(shape, dtype=object)), f"{len(files)} images of {width}x{height}")
    x = np.empty(shape, np.uint8)
    for i, file in enumerate(files):
        pixels = _pixels(file, grey)  # [H, W] or [H, W, 3]
        x[i] = pixels[None] if grey else pixels.transpose(2, 0, 1)
    return x


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("Pillow", "train") from None
    return Image


def _unreadable(file: Path, error: Exception) -> UserError:
    return UserError(f"{show(file)}: not a readable image ({clean(error, 120)}): replace or remove it")


def _header(file: Path) -> tuple[tuple[int, int], str]:
    """(width, height) when upright, and Pillow's mode."""
    image_module = _pillow()
    try:
        with image_module.open(file) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION, 1) >= 5:
                width, height = height, width
            mode = image.mode
    except Exception as error:
        raise _unreadable(file, error) from None
    if mode == "F":
        raise UserError(f"{show(file)}: holds floating-point pixels: save it with 8 bits a channel")
    return (width, height), mode


def _pixels(file: Path, grey: bool) -> np.ndarray:
    """uint8 [H, W] if grey, else [H, W, 3]."""
    image_module = _pillow()
    from PIL import ImageOps

    try:
        with image_module.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode in _DEEP:
                upper = np.asarray(upright).astype(np.int64) >> 8
                upright = image_module.fromarray(upper.clip(0, 255).astype(np.uint8))
            return np.asarray(upright.convert("L" if grey else "RGB"))
    except Exception as error:
        raise _unreadable(file, error) from None


source = ImageFolder()
