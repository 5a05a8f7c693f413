"""A folder of class subfolders of .wav files, or train/ and test/ folders of these.

PCM of 8, 16, 24 or 32 bits, all at one rate; several channels are averaged. Each recording is cut, or padded with
silence at its end, to the longest in training (up to one second), or to `window` samples when that is said, and
becomes log-mel features float32 [1, frames, mels], which are learnt like an image. They are computed in fixed point, as
the device does it (`netwright.tasks.mel.LogMel.graph`); the compiled program takes the int16 samples.
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netwright import devices
from netwright.errors import MissingExtra, UserError
from netwright.graph import Graph
from netwright.graph.ops.quantise import Dequantise
from netwright.tasks import folders
from netwright.tasks.mel import LogMel
from netwright.tasks.printable import clean, show
from netwright.tasks.room import check_room
from netwright.tasks.sources import Options, Reading, Samples

_DAMAGE = (wave.Error, EOFError, ValueError, RuntimeError)  # what the wave module raises at one damage or another
_MOST_HZ = 768_000
_MEMORY_PER_SAMPLE = 64  # while one recording becomes features: overlapping frames and their complex spectra
_TOGETHER = 64  # recordings
_MANY = 500  # recordings that are worth compiling for


@dataclass(frozen=True)
class _Format:
    """From a file's header: rate in Hz, frames (samples per channel), channels, bytes per sample."""

    rate_hz: int
    frames: int
    channels: int
    width: int


class WavFolder:
    """See the module."""

    name = "wav"
    expects = "a folder of class subfolders of .wav files"
    built_in = False
    options: frozenset[str] = frozenset(("window",))

    def takes(self, path: Path) -> bool:
        """A folder whose class subfolders hold .wav files."""
        return folders.holds(path, folders.SOUNDS)

    def read(self, path: Path, test: Path | None, options: Options) -> Reading:
        """Raises UserError for files that are no PCM or cut short, rates that differ, and empty classes."""
        root, own_test = folders.halves(path)
        held_out = f"the test/ folder of {clean(path)}"
        if test is not None:
            own_test, held_out = folders.test_root(test), f"the test set given: {clean(test)}"
        files, labels = folders.class_files(root, folders.SOUNDS, ".wav files")
        test_files, test_labels = folders.class_files(own_test, folders.SOUNDS, ".wav files") if own_test else ([], [])
        formats = [_format(file) for file in files + test_files]
        _one_rate(files + test_files, formats)
        rate = formats[0].rate_hz
        longest = max(form.frames for form in formats[: len(files)])
        front = LogMel(rate, options.window or min(longest, rate))
        sound = _recordings(front, files + test_files, formats)
        x, n = _features(front, sound), len(files)
        train = Samples(x[:n], np.array(labels), sound=sound[:n])
        held = Samples(x[n:], np.array(test_labels), sound=sound[n:]) if own_test else None
        return Reading("image", train, held, held_out, front=front)


def _format(file: Path) -> _Format:
    try:
        with wave.open(str(file), "rb") as sound:
            form = _Format(sound.getframerate(), sound.getnframes(), sound.getnchannels(), sound.getsampwidth())
    except _DAMAGE as error:
        raise UserError(
            f"{show(file)}: not a .wav file of PCM samples ({clean(error) if str(error) else 'cut short'}): "
            "convert it, for example with `ffmpeg -i in.wav -c:a pcm_s16le out.wav`"
        ) from None
    stored = file.stat().st_size
    if form.frames * form.channels * form.width > stored:
        raise UserError(
            f"{show(file)}: cut short, its header promises {form.frames:,} samples and the file has {stored:,} B: "
            "replace it"
        )
    if form.frames == 0:
        raise UserError(f"{show(file)}: holds no sound: remove it")
    if not 0 < form.rate_hz <= _MOST_HZ:
        raise UserError(f"{show(file)}: a rate of {form.rate_hz:,} Hz cannot be meant: replace it")
    if form.width > 4:
        raise UserError(f"{show(file)}: has {8 * form.width} bits a sample: save it with 8, 16, 24 or 32")
    return form


def _one_rate(files: list[Path], formats: list[_Format]) -> None:
    for file, form in zip(files, formats, strict=True):
        if form.rate_hz != formats[0].rate_hz:
            raise UserError(
                f"recordings differ in rate: {show(files[0])} has {formats[0].rate_hz} Hz and {show(file)} has "
                f"{form.rate_hz} Hz: "
                f"resample all to one, for example with `ffmpeg -i in.wav -ar {formats[0].rate_hz} out.wav`"
            )


def _features(front: LogMel, sound: np.ndarray) -> np.ndarray:
    """int16 [n, samples] -> float32 [n, 1, frames, mels]: the reals that the device's integers stand for."""
    check_room(4 * len(sound) * front.frames * front.mels, f"features of {len(sound)} recordings")
    check_room(_MEMORY_PER_SAMPLE * front.length, f"one recording of {front.length:,} samples")
    run = _executor(front.graph(), len(sound))
    x = np.empty((len(sound), 1, front.frames, front.mels), np.float32)
    for i in range(0, len(sound), _TOGETHER):
        (codes,) = run(sound[i : i + _TOGETHER])
        x[i : i + _TOGETHER] = Dequantise(front.unit).numpy(codes.transpose(0, 3, 1, 2))
    return x


def _executor(graph: Graph, recordings: int) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """NumPy; for many recordings, where a compiler is installed, C on this machine, which gives the same integers."""
    if recordings < _MANY:
        return graph.run
    try:
        return devices.get("host").compile(graph).run
    except MissingExtra:
        return graph.run


def _recordings(front: LogMel, files: list[Path], formats: list[_Format]) -> np.ndarray:
    """int16 [n, samples], silence where a recording has ended."""
    check_room(2 * len(files) * front.length, f"{len(files)} recordings of {front.length:,} samples")
    sound = np.zeros((len(files), front.length), np.int16)
    for i, (file, form) in enumerate(zip(files, formats, strict=True)):
        samples = np.rint(2**15 * _sound(file, form, front.samples)).clip(-(2**15), 2**15 - 1)
        sound[i, : len(samples)] = samples
    return sound


def _sound(file: Path, form: _Format, most: int) -> np.ndarray:
    """The first `most` samples as float64 in -1..1, channels averaged."""
    frames = min(form.frames, most)
    try:
        with wave.open(str(file), "rb") as sound:
            data = sound.readframes(frames)
    except _DAMAGE as error:
        raise UserError(f"{show(file)}: cannot be read ({clean(error)}): replace it") from None
    if len(data) != frames * form.channels * form.width:
        raise UserError(f"{show(file)}: cut short, its header promises {form.frames:,} samples: replace it")
    if form.width == 1:  # 8-bit PCM alone is unsigned
        samples = (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    else:
        low_aligned = np.zeros((frames * form.channels, 4), np.uint8)
        low_aligned[:, 4 - form.width :] = np.frombuffer(data, np.uint8).reshape(-1, form.width)
        samples = low_aligned.view("<i4")[:, 0] / 2.0**31
    return samples.reshape(frames, form.channels).mean(1)


source = WavFolder()
