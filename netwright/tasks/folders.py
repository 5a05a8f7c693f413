"""Folders of class subfolders of files, or train/ and test/ folders of these."""

from __future__ import annotations

import os
from pathlib import Path

from netwright.errors import UserError

from .printable import clean, natural, show

IMAGES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"))
SOUNDS = frozenset((".wav",))


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """Entries in natural order, without hidden ones and what archivers leave behind."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if not entry.name.startswith((".", "__"))]
    return sorted(kept, key=lambda entry: natural(entry.name))


def _is(entry: os.DirEntry[str], suffixes: frozenset[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in suffixes and entry.is_file()


def halves(root: Path) -> tuple[Path, Path | None]:
    """The folder whose subfolders are classes, and that of the test set: train/ and test/ where root has a train/."""
    train, test = root / "train", root / "test"
    if not (train.is_dir() and any(entry.is_dir() for entry in _visible(train))):
        return root, None
    return train, test if test.is_dir() else None


def holds(root: Path, suffixes: frozenset[str]) -> bool:
    """Whether some class subfolder has a file with one of `suffixes`."""
    if not root.is_dir():
        return False
    classes = [entry for entry in _visible(halves(root)[0]) if entry.is_dir()]
    return any(_is(entry, suffixes) for folder in classes for entry in _visible(Path(folder.path)))


def class_files(root: Path, suffixes: frozenset[str], what: str) -> tuple[list[Path], list[str]]:
    """Every file of every class, classes and files in natural order, and its class (the subfolder's name).

    Raises UserError when a class folder has none.
    """
    files: list[Path] = []
    classes: list[str] = []
    for folder in _visible(root):
        if not folder.is_dir():
            continue
        found = [Path(entry.path) for entry in _visible(Path(folder.path)) if _is(entry, suffixes)]
        if not found:
            raise UserError(f"{show(folder.path)}: this class folder holds no {what}: add some or remove the folder")
        files += found
        classes += [folder.name] * len(found)
    if not files:
        raise UserError(f"{show(root)}: no class subfolders with {what}: put those of each class into their own folder")
    return files, classes


def test_root(test: Path) -> Path:
    """The folder of classes in a folder named by --test: its own test/ if it has train/ and test/."""
    root, own = halves(test)
    return own or root


def explain(root: Path) -> str:
    """Why this folder is not data, in one line."""
    entries = _visible(root)
    if not entries:
        return f"{show(root)}: the folder is empty: put the files of each class into a subfolder named after the class"
    known = sorted(entry.name for entry in entries if _is(entry, IMAGES | SOUNDS))
    if known:
        return (
            f"{show(root)}: holds files ({clean(known[0])!r}, {len(known)} in all) but no class subfolders: "
            "put the files of each class into a subfolder named after the class"
        )
    return f"{show(root)}: no class subfolder holds images (.png, .jpg, .bmp, ...) or .wav files"
