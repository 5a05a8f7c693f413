"""Log-mel features of sound, in NumPy: what a keyword network sees instead of samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

FLOOR = 1e-6  # added to a filter's energy before the logarithm; about -60 dB of a full-scale sine


@dataclass(frozen=True)
class LogMel:
    """Sound [samples] in -1..1 -> float32 [frames, mels]: natural log of mel-filtered power.

    Periodic Hann window of `window_ms`, moved by `hop_ms`, no padding at the ends; power spectrum of the frame
    (divided by the window's energy), zero-padded to a power of two; triangular filters evenly spaced on the HTK mel
    scale (2595 log10(1 + f / 700)) from `low_hz` to half the rate; log(energy + 1e-6). `samples` is the length of one
    recording. 40 ms windows with a 20 ms hop are those of Zhang et al. 2017, "Hello Edge", section 4.1.
    """

    rate_hz: int
    samples: int
    window_ms: float = 40.0
    hop_ms: float = 20.0
    mels: int = 40
    low_hz: float = 20.0

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return max(2, round(self.rate_hz * self.window_ms / 1e3))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return max(1, round(self.rate_hz * self.hop_ms / 1e3))

    @property
    def frames(self) -> int:
        """Frames in one recording; a recording shorter than a window is padded to one."""
        return 1 + max(0, self.samples - self.window) // self.hop

    @cached_property
    def filters(self) -> np.ndarray:
        """[mels, bins] float64. The transform is made longer until even the narrowest filter meets a frequency bin."""
        low, high = (2595 * np.log10(1 + hz / 700) for hz in (min(self.low_hz, self.rate_hz / 8), self.rate_hz / 2))
        corners = 700 * (10 ** (np.linspace(low, high, self.mels + 2) / 2595) - 1)
        left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
        length = 1 << (self.window - 1).bit_length()
        while True:
            hz = np.fft.rfftfreq(length, 1 / self.rate_hz)[None]
            filters = np.maximum(np.minimum((hz - left) / (centre - left), (right - hz) / (right - centre)), 0.0)
            if (filters.sum(1) > 0).all():
                return filters
            length *= 2

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """sound: float [any length], cut or padded with silence at its end. Returns float32 [frames, mels]."""
        padded = np.zeros(max(self.samples, self.window))
        used = sound[: self.samples]
        padded[: len(used)] = used
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop][: self.frames]
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)
        length = 2 * (self.filters.shape[1] - 1)
        power = np.abs(np.fft.rfft(frames * hann, length)) ** 2 / (hann**2).sum()  # [frames, bins]
        return np.log(power @ self.filters.T + FLOOR).astype(np.float32)
