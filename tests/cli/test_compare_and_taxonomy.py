"""netwright compare and taxonomy, as they are typed."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from netwright.cli.app import main
from netwright.cli.taxonomy import placed


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    return int(stop.value.code or 0)


def test_every_part_is_placed_and_nothing_else_is() -> None:
    assert [(axis, name) for axis, parts in placed().items() for name, said in parts.items() if not said] == []
    table = tomllib.loads(files("netwright.systems").joinpath("taxonomy.toml").read_text())
    assert {axis: set(parts) for axis, parts in table.items()} == {a: set(parts) for a, parts in placed().items()}


def test_a_table_is_compared_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mine.csv"
    rows = [f"{a},{b},{a * b / 100},{a * b / 100 + 0.01}" for a in range(8) for b in range(8)]
    table.write_text("\n".join(["a,b,validation:acc,test:acc", *rows]))
    page = tmp_path / "page.html"
    words = ("compare", "--table", str(table), "--strategy", "local-search", "--queries", "20", "--seeds", "6")
    assert run(*words, "--json", "-o", str(page)) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["strategy"] for row in found["rows"]} == {"random", "local-search"}
    assert found["random_baseline"] == "by decision"
    assert "local-search" in page.read_text() and "<script" not in page.read_text()
    assert run(*words) == 0
    assert "Spearman 1.000" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [
    (("compare",), "name a benchmark"),
    (("compare", "nb201"), "needs nb201/* of the recorded data"),
    (("compare", "nb2001"), "did you mean"),
    (("compare", "--table", "none.csv"), "no such file"),
])
def test_what_is_wrong_is_said_in_one_line(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETWRIGHT_DATA", raising=False)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert said in error.replace("\n", " ") and "Traceback" not in error
