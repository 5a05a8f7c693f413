"""Recorded data: what there could be, what there is, and where to look."""

from __future__ import annotations

from pathlib import Path

import pytest

from netwright import recorded
from netwright.errors import UserError


def test_every_set_says_what_it_is_for_its_licence_and_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(recorded.VARIABLE, raising=False)
    rows = recorded.listing()
    assert len(rows) > 30 and not any(row["found"] for row in rows)
    for row in rows:
        assert set(row) == {"name", "found", "use", "licence", "origin", "note"}
        assert row["use"] and row["licence"] and row["origin"], row["name"]
        assert not any("\n" in str(value) for value in row.values())


def test_a_set_is_found_where_its_folder_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "mnist.npz").write_bytes(b"x")
    (tmp_path / "sst2").mkdir()
    found = {row["name"]: row["found"] for row in recorded.listing(str(tmp_path))}
    assert found["mnist"] and not found["sst2"] and not found["nb201"]


def test_folder_is_the_given_one_else_the_environment_else_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(recorded.VARIABLE, raising=False)
    assert recorded.folder() is None
    monkeypatch.setenv(recorded.VARIABLE, str(tmp_path))
    assert recorded.folder() == tmp_path
    (tmp_path / "other").mkdir()
    assert recorded.folder(str(tmp_path / "other")) == tmp_path / "other"


def test_missing_folder_is_named_with_where_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"nowhere.*--data"):
        recorded.folder(str(tmp_path / "nowhere"))
    monkeypatch.setenv(recorded.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"gone.*NETWRIGHT_DATA"):
        recorded.listing()


def test_every_recorded_folder_is_described(shared_data: Path) -> None:
    here = {p.name for p in shared_data.iterdir() if p.is_dir()}
    assert here <= {row["name"] for row in recorded.listing(str(shared_data))}
