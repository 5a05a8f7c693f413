"""Programs in files: text, folder and package are one program; what is missing is named."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from test_mil_text import TEXT, block

from netwright.devices.ane import files
from netwright.devices.ane.mil import to_text
from netwright.devices.ane.package import write_package
from netwright.errors import MissingExtra, UserError


def test_text_folder_and_package_run_alike(tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    program = block("swiglu", tmp_path)
    (tmp_path / "model.mil").write_text(to_text(program))
    package = write_package(program, tmp_path, tmp_path / "m.mlpackage")
    x = np.random.default_rng(0).normal(size=(1, 32, 1, 16))
    found = [files.run(p, {"x": x}) for p in (tmp_path, tmp_path / "model.mil", package)]
    for other in found[1:]:
        assert all((found[0][name] == other[name]).all() for name in found[0])
    assert not files.diff(tmp_path, package)


def test_diff_of_two_texts(tmp_path: Path) -> None:
    (tmp_path / "a.mil").write_text(TEXT)
    (tmp_path / "b.mil").write_text(TEXT.replace("mul(", "add("))
    assert not files.diff(tmp_path / "a.mil", tmp_path / "a.mil")
    assert len(files.diff(tmp_path / "a.mil", tmp_path / "b.mil").lines) == 2


def test_a_prepared_program_runs_many_times_and_keeps_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "model.mil").write_text(TEXT)
    ready = files.load(tmp_path)
    x = np.arange(4, dtype=np.float16).reshape(1, 4)
    first, second = ready.run({"x": x})["z"], ready.run({"x": x})["z"]
    first[:] = 7
    assert second.tolist() == [[0, 0.125, 0.25, 0.375]] * 2 and x.tolist() == [[0, 1, 2, 3]]
    assert ready.run({"x": x})["z"].tolist() == second.tolist()


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "a.mil"):
        with pytest.raises(UserError, match=r"\.mil: No such file"):
            files.load(path)
    with pytest.raises(UserError, match=r"no Manifest\.json"):
        files.load(tmp_path / "a.mlpackage")
    (tmp_path / "a.mil").write_text(TEXT)
    with pytest.raises(UserError, match="no function is called 'step'"):
        files.load(tmp_path / "a.mil", function="step")


def test_a_package_without_core_ml_tools_says_which_extra_brings_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    monkeypatch.setitem(sys.modules, "coremltools.proto.Model_pb2", None)
    (tmp_path / "m.mlpackage").mkdir()
    (tmp_path / "m.mlpackage" / "Manifest.json").write_text('{"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "m"}}}')
    with pytest.raises(MissingExtra, match=r"netwright\[ane\]"):
        files.load(tmp_path / "m.mlpackage")
