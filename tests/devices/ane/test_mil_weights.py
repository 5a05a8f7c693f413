"""Weight files: our writer against Core ML tools' reader, their writer against our reader, and damage."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.devices.ane.mil import BlobFile, TensorType
from netwright.devices.ane.weights import WeightFile, WeightFiles, write
from netwright.errors import UserError

storage = pytest.importorskip("coremltools.libmilstoragepython")

DTYPES = {"float16": "fp16", "float32": "fp32", "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32"}


def theirs(path: Path, offset: int, dtype: str) -> np.ndarray:
    """A chunk through Core ML tools' reader; fp16 comes as words there."""
    reader = storage._BlobStorageReader(str(path))
    names = {"float16": "fp16", "float32": "float"}
    data = np.asarray(getattr(reader, f"read_{names.get(dtype, dtype)}_data")(offset))
    return data.astype(np.uint16).view(np.float16) if dtype == "float16" else data


@given(st.lists(st.tuples(st.sampled_from(sorted(DTYPES)), st.integers(1, 200)), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_both_readers_give_back_what_was_written(tmp_path_factory: Any, kinds: list[tuple[str, int]], seed: int) -> None:
    path = tmp_path_factory.mktemp("weights") / "weight.bin"
    rng = np.random.default_rng(seed)
    tensors = [np.frombuffer(rng.bytes(n * np.dtype(d).itemsize), d) for d, n in kinds]
    written = write(path, tensors, None)
    file = WeightFile(path)
    for tensor, offset in zip(tensors, written.offsets, strict=True):
        kind = TensorType(DTYPES[tensor.dtype.name], tensor.shape)
        assert file.read(offset, kind).tobytes() == tensor.tobytes()
        assert theirs(path, offset, tensor.dtype.name).tobytes() == tensor.tobytes()
    assert [offset for offset, _, _ in file.chunks()] == list(written.offsets)
    assert all(offset % 64 == 0 for offset in written.offsets) and path.stat().st_size % 64 == 0


def test_what_their_writer_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weight.bin"
    rng = np.random.default_rng(0)
    halves, floats = rng.normal(size=33).astype(np.float16), rng.normal(size=7).astype(np.float32)
    writer = storage._BlobStorageWriter(str(path))
    places = writer.write_fp16_data(halves.view(np.uint16)), writer.write_float_data(floats)
    del writer
    file = WeightFile(path)
    assert (file.read(places[0], TensorType("fp16", (3, 11))) == halves.reshape(3, 11)).all()
    assert (file.read(places[1], TensorType("fp32", (7,))) == floats).all()


def test_one_tensor_has_the_published_layout(tmp_path: Path) -> None:
    written = write(tmp_path / "wq.bin", [np.array([[1.0, -2.0]])])
    data = (tmp_path / "wq.bin").read_bytes()
    assert written.offsets == (64,)
    assert (data[0], data[4]) == (1, 2) and data[64:68] == b"\xef\xbe\xad\xde" and data[68] == 1
    assert struct.unpack_from("<QQ", data, 72) == (4, 128)
    assert data[128:132] == np.array([1, -2], np.float16).tobytes()


def test_nan_and_overflow_are_mended_and_counted(tmp_path: Path) -> None:
    values = np.array([np.nan, 1e6, -np.inf, 65504.0, 65519.0, 0.1])
    written = write(tmp_path / "w.bin", [values])
    assert (written.nans, written.clamped) == (1, 2)
    read = WeightFile(tmp_path / "w.bin").read(64, TensorType("fp16", (6,)))
    assert read.tolist() == [0, 65504, -65504, 65504, 65504, np.float16(0.1)]


def test_large_tensors_are_written_in_pieces(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 1 << 20)).astype(np.float32)
    values[2, -1] = np.nan
    written = write(tmp_path / "w.bin", [values, values[:1, :5]])
    assert written.nans == 1
    read = WeightFile(tmp_path / "w.bin").read(written.offsets[0], TensorType("fp16", values.shape))
    assert (read[:2] == values[:2].astype(np.float16)).all() and read[2, -1] == 0


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="complex128"):
        write(tmp_path / "w.bin", [np.zeros(2), np.zeros(2, np.complex128)])
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write(tmp_path / "file" / "w.bin", [np.zeros(2)])


FP16_4 = TensorType("fp16", (4,))


@pytest.mark.parametrize(
    ("offset", "type", "damage", "message"),
    [
        (0, FP16_4, None, "no chunk at offset 0"),
        (128, FP16_4, None, "no chunk header at offset 128"),
        (65, FP16_4, None, "no chunk header at offset 65"),
        (2**40, FP16_4, None, "no chunk at offset"),
        (64, TensorType("fp32", (4,)), None, "holds fp16, the program says tensor<fp32"),
        (64, TensorType("fp16", (5,)), None, "has 8 bytes"),
        (64, TensorType("fp16", (2**30, 2**30)), None, "has 8 bytes"),
        (64, FP16_4, (4, b"\x03"), "version 3"),
        (64, FP16_4, (64, b"\x00"), "magic dead"),
        (64, FP16_4, (80, b"\xff\xff"), "ends at"),
        (64, FP16_4, (72, b"\xff" * 8), "ends at"),
        (64, FP16_4, (20, None), "not a weight file: 20 bytes"),
        (64, FP16_4, (130, None), "ends at 136, the file at 130"),
    ],
)
def test_damage_names_the_file(tmp_path: Path, offset: int, type: TensorType, damage: tuple[int, bytes | None] | None, message: str) -> None:
    path = tmp_path / "w.bin"
    write(path, [np.ones(4)])
    data = bytearray(path.read_bytes())
    if damage is not None:
        at, new = damage
        data = data[:at] if new is None else data[:at] + new + data[at + len(new) :]
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        WeightFile(path).read(offset, type)
    assert message in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("path", ["w.bin", "@model_path/../w.bin", "@model_path//etc/passwd", "/w.bin", "@model_path/a\0"])
def test_references_stay_in_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match="no weight file of a program"):
        WeightFiles(tmp_path / "in").read(BlobFile(FP16_4, path, 64))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"w\.bin: cannot be read"):
        WeightFiles(tmp_path).read(BlobFile(FP16_4, "@model_path/w.bin", 64))
