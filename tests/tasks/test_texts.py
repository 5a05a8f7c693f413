"""Texts become numbers of words, chosen by the training texts alone; bad files are refused in one line."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_data import csv, refused

from netwright.tasks import Words, from_texts, load, room
from netwright.tasks.words import chosen, split

NEWS = "class,title,text\n" + "".join(
    f"{'sport' if i % 2 else 'world'},Item {i},{'the match ended' if i % 2 else 'the talks ended'} on day {i}\n" for i in range(20)
)


def test_columns_of_a_row_are_one_text(tmp_path: Path) -> None:
    task = load(csv(tmp_path / "news.csv", NEWS), label="class")
    assert task.kind == "text" and str(task.x) == "int32[1,8]" and task.classes == ("sport", "world")
    assert task.features == ("title", "text") and task.front_end is None
    assert len(task.train) == 16 and "stratified 20 %" in task.held_out
    (row,) = Words(1024, 8)(["Item 0 the talks ended on day 0"])
    assert any((row == x).all() for x in (*task.train.x, *task.test.x))
    assert task.inputs(task.test.x) is task.test.x
    assert task.describe()["words"]["vocabulary"] == 1024


def test_a_number_is_the_words_checksum() -> None:
    numbers = Words(1000, 4)(["Hello, HELLO it's", "", "a b c d e"])
    assert numbers.dtype == np.int32 and numbers.shape == (3, 4)
    assert numbers[0].tolist() == [1 + 0x3610A686 % 999] * 2 + [numbers[0, 2], 0]  # CRC-32 of "hello"
    assert numbers[1].tolist() == [0] * 4 and (numbers[2] > 0).all()
    assert split("It's 3.5 % of_them — naïve!") == ["it's", "3", "5", "of_them", "naïve"]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=20))
def test_any_text_has_numbers_below_the_vocabulary(texts: list[str]) -> None:
    words = chosen(texts)
    numbers = words(texts)
    assert numbers.shape == (len(texts), words.length) and words.length % 8 == 0 and 8 <= words.length <= 256
    assert numbers.min() >= 0 and numbers.max() < words.vocabulary <= 8192
    for row, text in zip(numbers, texts, strict=True):
        assert np.count_nonzero(row) == min(words.length, len(split(text)))


def test_length_and_vocabulary_follow_from_training_texts_alone(tmp_path: Path) -> None:
    test = csv(tmp_path / "test.csv", "text,class,title\n" + f"{'many other words ' * 90},sport,7\n")
    task = load(csv(tmp_path / "news.csv", NEWS), label="class", test=test)
    assert task.test.x.shape == (1, 8) and task.words == chosen([line.replace(",", " ")[6:] for line in NEWS.splitlines()[1:]])
    assert task.test.x[0, 0] == Words(1024, 8)(["7"])[0, 0]  # columns in training's order, a number among texts is a word
    long = from_texts("long", ([f"{'so many words ' * 40}{i}" for i in range(4)], "aabb"), (["short"], ["a"]))
    assert long.words == Words(1024, 128)


def test_a_packed_file_is_the_same_task(tmp_path: Path) -> None:
    plain = load(csv(tmp_path / "news.csv", NEWS), label="class")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "news.csv.gz").write_bytes(gzip.compress(NEWS.encode()))
    packed = load(tmp_path / "packed" / "news.csv.gz", label="class")
    assert packed.digest == plain.digest and packed.name == plain.name == "news"


def test_groups_of_texts_stay_together(tmp_path: Path) -> None:
    text = "text,label,source\n" + "".join(f"word {i % 8},{'ab'[i % 2]},s{i % 8 // 2}\n" for i in range(80))
    task = load(csv(tmp_path / "a.csv", text), label="label", group="source")
    held = {tuple(row) for row in task.test.x}
    assert held and not held & {tuple(row) for row in task.train.x}


@pytest.mark.parametrize("text, options, words", [
    (NEWS, {}, ("--label COLUMN", "class, title, text")),
    (NEWS, {"label": "clas"}, ("no column 'clas' for --label", "did you mean 'class'")),
    (NEWS, {"label": "class", "window": 4}, ("--window is for rows of numbers", "holds texts")),
    (NEWS.replace("Item 4,the talks ended on day 4", ","), {"label": "class"}, ("row 6 has no text",)),
    ("text,class\n,a\n,b\n", {"label": "class"}, ("row 2, column 'text'", "missing")),
    ("text,class\none,a\ntwo,a\n", {"label": "class"}, ("only one class",)),
    ("text,class\none,a\ntwo,b\ntwo,b\n", {"label": "class"}, ("only one sample",)),
    ("id,text,class\n1,one,a\n2,two,b\n", {"label": "class"}, ("row 2, column 'text': 'one' is not a number", "only text columns")),
    ("x;y;class\n3,5;2,7;a\n4,5;1,7;b\n", {"label": "class"}, ("'3,5' is not a number", "a point for decimals")),
    ("x,y,class\n12 %,-inf,a\n4 %,1,b\n", {"label": "class"}, ("'12 %' is not a number",)),
    (f"text,class\n{'long ' * 20000},a\n", {"label": "class"}, ("not a readable .csv",)),
])
def test_bad_texts_are_refused_in_one_line(tmp_path: Path, text: str, options: dict, words: tuple[str, ...]) -> None:
    refused(*words, spec=csv(tmp_path / "news.csv", text), **options)


def test_damaged_and_swollen_packed_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(NEWS.encode() * 50)
    for name, data in (("no.csv.gz", b"text,class\n"), ("cut.csv.gz", packed[:-40]), ("bad.csv.gz", packed[:20] + b"xxxxxxxx" + packed[28:])):
        (tmp_path / name).write_bytes(data)
        refused(name, "not gzip, or cut short", spec=tmp_path / name, label="class")
    (tmp_path / "swollen.csv.gz").write_bytes(packed)
    monkeypatch.setattr(room, "limit_bytes", lambda: 4 * len(NEWS))
    monkeypatch.setattr("netwright.tasks.sources.csv_file.limit_bytes", lambda: 4 * len(NEWS))
    refused("swollen.csv.gz would take", spec=tmp_path / "swollen.csv.gz", label="class")


def test_each_text_needs_a_label() -> None:
    with pytest.raises(ValueError, match="2 texts with 1 labels"):
        from_texts("news", (["a", "b"], ["x"]), (["a"], ["x"]))


def test_the_command_line_refuses_with_status_2(tmp_path: Path) -> None:
    csv(tmp_path / "empty.csv", "text,class\n,a\n,b\n")
    csv(tmp_path / "news.csv", NEWS)
    for arguments, words in ((("empty.csv", "--label", "class"), "the value is missing"),
                             (("news.csv", "--label", "class", "--space", "mlp"), "choose --space flexibert or")):
        command = [sys.executable, "-m", "netwright", "fit", *arguments, "--device", "host"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.strip().splitlines()) == 1
