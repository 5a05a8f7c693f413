"""A folder of class subfolders of .wav files becomes log-mel pictures, or one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_data import RNG, images, refused, tone, wav

from netwright.errors import UserError
from netwright.tasks import LogMel, load


def sounds(root: Path, count: int = 4, **format: int) -> Path:
    """Low and high tones of growing length: 0.3 s to 0.3 + 0.1 (count - 1) s."""
    for name, hz in (("low", 300), ("high", 2000)):
        for i in range(count):
            wav(root / name / f"{i}.wav", tone(hz, 0.3 + 0.1 * i), **format)
    return root


def test_spoken_digits_become_log_mel_pictures(tmp_path, shared_data: Path) -> None:
    for half in ("train", "test"):
        data = np.load(shared_data / "fsdd-small" / f"{half}.npz")
        audio, label = np.split(data["audio"] / 2**15, data["offsets"][1:-1]), data["label"]
        for i in range(0, len(label), 2):
            wav(tmp_path / half / str(label[i]) / f"{i}.wav", audio[i])
    task = load(tmp_path)
    assert task.kind == "image" and task.classes == tuple("0123456789") and task.x.shape == (1, 1, 49, 40)
    assert (len(task.train), len(task.test)) == (300, 150)
    assert task.train.sound.shape == (300, 8000) and task.train.sound.dtype == np.int16
    assert task.front_end.features == LogMel(rate_hz=8000, samples=8000)
    assert task.describe()["front_end"]["hop_ms"] == 20.0
    x, held = (task.inputs(split.x).reshape(len(split), -1) for split in (task.train, task.test))
    assert abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3
    nearest = ((x**2).sum(1) - 2 * held @ x.T).argmin(1)  # the training sample at the smallest distance
    assert (task.train.y[nearest] == task.test.y).mean() > 0.6  # the features carry the words


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_every_width_sound_alike(tmp_path, width: int) -> None:
    task = load(sounds(tmp_path / str(width), width=width))
    reference = load(sounds(tmp_path / "reference"))
    loud = reference.train.x > -5
    assert np.abs(task.train.x - reference.train.x)[loud].max() < (0.2 if width == 1 else 0.01)


def test_many_recordings_are_computed_in_c_and_come_out_the_same(tmp_path, monkeypatch) -> None:
    few = load(sounds(tmp_path))
    monkeypatch.setattr("netwright.tasks.sources.wav_folder._MANY", 1)
    many = load(tmp_path)
    assert np.array_equal(few.train.x, many.train.x) and few.digest == many.digest


def test_channels_are_averaged(tmp_path) -> None:
    mono, both = sounds(tmp_path / "mono"), tmp_path / "both"
    for name, hz in (("low", 300), ("high", 2000)):
        for i in range(4):
            one = tone(hz, 0.3 + 0.1 * i)
            wav(both / name / f"{i}.wav", np.stack([1.5 * one, 0.5 * one], 1), channels=2)
    averaged, single = load(both).train.x, load(mono).train.x
    loud = single > -5  # elsewhere there is only what rounding to 16 bits leaves
    assert np.abs(averaged - single)[loud].max() < 0.01 and loud.mean() > 0.05


def test_recordings_are_as_long_as_the_longest_up_to_a_second_or_as_told(tmp_path) -> None:
    assert load(sounds(tmp_path / "short")).front_end.features.samples == 4800
    assert load(sounds(tmp_path / "long", count=10)).front_end.features.samples == 8000
    assert load(tmp_path / "short", window=1600).x.shape == (1, 1, 9, 40)


def test_a_test_set_is_cut_to_the_length_of_training(tmp_path) -> None:
    task = load(sounds(tmp_path / "a"), test=sounds(tmp_path / "b", count=6))
    assert task.test.x.shape[1:] == task.train.x.shape[1:] and len(task.test) == 12


def test_recordings_of_different_rates_are_named(tmp_path) -> None:
    wav(sounds(tmp_path) / "low" / "9.wav", tone(300), rate=16000)
    refused("differ in rate", "9.wav has 16000 Hz", "8000 Hz", "ffmpeg", spec=tmp_path)


def test_what_is_no_pcm_is_refused_with_how_to_convert_it(tmp_path) -> None:
    bad = wav(sounds(tmp_path) / "low" / "9.wav", tone(300))
    data = bytearray(bad.read_bytes())
    data[20] = 3  # the format tag of floating-point samples
    bad.write_bytes(data)
    refused("9.wav: not a .wav file of PCM samples", "pcm_s16le", spec=tmp_path)
    for content in (b"", b"RIFF", bytes(RNG.integers(0, 256, 500).astype(np.uint8))):
        bad.write_bytes(content)
        refused("9.wav: not a .wav file of PCM samples", spec=tmp_path)


def test_damage_anywhere_in_a_header_is_refused_or_harmless(tmp_path) -> None:
    path = wav(sounds(tmp_path) / "low" / "0.wav", tone(300, 0.1))
    whole = path.read_bytes()
    for at in range(44):
        for value in (0, 255):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                load(tmp_path)
            except UserError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("keep", [50, 1000])
def test_a_truncated_recording_is_refused(tmp_path, keep: int) -> None:
    bad = wav(sounds(tmp_path) / "low" / "9.wav", tone(300))
    bad.write_bytes(bad.read_bytes()[:keep])
    refused("9.wav: cut short", spec=tmp_path)


def test_an_empty_recording_and_an_empty_class_are_refused(tmp_path) -> None:
    bad = wav(sounds(tmp_path) / "low" / "9.wav", np.zeros(0))
    refused("9.wav: holds no sound", spec=tmp_path)
    bad.unlink()
    (tmp_path / "silence").mkdir()
    refused("silence: this class folder holds no .wav files", spec=tmp_path)


def test_a_test_set_of_images_is_refused(tmp_path) -> None:
    refused("must be of the same kind", spec=sounds(tmp_path / "a"), test=images(tmp_path / "b", {"low": 2, "high": 2}))
