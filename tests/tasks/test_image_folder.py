"""A folder of class subfolders of images becomes a task, or one clear line."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image
from small_data import images, refused

from netwright.tasks import load, room


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
def test_grey_images_have_one_channel_and_classes_are_folder_names(tmp_path, suffix: str) -> None:
    task = load(images(tmp_path / "pets", {"cat": 5, "dog": 10}, suffix=suffix))
    assert (task.name, task.kind, task.x.shape, task.classes) == ("pets", "image", (1, 1, 5, 6), ("cat", "dog"))
    assert task.train.x.dtype == np.uint8 and np.bincount(task.test.y).tolist() == [1, 2]
    assert (task.train.x[:, 0, 0, 0] == task.train.y + 10).all()
    assert "stratified 20 %" in task.held_out


def test_colour_images_have_three_channels_and_transparency_is_dropped(tmp_path) -> None:
    images(tmp_path, {"a": 3, "b": 3}, mode="RGB")
    Image.new("RGBA", (6, 5), (10, 9, 0, 7)).save(tmp_path / "a" / "9.png")
    task = load(tmp_path)
    assert task.x.shape == (1, 3, 5, 6) and task.name == tmp_path.name
    assert {tuple(pixel) for pixel in task.train.x[task.train.y == 0][:, :, 0, 0]} <= {(10, i, 0) for i in (0, 1, 2, 9)}


def test_16_bit_grey_keeps_its_upper_bits(tmp_path) -> None:
    for name, value in (("a", 0x1234), ("b", 0xFF00)):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.fromarray(np.full((4, 4), value, np.uint16)).save(tmp_path / name / f"{i}.png")
    task = load(tmp_path)
    assert set(task.train.x[task.train.y == 0].ravel()) == {0x12} and set(task.train.x[task.train.y == 1].ravel()) == {0xFF}


def test_a_turned_photograph_is_set_upright(tmp_path) -> None:
    images(tmp_path, {"a": 2, "b": 2}, size=(4, 2), suffix="png")
    sideways = Image.new("L", (2, 4), 50)
    tags = Image.Exif()
    tags[274] = 6
    sideways.save(tmp_path / "b" / "9.jpg", exif=tags)
    assert load(tmp_path).x.shape == (1, 1, 2, 4)


def test_train_and_test_folders_are_the_split(tmp_path) -> None:
    images(tmp_path / "train", {"1": 4, "2": 4, "10": 4})
    images(tmp_path / "test", {"1": 2, "2": 1})
    task = load(tmp_path)
    assert task.classes == ("1", "2", "10") and (len(task.train), len(task.test)) == (12, 3)
    assert task.held_out.startswith("the test/ folder of")
    given = images(tmp_path / "more", {"1": 1, "10": 4})
    assert len(load(tmp_path, test=given).test) == 5


def test_files_are_in_natural_order_and_hidden_ones_are_passed_over(tmp_path) -> None:
    images(tmp_path, {"a": 12, "b": 12}, mode="RGB")
    (tmp_path / "a" / ".DS_Store").write_text("x")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "__MACOSX").mkdir()
    train, _ = load(tmp_path, test=tmp_path).split_validation()
    assert train.x[train.y == 0][:, 1, 0, 0].tolist() == list(range(10))


def test_images_of_different_sizes_are_named_with_how_to_mend(tmp_path) -> None:
    data = images(tmp_path / "data", {"a": 3, "b": 3})
    Image.new("L", (7, 5)).save(data / "b" / "odd.png")
    refused("0.png is 6x5", "odd.png is 7x5", "mogrify -resize 6x5!", spec=data)
    (data / "b" / "odd.png").unlink()
    refused("images differ in size", spec=data, test=images(tmp_path / "test", {"a": 1}, size=(9, 9)))


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_an_unreadable_image_is_named(tmp_path, content: bytes | None) -> None:
    images(tmp_path, {"a": 3, "b": 3}, size=(60, 50))
    bad = tmp_path / "b" / "1.png"
    bad.write_bytes(bad.read_bytes()[:60] if content is None else content)
    refused("b/1.png: not a readable image", spec=tmp_path)


def test_folders_that_are_no_data_are_explained(tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused("the folder is empty", spec=empty)
    images(tmp_path / "flat", {".": 3})
    refused("no class subfolders", "'0.png', 3 in all", spec=tmp_path / "flat")
    (tmp_path / "odd" / "a").mkdir(parents=True)
    refused("no class subfolder holds images", spec=tmp_path / "odd")
    images(tmp_path / "half", {"a": 3, "b": 0})
    refused("half/b: this class folder holds no images", spec=tmp_path / "half")
    refused("only one class ('a', 3 samples)", spec=images(tmp_path / "one", {"a": 3}))
    refused("class 'b' has only one sample", spec=images(tmp_path / "few", {"a": 3, "b": 1}))
    refused("classes that training lacks: 'c'", spec=images(tmp_path / "ab", {"a": 3, "b": 3}), test=images(tmp_path / "c", {"c": 1}))


def test_sizes_are_checked_before_pixels_are_decoded(tmp_path, monkeypatch) -> None:
    images(tmp_path, {"a": 3, "b": 3})
    monkeypatch.setattr(room, "limit_bytes", lambda: 100)
    refused("6 images of 6x5 would take 180 B", spec=tmp_path)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch) -> None:
    images(tmp_path, {"a": 2, "b": 2})
    monkeypatch.setitem(sys.modules, "PIL", None)
    refused("Pillow is not installed", "netwright[train]", spec=tmp_path)
