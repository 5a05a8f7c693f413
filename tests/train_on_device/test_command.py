"""`netwright train-on-device`: from a model and data to a program that has learnt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_nets import data, residual
from test_search import with_table

from netwright import devices
from netwright.cli.app import main
from netwright.graph import Graph, save
from netwright.graph.ops.quantise import Dequantise


def written(folder: Path, graph: Graph, count: int = 120) -> tuple[str, str]:
    """A model and data that suit it, as files."""
    x, labels = data(graph, count)
    quant = graph.inputs[0].type.quant
    assert quant is not None
    np.savez(folder / "mine.npz", x=Dequantise(quant).numpy(x), y=labels)
    save(graph, folder / "model")
    return str(folder / "model"), str(folder / "mine.npz")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["train-on-device", *arguments])
    return int(ended.value.code or 0)


def test_it_learns_on_the_emulated_core_within_the_ram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, mine = written(tmp_path, residual())
    out = tmp_path / "out"
    given = (model, "--data", mine, "--ram", "16KB", "--steps", "90", "--rate", "0.05", "-o", str(out), "--json")
    assert run(*given) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps_byte_equal"] == found["steps"] == 90
    assert found["loss"]["last"] < found["loss"]["first"]
    assert found["accuracy"]["after"] > found["accuracy"]["before"]
    ram = found["profile"]["ram_bytes"]
    assert sum(ram.values()) <= 16384 and ram["arena"] == found["memory"]["arena"]
    parts = found["memory"]
    assert parts["weights"] + parts["residues"] + parts["biases"] + parts["gradients"] < parts["arena"]
    program = devices.open_program(out)
    assert set(program.entries) == {"infer", "train_step"}


def test_it_shows_people_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, mine = written(tmp_path, residual(), 40)
    assert run(model, "--data", mine, "--ram", "16KB", "--steps", "4", "--last", "2", "-o", str(tmp_path / "o")) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "equal to the host's after 4 of 4 steps" in text and "clip masks" in text and "head" in text


def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, mine = written(tmp_path, residual(), 40)
    (tmp_path / "t").mkdir()
    blocked, vectors = written(tmp_path / "t", with_table(head=True), 40)
    for arguments, what in (
        ((model, "--data", mine, "--ram", "1500"), "1,500 B of RAM are too few to train any part"),
        ((blocked, "--data", vectors, "--ram", "64KB"), "gradients cannot pass q_lookup"),
        ((blocked, "--data", mine, "--ram", "64KB"), "has 4 classes and table tells 3 apart"),
        ((model, "--data", mine, "--rate", "-1"), "positive number"),
        ((model, "--data", mine, "--last", "9"), "has 6 that can be trained"),
        ((model, "--data", str(tmp_path / "none.npz")), "no such file"),
    ):
        assert run(*arguments) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert what in line, line
    assert not list(tmp_path.rglob("*.elf"))
