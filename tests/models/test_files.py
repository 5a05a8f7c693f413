"""Every format gives back the weights that were written; a damaged file is one line, whatever is wrong with it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import GPT2, LLAMA, write_gguf, write_llama2c, write_safetensors
from small_models import filled

from netwright.errors import UserError
from netwright.graph import Store
from netwright.models import Model, gpt2, llama, load

MODULES = {"llama": (llama, LLAMA), "gpt2": (gpt2, GPT2)}


def assert_same(model: Model, config: Any, store: Store, tolerance: float = 0.0) -> None:
    for field in ("vocabulary", "width", "layers", "heads", "kv_heads", "hidden", "context", "tied"):
        assert getattr(model.config, field) == getattr(config, field), field
    assert model.config.epsilon == pytest.approx(config.epsilon)
    assert set(model.store) == set(store)
    for name in store:
        np.testing.assert_allclose(model.store[name], store[name], rtol=tolerance, atol=tolerance, err_msg=name)
        assert model.store[name].dtype == np.float32


@pytest.mark.parametrize("tied", [True, False])
def test_llama2c_files_come_back(tmp_path: Path, tied: bool) -> None:
    config = llama.Config(50, 64, 2, 4, 2, 96, 32, tied=tied)
    store = filled(llama, config)
    write_llama2c(tmp_path / "model.bin", config, store)
    model = load(tmp_path / "model.bin")
    assert_same(model, config, store)
    assert not model.store["embed.weight"].flags.owndata, "the embedding should stay in the file"


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0), ("float16", 1e-3), ("bfloat16", 1e-2)])
def test_safetensors_come_back(tmp_path: Path, family: str, dtype: str, tolerance: float) -> None:
    module, config = MODULES[family]
    store = filled(module, config)
    write_safetensors(tmp_path / "model", config, store, dtype)
    assert_same(load(tmp_path / "model"), config, store, tolerance)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 8], ids=["F32", "F16", "Q4_0", "Q4_1", "Q8_0"])
def test_gguf_files_come_back(tmp_path: Path, family: str, kind: int) -> None:
    module, config = MODULES[family]
    written = write_gguf(tmp_path / "model.gguf", config, filled(module, config), kind)
    assert_same(load(tmp_path / "model.gguf"), config, written, 1e-6 if kind in (2, 3, 8) else 0.0)


def write_all(folder: Path) -> dict[str, Path]:
    """One model of each format -> the file that holds its bytes."""
    store = filled(llama, LLAMA)
    write_llama2c(folder / "model.bin", LLAMA, store)
    write_safetensors(folder / "model", LLAMA, store)
    write_gguf(folder / "model.gguf", LLAMA, store, 8)
    names = {"llama2c": "model.bin", "safetensors": "model/model.safetensors", "gguf": "model.gguf"}
    return {form: folder / name for form, name in names.items()}


FORMS = pytest.mark.parametrize("form", ["llama2c", "safetensors", "gguf"])


@FORMS
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, form: str) -> None:
    path = write_all(tmp_path)[form]
    whole = path.read_bytes()
    for share in (0.0, 1e-5, 1e-4, 0.001, 0.01, 0.3, 0.9, 0.9999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UserError) as caught:
            load(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@FORMS
def test_a_damaged_head_never_ends_in_a_traceback(tmp_path: Path, form: str) -> None:
    path = write_all(tmp_path)[form]
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(whole)
        for at in rng.integers(0, 1500 if form != "llama2c" else 28, rng.integers(1, 5)):
            broken[at] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            load(path)
        except UserError as error:
            assert "\n" not in str(error)


def settings(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Path]:
    """A folder of safetensors whose config.json is changed."""

    def write(folder: Path) -> Path:
        write_safetensors(folder / "model", LLAMA, filled(llama, LLAMA))
        place = folder / "model" / "config.json"
        given = json.loads(place.read_text())
        change(given)
        place.write_text(json.dumps(given))
        return folder / "model"

    return write


def gguf_like(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "model.gguf").write_bytes(content)
        return folder / "model.gguf"

    return write


HUGE = struct.pack("<Q", 2**62)
KEY = struct.pack("<Q", 1) + b"k"


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (settings(lambda g: g.update(model_type="mamba")), "model_type 'mamba' is not read"),
        (settings(lambda g: g.update(hidden_size=128)), "embed.weight has shape"),
        (settings(lambda g: g.update(hidden_size="64")), "'hidden_size' should be a number"),
        (settings(lambda g: g.update(num_hidden_layers=10**12)), "config.json"),
        (settings(lambda g: g.update(num_hidden_layers=3)), "no tensor 'model.layers.2"),
        (settings(lambda g: g.update(rope_scaling={"type": "yarn"})), "scaled rotary"),
        (settings(lambda g: g.update(attention_bias=True)), "attention_bias True is not supported"),
        (settings(lambda g: g.update(num_key_value_heads=3)), "cannot share 3 key heads"),
        (gguf_like(b"GGML" + bytes(60)), "does not begin with GGUF"),
        (gguf_like(b"GGUF" + struct.pack("<IQQ", 1, 0, 0)), "version 1"),
        (gguf_like(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0)), "ends within"),
        (gguf_like(b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60)), "ends within"),
        (gguf_like(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + HUGE), "ends within a name"),
        (gguf_like(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<II", 9, 4) + HUGE), "should have"),
        (gguf_like(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<I", 77)), "unknown type 77"),
        (gguf_like(b"GGUF" + struct.pack("<IQQ", 3, 0, 0)), "architecture 'None'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, write: Callable[[Path], Path], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        load(write(tmp_path))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_tokenizer_of_another_network_is_refused(tmp_path: Path) -> None:
    config = llama.Config(50, 64, 2, 4, 2, 96, 32)
    write_llama2c(tmp_path / "model.bin", config, filled(llama, config))
    (tmp_path / "other").mkdir()
    vocabulary = {chr(33 + index): index for index in range(60)}
    (tmp_path / "other" / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "other" / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(UserError, match="other: a tokenizer of 60 tokens, and the network has 50"):
        load(tmp_path / "model.bin", tokenizer=tmp_path / "other")


def test_other_files_and_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("hello")
    for path, said in ((tmp_path / "text.txt", "not a language model"), (tmp_path, "no config.json")):
        with pytest.raises(UserError, match=said):
            load(path)
