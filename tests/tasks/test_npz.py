"""An .npz becomes a task, or one clear line."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_data import RNG, npz, refused

from netwright.tasks import load, room
from netwright.tasks.layout import guess

Y = [0, 1] * 5


def test_mnist_loads_whole(shared_data: Path) -> None:
    task = load(shared_data / "mnist" / "mnist.npz")
    assert task.name == "mnist" and task.x.shape == (1, 1, 28, 28) and len(task.train) == 60_000 and len(task.test) == 10_000
    assert task.held_out == "x_test and y_test of mnist.npz"
    assert task.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert task.inputs(task.test.x[:100]).max() == 1.0


def test_without_a_test_set_a_fifth_of_each_class_is_held_out_by_seed(tmp_path) -> None:
    path = npz(tmp_path / "a.npz", x=RNG.random((100, 3)), y=[0] * 70 + [1] * 30)
    task = load(path)
    assert np.bincount(task.test.y).tolist() == [14, 6]
    assert task.held_out == "stratified 20 % held out at random, seed 0"
    assert np.array_equal(task.test.x, load(path).test.x) and not np.array_equal(task.test.x, load(path, seed=1).test.x)


@pytest.mark.parametrize("shape, dtype, layout", [
    ((9, 4), "float32", "NF"),
    ((9, 28, 28), "uint8", "NHW"),
    ((9, 96, 48), "uint8", "NHW"),
    ((9, 28, 28), "float32", "NHW"),
    ((9, 128, 6), "float32", "NLC"),
    ((9, 6, 128), "float32", "NCL"),
    ((9, 32, 32, 3), "uint8", "NHWC"),
    ((9, 1, 49, 10), "float32", "NCHW"),
    ((9, 3, 8, 3), "uint8", None),
    ((9, 8, 16, 16), "uint8", "NCHW"),
    ((9, 16, 16, 8), "uint8", "NHWC"),
    ((9, 3, 4, 4), "uint8", "NCHW"),
])
def test_the_layout_is_guessed_by_rule(shape: tuple[int, ...], dtype: str, layout: str | None) -> None:
    if layout is None:
        with pytest.raises(Exception, match="add an array named layout"):
            guess(shape, np.dtype(dtype), "x")
    else:
        assert guess(shape, np.dtype(dtype), "x") == layout


@pytest.mark.parametrize("layout, shape, kind, sample", [
    ("NHWC", (10, 5, 6, 3), "image", (1, 3, 5, 6)),
    ("NHW", (10, 49, 10), "image", (1, 1, 49, 10)),
    ("NLC", (10, 4, 9), "series", (1, 9, 4)),
])
def test_the_file_may_say_its_layout(tmp_path, layout: str, shape: tuple[int, ...], kind: str, sample: tuple[int, ...]) -> None:
    x = RNG.random(shape)
    task = load(npz(tmp_path / "a.npz", x=x, y=Y, layout=layout))
    assert (task.kind, task.x.shape) == (kind, sample)


def test_channels_last_is_moved_first(tmp_path) -> None:
    x = RNG.integers(0, 256, (10, 5, 6, 3)).astype(np.uint8)
    task = load(npz(tmp_path / "a.npz", x_train=x, y_train=Y, x_test=x, y_test=Y))
    assert np.array_equal(task.train.x, x.transpose(0, 3, 1, 2)) and task.train.x.dtype == np.uint8


def test_series_are_normalised_per_channel(tmp_path) -> None:
    x = RNG.random((10, 50, 3)) * [1, 10, 100]
    task = load(npz(tmp_path / "a.npz", X_train=x, Y_train=Y, X_test=x, Y_test=Y))
    assert task.kind == "series" and task.x.shape == (1, 3, 50) and task.scale.shape == (3, 1)
    np.testing.assert_allclose(task.inputs(task.train.x).std((0, 2)), 1, atol=1e-4)
    assert task.inputs(task.train.x, (1, 3, 25)).shape == (10, 3, 25)


def test_labels_keep_their_names_in_order(tmp_path) -> None:
    x = RNG.random((9, 2))
    assert load(npz(tmp_path / "a.npz", x=x, y=[10, 2, -1] * 3)).classes == ("-1", "2", "10")
    assert load(npz(tmp_path / "b.npz", x=x, y=["take10", "take2", "a\nb"] * 3)).classes == ("a b", "take2", "take10")
    assert load(npz(tmp_path / "c.npz", x=x, y=np.array([[1.0], [2.0], [4.0]] * 3))).classes == ("1", "2", "4")


def test_a_named_test_set_wins(tmp_path) -> None:
    x = RNG.random((10, 2))
    path = npz(tmp_path / "a.npz", x_train=x, y_train=Y, x_test=x, y_test=Y)
    task = load(path, test=npz(tmp_path / "b.npz", x=x[:4], y=Y[:4]))
    assert len(task.test) == 4 and "the test set given" in task.held_out


def test_integers_of_any_width_are_8_bit_images(tmp_path) -> None:
    x = RNG.integers(0, 256, (10, 6, 6))
    assert load(npz(tmp_path / "a.npz", x=x, y=Y)).train.x.dtype == np.uint8


@pytest.mark.parametrize("arrays, words", [
    ({"x": np.zeros((10, 2))}, ("has x but no y", "arrays in the file are x")),
    ({"data": np.zeros((10, 2)), "target": Y}, ("needs arrays x and y", "data, target")),
    ({"x": np.zeros((10, 2)), "y": Y[:9]}, ("x has 10 samples and y has 9 labels",)),
    ({"x": np.zeros((10, 2)), "y": [1] * 10}, ("only one class ('1', 10 samples)",)),
    ({"x": np.zeros((10, 2)), "y": [1] * 9 + [2]}, ("class '2' has only one sample",)),
    ({"x": np.zeros((10, 2)), "y": [0.5] + [1.0] * 9}, ("label of sample 0 is 0.5", "whole number")),
    ({"x": np.zeros((10, 2)), "y": np.eye(10)}, ("10x10", "one-hot")),
    ({"x": np.zeros((0, 2)), "y": []}, ("x is empty",)),
    ({"x": [["a", "b"]] * 10, "y": Y}, ("not numbers",)),
    ({"x": np.zeros((10, 2, 2, 2, 2)), "y": Y}, ("has 5 axes",)),
    ({"x": np.zeros((10, 2)), "y": Y, "layout": "NXY"}, ("layout 'NXY' is not one of",)),
    ({"x": np.full((10, 2), 1e300), "y": Y}, ("too large for float32",)),
    ({"x_test": np.zeros((10, 2)), "y_test": Y}, ("nothing to train on",)),
    ({"x_train": np.zeros((10, 2)), "y_train": Y, "x_test": np.zeros((10, 3)), "y_test": Y}, ("samples are 3", "training samples 2")),
    ({"x_train": np.zeros((10, 2)), "y_train": Y, "x_test": np.zeros((2, 2)), "y_test": [7, 0]}, ("classes that training lacks: '7'",)),
])
def test_bad_content_is_refused_in_one_line(tmp_path, arrays: dict, words: tuple[str, ...]) -> None:
    refused("a.npz", *words, spec=npz(tmp_path / "a.npz", **arrays))


def test_nan_is_refused_with_its_place(tmp_path) -> None:
    x = np.zeros((10, 3))
    x[7, 2] = np.nan
    refused("sample 7 at [2]", "is NaN", spec=npz(tmp_path / "a.npz", x=x, y=Y))
    x[7, 2] = np.inf
    refused("sample 7 at [2]", "infinite", spec=npz(tmp_path / "a.npz", x=x, y=Y))


@pytest.mark.parametrize("keep", [0, 10, 200, 0.5, 0.95])
def test_a_truncated_file_is_refused(tmp_path, keep: float) -> None:
    whole = npz(tmp_path / "whole.npz", x=RNG.random((10, 200)), y=Y).read_bytes()
    path = tmp_path / "cut.npz"
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    refused("cut.npz", "cut short or damaged", spec=path)


def test_a_damaged_member_is_refused(tmp_path) -> None:
    path = npz(tmp_path / "a.npz", x=RNG.random((10, 200)), y=Y)
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    refused("a.npz", "damaged", spec=path)


def test_a_file_that_is_no_npz_is_refused(tmp_path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("hello")
    refused("not a readable .npz", spec=path)


def test_nothing_is_unpickled(tmp_path) -> None:
    class Loud:
        def __reduce__(self):
            return (pytest.fail, ("was unpickled",))

    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([Loud()] * 4, dtype=object), y=[0, 1, 0, 1], allow_pickle=True)
    refused("Python objects", spec=path)
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("x.npy", pickle.dumps(Loud()))
        out.writestr("y.npy", pickle.dumps(Loud()))
    refused("a.npz", spec=path)


def test_a_header_that_promises_more_than_the_file_has_takes_no_memory(tmp_path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10, 1 << 40)})
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("x.npy", header.getvalue())
        out.writestr("y.npy", header.getvalue())
    refused("a.npz: x is damaged", "promises", spec=path)


def test_more_than_half_of_the_memory_is_refused_before_it_is_taken(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(room, "limit_bytes", lambda: 1000)
    refused("x (10x200 float64)", "would take 16,", "half of this machine's", spec=npz(tmp_path / "a.npz", x=RNG.random((10, 200)), y=Y))


def test_a_missing_file_is_named_and_a_misspelt_task_gets_the_nearest(tmp_path) -> None:
    refused("gone.npz: no such file", spec=tmp_path / "gone.npz")
    refused("did you mean 'digits'", spec="digit")
    refused("--test", "gone.npz", spec=npz(tmp_path / "a.npz", x=RNG.random((4, 2)), y=[0, 1] * 2), test=tmp_path / "gone.npz")


def test_options_of_another_kind_of_data_are_refused(tmp_path) -> None:
    path = npz(tmp_path / "a.npz", x=RNG.random((10, 2)), y=Y)
    refused("--label", "an .npz file", spec=path, label="z")
    refused("--test", "must be of the same kind", spec=path, test=tmp_path)
    (tmp_path / "a.txt").write_text("x")
    refused("not a kind of data", ".csv", spec=tmp_path / "a.txt")


def test_a_name_is_safe_as_a_path(tmp_path) -> None:
    path = npz(tmp_path / "my data!.npz", x=RNG.random((10, 2)), y=Y)
    assert load(path).name == "my-data"
    assert load(path, name="../../up").name == "up"
