"""The recorded reference models: NumPy reference, host C and the emulated core against each file's own runtime.

`python -m benchmarks.models parity` does the same with 50 inputs each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtimes import inputs_for, reference

from benchmarks.models import BOARD
from benchmarks.recorded import MODELS, keywords
from netwright import device, load
from netwright.errors import UserError

SAMPLES = 3
NAMES = """ad01_fp32 ad01_int8 ic_resnet8_fp32 ic_resnet8_int8 kws_dscnn_fp32 kws_dscnn_int8 vww_mobilenet_fp32
    vww_mobilenet_int8 mcunet_vww1 dtln_noise_suppression hello_world_float hello_world_int8 keyword_scrambled
    keyword_scrambled_8bit micro_speech_quantized person_detect trained_lstm trained_lstm_int8
    mobilenet_v1_0.25_128_quant mobilenet_v1_0.5_160_quant mobilenet_v2_1.0_224_quant tf2_mobilenet_v2_1.0_224_ptq
    cifar10_f cifar10_q mbnet128_0.25_f mbnet128_0.25_q mbnet96_0.25_f mbnet96_0.25_q mnist_arduino_q mnist_dw_f
    mnist_dw_q mnist_rect_q mnist_resnet_f mnist_resnet_q mnist_valid_f mnist_valid_q vww96_f vww96_q""".split()
EMULATED = ("ad01_fp32", "kws_dscnn_int8", "person_detect", "trained_lstm_int8", "mcunet_vww1", "keyword_scrambled_8bit")


def found(shared_data: Path, name: str) -> Path:
    return next(p for folder in MODELS for p in (shared_data / folder).glob(f"{name}.tflite"))


def assert_same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        a = np.asarray(a).reshape(b.shape)
        if b.dtype.kind == "f":
            assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_reference_model_is_byte_exact(name: str, shared_data: Path, tmp_path: Path) -> None:
    path = found(shared_data, name)
    graph = load(path)
    batches = inputs_for(graph, SAMPLES)
    theirs = reference(path, batches)
    ours = [np.stack(o) for o in zip(*[graph.run(*[b[i] for b in batches]) for i in range(SAMPLES)])]
    assert_same(ours, theirs)
    flat = [b.reshape(SAMPLES, *b.shape[2:]) for b in batches]
    if path.stat().st_size < 400_000:  # larger ones take a compiler seconds: the benchmark has them
        assert_same(list(device("host").compile(graph, out=tmp_path / "host").run(*flat)), theirs)
    if name in EMULATED:
        board = tmp_path / "board.toml"
        board.write_text(BOARD)
        program = device(str(board)).compile(graph, out=tmp_path / "core")
        assert_same(list(program.run(*flat)), theirs)


def test_nothing_recorded_is_left_out(shared_data: Path) -> None:
    stems = {p.stem for folder in MODELS for p in (shared_data / folder).glob("*.tflite")}
    assert stems - set(NAMES) == {"audio_preprocessor_float", "audio_preprocessor_int8"}


@pytest.mark.parametrize("name", ["audio_preprocessor_float", "audio_preprocessor_int8"])
def test_custom_operators_are_refused_by_name(name: str, shared_data: Path) -> None:
    with pytest.raises(UserError, match=rf"{name}.tflite: CUSTOM SignalWindow \(signal_window\): this operator is not"):
        load(found(shared_data, name))


def test_keyword_network_reaches_its_recorded_accuracy(shared_data: Path) -> None:
    """90.1 % of the thousand inputs with LiteRT's reference kernels; 200 of them here."""
    x, y = keywords(shared_data)
    graph = load(found(shared_data, "kws_dscnn_int8"))
    assert (graph.run(x[:200])[0].argmax(1) == y[:200]).mean() >= 0.85


def test_a_saved_import_loads_back_the_same(shared_data: Path, tmp_path: Path) -> None:
    from netwright.graph import save

    for name in ("trained_lstm_int8", "mobilenet_v1_0.25_128_quant"):
        graph = load(found(shared_data, name))
        save(graph, tmp_path / name)
        again = load(tmp_path / name)
        assert again.content_hash == graph.content_hash
        assert [v.type for v in again.inputs] == [v.type for v in graph.inputs]
