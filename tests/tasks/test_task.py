"""The task itself: splits, what the network sees, what is reported."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_data import npz, refused

from netwright.errors import UserError
from netwright.graph import Type
from netwright.tasks import LogMel, Split, Task, load, names
from netwright.tasks.resize import resize, weights


def toy(y: list[int], group: list[int] | None = None) -> Task:
    """Vectors that hold their own index."""
    labels = np.array(y)
    split = Split(np.arange(len(y), dtype=np.float32)[:, None], labels, None if group is None else np.array(group))
    classes = tuple(map(str, range(max(y) + 1)))
    return Task("toy", "vector", split, split, classes, "itself", np.zeros(1, np.float32), np.ones(1, np.float32), "0")


def index(split: Split) -> set[int]:
    return set(split.x[:, 0].astype(int).tolist())


def test_digits_hold_out_the_last_899_in_file_order() -> None:
    task = load("digits")
    assert (len(task.train), len(task.test)) == (898, 899)
    assert task.x == Type((1, 1, 8, 8)) and task.y == Type((1, 10))
    assert task.train.x.dtype == np.uint8 and task.scale == np.float32(1 / 16) and task.offset == 0
    assert "writers that training never saw" in task.held_out
    assert names() == ["digits"]
    assert task.digest == load("digits").digest


def test_digits_have_their_own_test_set(tmp_path) -> None:
    refused("digits", "test set of its own", spec="digits", test=npz(tmp_path / "a.npz", x=[1], y=[1]))


def test_loading_imports_neither_torch_nor_the_packages_that_a_source_does_not_need(tmp_path) -> None:
    path = npz(tmp_path / "a.npz", x=np.arange(12.0).reshape(6, 2), y=[0, 1] * 3)
    code = f"import sys, netwright.tasks as t; t.load({str(path)!r}); print({{'torch', 'sklearn', 'PIL'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60).filter(lambda y: min(np.bincount(y)) > 1), st.integers(0, 3))
def test_validation_takes_of_each_class_one_run_in_file_order(y: list[int], seed: int) -> None:
    task = toy(y)
    train, validation = task.split_validation(seed=seed)
    assert index(train) | index(validation) == set(range(len(y))) and not index(train) & index(validation)
    for c in set(y):
        members = [i for i, label in enumerate(y) if label == c]
        held = [i in index(validation) for i in members]
        assert 1 <= sum(held) <= max(1, round(0.2 * len(members)))
        assert not all(held)
        first = held.index(True)
        assert all(held[first : first + sum(held)])
        if seed == 0:
            assert held[-1]


@given(st.lists(st.integers(0, 2), min_size=9, max_size=50).filter(lambda y: len(set(y)) == 3 and min(np.bincount(y)) > 2), st.integers(2, 3))
def test_folds_cover_the_training_set_once_and_hold_every_class(y: list[int], k: int) -> None:
    folds = toy(y).folds(k)
    assert sorted(i for _, validation in folds for i in index(validation)) == list(range(len(y)))
    for train, validation in folds:
        assert not index(train) & index(validation)
        assert set(validation.y) == set(train.y) == set(y)


def test_validation_is_no_larger_than_most() -> None:
    assert len(toy([0, 1] * 500).split_validation(most=40)[1]) == 40


def test_validation_and_folds_keep_groups_whole() -> None:
    group = np.repeat(np.arange(10), 6)
    task = toy([0, 1, 2] * 20, group.tolist())
    for train, validation in [task.split_validation(), task.split_validation(seed=3), *task.folds(2)]:
        assert train.group is not None and validation.group is not None
        assert not set(train.group) & set(validation.group)
        assert set(validation.y) == {0, 1, 2}


def test_too_few_samples_for_folds_are_named() -> None:
    with pytest.raises(UserError, match="class '1' has 2 training samples, too few for 3 folds"):
        toy([0, 0, 0, 1, 1]).folds(3)


@pytest.mark.parametrize("sizes", [(20, 20), (13, 31), (56, 40), (28, 28), (1, 1)])
def test_resizing_is_pillows_antialiased_bilinear(sizes: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random((28, 28), np.float32)
    ours = resize(image[None, None], sizes)[0, 0]
    theirs = np.asarray(Image.fromarray(image).resize(sizes[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@given(st.integers(1, 40), st.integers(1, 40))
def test_resizing_keeps_a_constant(before: int, after: int) -> None:
    np.testing.assert_allclose(weights(before, after).sum(1), 1, rtol=1e-5)


def test_inputs_refuse_shapes_that_resizing_cannot_reach() -> None:
    task = load("digits")
    assert task.inputs(task.test.x[:3], (1, 1, 12, 6)).shape == (3, 1, 12, 6)
    with pytest.raises(ValueError, match="cannot be resized"):
        task.inputs(task.test.x[:3], (1, 3, 8, 8))
    with pytest.raises(ValueError, match="samples are"):
        task.inputs(task.test.x[0])


def test_vectors_reach_the_network_with_mean_0_and_deviation_1_and_constants_as_0(tmp_path) -> None:
    x = np.stack([np.arange(40.0) * 1000, np.full(40, 7.1), np.random.default_rng(0).random(40)], 1)
    task = load(npz(tmp_path / "v.npz", x_train=x, y_train=[0, 1] * 20, x_test=x, y_test=[0, 1] * 20))
    seen = task.inputs(task.train.x)
    assert seen.dtype == np.float32 and task.offset.shape == task.scale.shape == (3,)
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(0), [1, 0, 1], atol=1e-5)


def test_description_is_plain_json_and_a_preview_shows_each_class() -> None:
    task = load("digits")
    said = json.loads(json.dumps(task.describe()))
    assert said["samples"] == {"train": 898, "test": 899} and said["shape"] == [1, 8, 8] and said["dtype"] == "uint8"
    assert sum(said["counts"]["test"].values()) == 899 and said["held_out"] == task.held_out
    assert list(task.preview()) == list(task.classes) and task.preview()["3"].shape == (1, 8, 8)
    assert str(task).startswith("digits: image 1x8x8, 10 classes, 898 to train on")


def test_the_digest_tells_data_apart(tmp_path) -> None:
    x, y = np.arange(20.0).reshape(10, 2), [0, 1] * 5
    first = load(npz(tmp_path / "a.npz", x=x, y=y))
    x[3, 0] += 1e-3
    assert load(npz(tmp_path / "b.npz", x=x, y=y)).digest != first.digest != load(tmp_path / "a.npz", seed=1).digest


def test_log_mel_finds_a_tone_in_its_filter() -> None:
    front = LogMel(rate_hz=8000, samples=8000)
    assert (front.frames, front.mels) == (49, 40)
    features = front(0.5 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000))
    assert features.shape == (49, 40) and features.dtype == np.float32
    peak = int(features.mean(0).argmax())
    hz = np.fft.rfftfreq(512, 1 / 8000)[front.filters[peak].argmax()]
    assert abs(hz - 1000) < 60
    assert np.allclose(front(np.zeros(10)), np.log(1e-6))


@pytest.mark.parametrize("rate", [500, 1000, 4000, 16000, 44100])
def test_no_mel_filter_is_empty_at_any_rate(rate: int) -> None:
    assert (LogMel(rate, rate).filters.sum(1) > 0).all()


def test_a_task_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load("digits").name = "other"  # type: ignore[misc]
