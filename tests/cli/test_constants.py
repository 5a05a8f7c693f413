"""--constant: an input of an ONNX model that is always the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from netwright import load
from netwright.errors import UserError


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "netwright", *arguments], capture_output=True, text=True, cwd=cwd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network that another sampling rate makes another one, and that scales by what is given."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    rate = helper.make_tensor_value_info("sr", TensorProto.INT64, [])
    by = helper.make_tensor_value_info("by", TensorProto.FLOAT, [4])
    then = helper.make_graph([helper.make_node("Relu", ["x"], ["a"])], "then", [], [_result("a")])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["b"])], "else", [], [_result("b")])
    nodes = [
        helper.make_node("Constant", [], ["wanted"], value_int=16000),
        helper.make_node("Equal", ["sr", "wanted"], ["same"]),
        helper.make_node("If", ["same"], ["z"], then_branch=then, else_branch=other),
        helper.make_node("Mul", ["z", "by"], ["y"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "rates", [x, rate, by], [y]))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    return tmp_path


def _result(name: str) -> object:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])


def test_numbers_and_lists_are_bound(folder: Path) -> None:
    given = ("--constant", "sr=16000", "--constant", "by=1,2,0.5,-1")
    shown = run("show", "net.onnx", *given, cwd=folder)
    assert shown.returncode == 0 and "relu" in shown.stdout and "neg" not in shown.stdout, shown.stderr
    for command in (("check", "net.onnx"), ("compile", "net.onnx", "--device", "host", "-o", "out")):
        done = run(*command, *given, cwd=folder)
        assert done.returncode == 0, done.stderr
    graph = load(folder / "net.onnx", constants={"sr": 16000, "by": [1, 2, 0.5, -1]})
    np.testing.assert_array_equal(graph.run(np.float32([[1, -1, 4, 3]]))[0], [[1, 0, 2, -3]])


@pytest.mark.parametrize(
    "given, words",
    [
        ("sr", "is not NAME=VALUE"),
        ("sr=fast", "is not NAME=VALUE"),
        ("=3", "is not NAME=VALUE"),
        ("rs=3", "did you mean 'sr'"),
        ("sr=1,2", "in shape [2], the model has []"),
    ],
)
def test_what_cannot_be_bound_is_one_line(given: str, words: str, folder: Path) -> None:
    done = run("check", "net.onnx", "--constant", given, cwd=folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert words in " ".join(done.stderr.split())


def test_a_folder_of_ours_leaves_nothing_open(folder: Path) -> None:
    from netwright.graph import save

    save(load(folder / "net.onnx", constants={"sr": 1, "by": [1, 1, 1, 1]}), folder / "made")
    with pytest.raises(UserError, match="leaves nothing open"):
        load(folder / "made", constants={"sr": 1})
