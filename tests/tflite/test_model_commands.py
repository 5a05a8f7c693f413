"""The commands on model files, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from writer import Step, T, constant, write

RNG = np.random.default_rng(0)


def netwright(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netwright", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def succeeded(*arguments: Any) -> Any:
    done = netwright(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(*arguments: Any) -> str:
    done = netwright(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "Traceback" not in line
    return line


def small(dtype: str, channels: int = 8) -> bytes:
    """[1, 8, 8, 3] -> convolution -> mean -> [1, 4]."""
    held = RNG.uniform(-1, 1, (channels, 3, 3, 3)), RNG.uniform(-1, 1, (4, channels))
    if dtype == "float32":
        arrays = [constant(a.astype("f")) for a in held]
        biases = [constant(np.zeros(n, "f")) for n in (channels, 4)]
        ends = [T(s, "float32") for s in ((1, 8, 8, 3), (1, 8, 8, channels), (1, channels), (1, 4))]
    else:
        arrays = [constant(np.round(a * 127).astype("i1"), 1 / 127) for a in held]
        biases = [constant(np.zeros(n, "i4"), 1.0) for n in (channels, 4)]
        ends = [T(s, "int8", 0.05, 0) for s in ((1, 8, 8, 3), (1, 8, 8, channels), (1, channels), (1, 4))]
    tensors = [*ends, arrays[0], biases[0], arrays[1], biases[1], constant(np.array([1, 2], np.int32))]
    conv = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "fusedActivationFunction": 1}
    steps = [
        Step("CONV_2D", [0, 4, 5], [1], conv, "Conv2DOptions"),
        Step("MEAN", [1, 8], [2], {"keepDims": False}, "ReducerOptions"),
        Step("FULLY_CONNECTED", [2, 6, 7], [3], {}, "FullyConnectedOptions"),
    ]
    return write(tensors, steps, [0], [3])


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "int8.tflite").write_bytes(small("int8"))
    (tmp_path / "float.tflite").write_bytes(small("float32"))
    np.save(tmp_path / "x.npy", RNG.random((24, 8, 8, 3), np.float32))
    return tmp_path


def test_check_costs_a_file_on_every_device(models: Path) -> None:
    for name in ("int8.tflite", "float.tflite"):
        found = succeeded("check", models / name)["devices"]
        assert set(found) == {"ane", "cortex-m0plus", "cortex-m4", "cortex-m7", "host"}
        assert [d for d in found if not found[d]["fits"]] == (["ane"] if name == "int8.tflite" else [])
        assert found["cortex-m4"]["profile"]["instructions"] > 10_000


def test_quantise_compile_and_run_a_float_file(models: Path) -> None:
    made = succeeded("quantize", models / "float.tflite", "--data", models / "x.npy", "-o", models / "q")
    assert made["weight_bytes"]["int8"] < made["weight_bytes"]["float"] / 2
    assert made["same_answer"] >= 0.9
    assert made["layers"][0]["signal_to_noise_db"] > 15
    built = succeeded("compile", models / "q", "-o", models / "built")
    assert built["profile"]["ram_bytes"]["arena"] < 1024
    np.save(models / "qx.npy", RNG.integers(-128, 128, (5, 8, 8, 3)).astype(np.int8))
    succeeded("run", models / "built", "-i", models / "qx.npy", "-o", models / "y.npy")
    succeeded("run", models / "q" / ".." / "float.tflite", "-i", models / "x.npy", "-o", models / "fy.npy")
    assert np.load(models / "y.npy").shape == (5, 4)
    assert np.load(models / "fy.npy").shape == (24, 4)


def test_a_float_file_compiles_as_it_is(models: Path) -> None:
    built = succeeded("compile", models / "float.tflite", "--device", "cortex-m4", "-o", models / "built")
    assert built["profile"]["ram_bytes"]["arena"] > 1024
    assert "-mfpu=fpv4-sp-d16" in (models / "built" / "Makefile").read_text()


def test_show_lists_layers_and_draws(models: Path) -> None:
    found = succeeded("show", models / "int8.tflite", "--picture", models / "net.svg")
    assert [layer["op"] for layer in found["layers"]] == ["q_conv", "q_mean", "q_linear"]
    drawn = (models / "net.svg").read_text()
    assert drawn.startswith("<svg") and "q_conv" in drawn
    text = netwright("show", models / "int8.tflite", "--text").stdout
    from netwright.graph import parse

    assert len(parse(text).nodes) == 3


def test_a_model_too_large_says_by_how_much_and_which_layer(models: Path) -> None:
    (models / "wide.tflite").write_bytes(small("int8", 1024))
    line = refused("compile", models / "wide.tflite", "--device", "cortex-m0plus", "-o", models / "no")
    assert "B more RAM than the 32,768 B" in line and "66,560 B are alive in layer t2" in line
    assert not (models / "no").exists()
    done = netwright("check", models / "wide.tflite", "--device", "cortex-m0plus")
    assert done.returncode == 1
    assert "over the limit of 32,768 B" in done.stdout


@pytest.mark.parametrize(
    ("name", "contents", "said"),
    [
        ("missing.tflite", None, "no such file"),
        ("empty.tflite", b"", "TFL3"),
        ("words.tflite", b"hello world, this is text", "TFL3"),
        ("cut.tflite", small("int8")[:700], "cut.tflite"),
        ("words.onnx", b"hello world", "words.onnx"),
        ("weights.pt", b"PK\x03\x04", "from_torch"),
        ("keras.h5", b"\x89HDF", "convert it to .tflite or .onnx"),
        ("picture.png", b"\x89PNG", "not a model that netwright reads"),
    ],
)
def test_what_is_no_model_is_refused(name: str, contents: bytes | None, said: str, tmp_path: Path) -> None:
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    assert said in refused("check", tmp_path / name)


@pytest.mark.parametrize(
    ("patches", "said"), [("0-0:99", "99 bands cannot tile"), ("0-1:2", "does not work row by row"), ("0", "FIRST-LAST")]
)
@pytest.mark.parametrize(
    ("command", "kind"),  # float layers are compiled whole
    [(c, k) for c in (("check",), ("check", "--device", "cortex-m4")) for k in ("int8", "float")] + [(("compile",), "int8")],
)
def test_patches_that_cannot_be_are_refused(
    command: tuple[str, ...], kind: str, patches: str, said: str, models: Path
) -> None:
    where = () if command[0] == "check" else ("-o", models / "no")
    assert said in refused(command[0], models / f"{kind}.tflite", *command[1:], *where, "--patches", patches)
    assert not (models / "no").exists()


def test_bad_calibration_data_are_refused(models: Path) -> None:
    bad = {
        "shape": RNG.random((4, 3, 8, 8), np.float32),
        "empty": np.zeros((0, 8, 8, 3), np.float32),
        "nan": np.full((2, 8, 8, 3), np.nan, np.float32),
        "text": np.array(["a", "b"]),
    }
    said = {"shape": "takes [n, 8, 8, 3]", "empty": "takes [n, 8, 8, 3]", "nan": "not finite", "text": "takes [n, 8, 8, 3]"}
    for kind, array in bad.items():
        np.save(models / f"{kind}.npy", array)
        line = refused("quantize", models / "float.tflite", "--data", models / f"{kind}.npy", "-o", models / "no")
        assert said[kind] in line
    assert "already" in refused("quantize", models / "int8.tflite", "--data", models / "x.npy")
    assert "1 inputs" in refused("quantize", models / "float.tflite", "--data", models / "x.npy", "--data", models / "x.npy")
    assert not (models / "no").exists()


def test_open_dimensions_are_bound_on_the_command_line(tmp_path: Path) -> None:
    x = T((1, 1, 1, 3), "float32", signature=(-1, -1, -1, 3), name="image")
    data = write([x, T((1, 1, 1, 3), "float32")], [Step("RELU", [0], [1])], [0], [1])
    (tmp_path / "open.tflite").write_bytes(data)
    line = refused("check", tmp_path / "open.tflite")
    assert "--shape 'image=1,?,?,3'" in line
    found = succeeded("show", tmp_path / "open.tflite", "--shape", "image=1,16,16,3")
    assert found["outputs"][0]["type"] == "float32[1,16,16,3]"
    assert "NAME=SIZES" in refused("show", tmp_path / "open.tflite", "--shape", "image")
