"""Small data that tests write to disk."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netwright.errors import UserError
from netwright.tasks import load

RNG = np.random.default_rng(0)


def refused(*words: str, spec: object, **options: object) -> str:
    """The one line with which loading is refused; it holds all of `words`."""
    with pytest.raises(UserError) as caught:
        load(str(spec), **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, f"{word!r} not in {message!r}"
    return message


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
    return path


def images(root: Path, classes: dict[str, int], size: tuple[int, int] = (6, 5), mode: str = "L", suffix: str = "png") -> Path:
    """`size` is (width, height); pixels of class number c are all c + 10."""
    for c, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            colour = c + 10 if mode == "L" else (c + 10, i, 0)
            Image.new(mode, size, colour).save(root / name / f"{i}.{suffix}")
    return root


def wav(path: Path, samples: np.ndarray, rate: int = 8000, width: int = 2, channels: int = 1) -> Path:
    """samples: float in -1..1, [n] or [n, channels]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.clip(np.round(samples.reshape(-1) * 2.0 ** (8 * width - 1)), -(2.0 ** (8 * width - 1)), 2.0 ** (8 * width - 1) - 1)
    data = (whole + 128).astype(np.uint8).tobytes() if width == 1 else whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(data)
    return path


def tone(hz: float, seconds: float = 0.5, rate: int = 8000) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def csv(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
