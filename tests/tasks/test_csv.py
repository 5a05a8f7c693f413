"""A .csv becomes vectors or windows over time, or one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_data import csv, refused

from netwright.tasks import load, room, splits

PLANTS = "length,width,kind\n" + "".join(f"{i},{i * 0.5},{'ab'[i % 2]}\n" for i in range(20))


def motion(path: Path, people: int, rows: int = 60) -> Path:
    """Two channels; each person rests in the first half of the rows and walks in the second. Channel t counts all rows."""
    lines = [
        f"{p * rows + t},{p},p{p},{'rest' if t < rows // 2 else 'walk'}" for p in range(people) for t in range(rows)
    ]
    return csv(path, "t,who,person,activity\n" + "\n".join(lines) + "\n")


def test_rows_are_vectors_of_all_columns_but_the_label(tmp_path) -> None:
    task = load(csv(tmp_path / "plants.csv", PLANTS), label="kind")
    assert task.kind == "vector" and task.x.shape == (1, 2) and task.classes == ("a", "b")
    assert task.features == ("length", "width") and task.describe()["features"] == ["length", "width"]
    assert len(task.train) == 16 and "stratified 20 %" in task.held_out
    assert task.train.x.dtype == np.float32


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_byte_order_marks_quotes_and_blank_rows_are_read(tmp_path, delimiter: str) -> None:
    text = "\ufeff" + PLANTS.replace("length", '"length"').replace("\n3,", "\n\n3,").replace(",", delimiter)
    assert load(csv(tmp_path / "a.csv", text), label="kind").features == ("length", "width")


def test_a_first_column_without_a_name_is_a_row_number_and_left_out(tmp_path) -> None:
    text = "\n".join(f"{'' if i == 0 else i},{line}" for i, line in enumerate(PLANTS.splitlines()))
    assert load(csv(tmp_path / "a.csv", text), label="kind").features == ("length", "width")


def test_columns_of_a_test_set_are_found_by_name(tmp_path) -> None:
    test = csv(tmp_path / "test.csv", "kind,width,extra,length\na,1,x,2\nb,3,y,4\n")
    task = load(csv(tmp_path / "a.csv", PLANTS), label="kind", test=test)
    assert task.test.x.tolist() == [[2, 1], [4, 3]] and len(task.train) == 20
    short = csv(tmp_path / "short.csv", "kind,length\na,1\n")
    refused("short.csv", "no column 'width'", spec=tmp_path / "a.csv", label="kind", test=short)


def test_windows_lie_within_one_group_and_whole_groups_are_held_out(tmp_path) -> None:
    task = load(motion(tmp_path / "m.csv", people=10), label="activity", window=12, stride=6, group="person")
    assert task.kind == "series" and task.x.shape == (1, 2, 12) and task.features == ("t", "who")
    for split in (task.train, task.test):
        assert (split.x[:, 1] == split.x[:, 1, :1]).all(), "a window straddles two people"
        assert (np.diff(split.x[:, 0], axis=1) == 1).all(), "rows of a window are not neighbours"
    assert len(set(task.test.x[:, 1, 0])) == 2 and not set(task.test.x[:, 1, 0]) & set(task.train.x[:, 1, 0])
    assert task.held_out == "2 whole groups of 10 held out (20 % of the samples), seed 0"


def test_a_window_has_the_label_of_its_majority_and_ties_go_to_the_first(tmp_path) -> None:
    task = load(motion(tmp_path / "m.csv", people=10), label="activity", window=20, group="person")
    middle = [task.classes[y] for x, y in zip(task.train.x, task.train.y, strict=True) if x[0, 0] % 60 == 20]
    assert set(middle) == {"rest"} and len(middle) == 8


@pytest.mark.parametrize("people, group", [(1, None), (3, "person")])
def test_with_too_few_groups_the_end_of_time_is_held_out_and_nothing_overlaps_it(tmp_path, people: int, group: str | None) -> None:
    path = motion(tmp_path / "m.csv", people, rows=240)
    if group is None:
        path.write_text("\n".join(",".join(line.split(",")[i] for i in (0, 1, 3)) for line in path.read_text().splitlines()))
    task = load(path, label="activity", window=10, stride=5, group=group)
    assert task.held_out.startswith("the last 20 % in time") and "overlap" in task.held_out
    seen = {int(t) for x in task.test.x for t in x[0]}
    assert not seen & {int(t) for x in task.train.x for t in x[0]}
    assert set(task.test.y) == set(task.train.y) == {0, 1}
    for c in (0, 1):
        for person in range(people):
            last_trained = task.train.x[(task.train.y == c) & (task.train.x[:, 1, 0] == person)][:, 0].max()
            first_tested = task.test.x[(task.test.y == c) & (task.test.x[:, 1, 0] == person)][:, 0].min()
            assert last_trained < first_tested


def test_rows_of_a_group_stay_together_without_windows_too(tmp_path) -> None:
    text = "v,label,run\n" + "".join(f"{i % 8},{'ab'[i % 2]},{i % 8 // 2}\n" for i in range(80))
    task = load(csv(tmp_path / "a.csv", text), label="label", group="run")
    assert not {int(v) // 2 for v in task.test.x[:, 0]} & {int(v) // 2 for v in task.train.x[:, 0]}


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2)), min_size=20, max_size=80), st.integers(0, 5))
def test_whole_groups_never_take_the_last_of_a_class_nor_split_a_group(rows: list[tuple[int, int]], seed: int) -> None:
    group, y = np.array(rows).T
    halves = splits.whole_groups(group, y, 0.2, seed)
    if halves is not None:
        kept, held = halves
        assert set(y[kept]) == set(y) and not set(group[kept]) & set(group[held])
        assert len(kept) + len(held) == len(y) and len(held) <= 0.35 * len(y)


@pytest.mark.parametrize("text, options, words", [
    (PLANTS, {"label": "knd"}, ("no column 'knd' for --label", "did you mean 'kind'")),
    (PLANTS, {}, ("--label COLUMN", "length, width, kind")),
    (PLANTS, {"label": "kind", "group": "persn"}, ("no column 'persn' for --group",)),
    (PLANTS, {"label": "kind", "group": "kind"}, ("both 'kind'",)),
    (PLANTS, {"label": "kind", "stride": 3}, ("needs --window",)),
    (PLANTS, {"label": "kind", "window": 0}, ("--window must be at least 1",)),
    (PLANTS, {"label": "kind", "window": 50}, ("no group has 50 rows, the longest has 20",)),
    ("a,width\n1,1\n2,0.5\n", {"label": "width"}, ("column 'width'", "row 3 is 0.5", "whole number")),
    (PLANTS.replace("4,2.0,a", "4,,a"), {"label": "kind"}, ("row 6, column 'width'", "missing")),
    (PLANTS.replace("4,2.0,a", "4,NaN,a"), {"label": "kind"}, ("row 6, column 'width'", "missing (NaN)")),
    (PLANTS.replace("4,2.0,a", "4,inf,a"), {"label": "kind"}, ("row 6, column 'width'", "not finite")),
    (PLANTS.replace("4,2.0,a", "4,1e99,a"), {"label": "kind"}, ("row 6, column 'width'", "too large")),
    (PLANTS.replace("4,2.0,a", "4,red,a"), {"label": "kind"}, ("row 6, column 'width': 'red' is not a number",)),
    (PLANTS.replace("4,2.0,a", "4,2.0,"), {"label": "kind"}, ("row 6 has no label",)),
    (PLANTS.replace("4,2.0,a", "4,2.0"), {"label": "kind"}, ("row 6 has 2 cells and the header 3",)),
    (PLANTS.replace(",b", ",a"), {"label": "kind"}, ("only one class ('a', 20 samples)",)),
    ("1,2,a\n3,4,b\n", {"label": "kind"}, ("no column 'kind'",)),
    ("1,2\n3,4\n", {"label": "kind"}, ("holds numbers, not names",)),
    ("a,a,kind\n1,2,x\n", {"label": "kind"}, ("two columns are named 'a'",)),
    ("a,kind\n", {"label": "kind"}, ("no rows",)),
    ("", {"label": "kind"}, ("is empty",)),
    ("kind\na\nb\n", {"label": "kind"}, ("nothing to learn from",)),
    ("a,kind\n1,x\n1,x\n2,y\n2,y\n", {"label": "kind", "window": 2}, ("only one sample",)),
])
def test_bad_content_is_refused_in_one_line(tmp_path, text: str, options: dict, words: tuple[str, ...]) -> None:
    refused(*words, spec=csv(tmp_path / "a.csv", text), **options)


def test_text_in_another_encoding_is_refused(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes(b"l\xe4nge,kind\n1,a\n")
    refused("a.csv: not UTF-8", spec=tmp_path / "a.csv", label="kind")
    (tmp_path / "b.csv").write_bytes("x,kind\n1,a\n".encode("utf-16"))
    refused("b.csv: not UTF-8", spec=tmp_path / "b.csv", label="kind")


def test_a_file_larger_than_memory_allows_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(room, "limit_bytes", lambda: 100)
    refused("a.csv would take", spec=csv(tmp_path / "a.csv", PLANTS), label="kind")


def test_names_from_the_file_stay_on_one_printable_line(tmp_path) -> None:
    text = '"le\x1b[31mngth","wid\nth",kind\n' + PLANTS.split("\n", 1)[1]
    task = load(csv(tmp_path / "a.csv", text), label="kind")
    assert task.features == ("le [31mngth", "wid th")
