"""Log-mel features of sound: what a keyword network sees instead of samples; in reals, and as a graph of integers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netwright.graph import Builder, Graph, Quant, Type
from netwright.graph.ops.front_end.log_mel import FRACTION, INTERVALS, POWER_SHIFT, QLogMel

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

    @property
    def length(self) -> int:
        """Samples that are read of one recording: at least a window."""
        return max(self.samples, self.window)

    @cached_property
    def hann(self) -> np.ndarray:
        """The periodic window, float64."""
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)

    @cached_property
    def filters(self) -> np.ndarray:
        """[mels, bins] float64. No filter reads the first or last bin; the transform is made longer until even the
        narrowest meets one of the others."""
        low, high = (2595 * np.log10(1 + hz / 700) for hz in (min(self.low_hz, self.rate_hz / 8), self.rate_hz / 2))
        corners = 700 * (10 ** (np.linspace(low, high, self.mels + 2) / 2595) - 1)
        left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
        length = max(8, 1 << (self.window - 1).bit_length())
        while True:
            hz = np.fft.rfftfreq(length, 1 / self.rate_hz)[None]
            filters = np.maximum(np.minimum((hz - left) / (centre - left), (right - hz) / (right - centre)), 0.0)
            filters[:, [0, -1]] = 0.0
            if (filters.sum(1) > 0).all():
                return filters
            length *= 2

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """sound: float [any length], cut or padded with silence at its end. Returns float32 [frames, mels]."""
        padded = np.zeros(self.length)
        used = sound[: self.samples]
        padded[: len(used)] = used
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop][: self.frames]
        points = 2 * (self.filters.shape[1] - 1)
        power = np.abs(np.fft.rfft(frames * self.hann, points)) ** 2 / (self.hann**2).sum()  # [frames, bins]
        return np.log(power @ self.filters.T + FLOOR).astype(np.float32)

    @cached_property
    def unit(self) -> Quant:
        """What the integers of `graph` stand for: `self(sound)`, natural logarithms."""
        return Quant(float(np.float32(np.log(2) / (1 << FRACTION))), round((1 << FRACTION) * np.log2(self._energy)))

    @property
    def _energy(self) -> float:
        """The integer energy of a filter whose energy here is 1: samples and window bring 15 bits each, the transform
        divides by its points, filters have 15 bits."""
        points = self.filters.shape[1] - 1
        return float(2.0 ** (2 * 30 - POWER_SHIFT + 15) * (self.hann**2).sum() / points**2)

    def graph(self, out: Quant | None = None) -> Graph:
        """int16 [1, length] -> int16 [1, frames, mels, 1] of `unit`, or labelled `out`, in fixed point (`QLogMel`).

        What it gives lies within 0.05 of `self(sound)` where a filter's energy is 20 dB above the floor and not 80 dB
        below the frame's loudest.
        """
        points = self.filters.shape[1] - 1
        angles = np.pi * np.arange(points) / points
        used = [np.flatnonzero(row > 0) for row in self.filters]
        weights = np.concatenate([row[at[0] : at[-1] + 1] for row, at in zip(self.filters, used)])
        tables = {
            "window": self.hann,
            "roots": np.stack([np.cos(angles), np.sin(angles)], 1),
            "bands": np.array([(at[0], at[-1] - at[0] + 1) for at in used]) / 2**15,
            "weights": weights,
            "logs": np.log2(1 + np.arange(INTERVALS + 1) / INTERVALS) / 2,
        }
        b = Builder("log-mel")
        x = b.input("sound", Type((1, self.length), "int16"))
        held = [
            b.constant(np.clip(np.round(2**15 * t), -(2**15), 2**15 - 1).astype(np.int16), f"log_mel.{name}")
            for name, t in tables.items()
        ]
        op = QLogMel(self.hop, max(1, round(FLOOR * self._energy)), out or self.unit)
        b.output(b(op, x, *held, name="log_mel"))
        return b.graph()
