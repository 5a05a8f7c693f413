"""Packages that Core ML tools made of PyTorch modules run on the executor; ours are read back by Core ML tools."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from mil_programs import Writer
from test_mil_text import block
from torch import nn
from torch.nn import functional as F

from netwright.devices.ane.execute import prepare
from netwright.devices.ane.mil import difference, parse, to_text
from netwright.devices.ane.package import read_package, write_package
from netwright.errors import UserError

ct = pytest.importorskip("coremltools")
from core_ml_oracle import check  # noqa: E402

logging.getLogger("coremltools").setLevel(logging.ERROR)


class Block(nn.Module):
    """A causal transformer block of fixed shape [1, 16, 64]."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
        self.qkv, self.out = nn.Linear(64, 192), nn.Linear(64, 64)
        self.up, self.down, self.causal = nn.Linear(64, 256), nn.Linear(256, 64), causal

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.reshape(1, 16, 4, 16).transpose(1, 2) for t in torch.split(self.qkv(self.norm1(x)), 64, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(mixed.transpose(1, 2).reshape(1, 16, 64))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def modules() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    mlp = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10), nn.Softmax(-1))
    conv = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.SiLU(), nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.ReLU6(),
        nn.Conv2d(16, 24, 1), nn.MaxPool2d(3, 2, 1), nn.GroupNorm(4, 24), nn.Hardswish(), nn.AvgPool2d(2),
        nn.Upsample(scale_factor=2), nn.ConvTranspose2d(24, 8, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )
    return {"mlp": (mlp, (4, 32)), "conv": (conv, (1, 3, 32, 32)), "block": (Block(True), (1, 16, 64)), "encoder": (Block(False), (1, 16, 64))}


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    ours, theirs = ours.astype(np.float32).ravel(), theirs.astype(np.float32).ravel()
    assert np.abs(ours - theirs).max() <= 0.005 * max(1.0, float(np.abs(theirs).max()))
    assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) >= 0.99999


@pytest.fixture(scope="module", params=[("iOS18", n) for n in modules()] + [("iOS16", "conv"), ("iOS16", "block")], ids=str)
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A package, an input, and what PyTorch makes of it with the same fp16 weights."""
    target, name = request.param
    torch.manual_seed(5)
    module, shape = modules()[name]
    with torch.no_grad():
        for parameter in module.eval().parameters():
            parameter.copy_(parameter.half().float())
        x = torch.randn(shape).half().float()
        expected = module(x).numpy()
    model = ct.convert(
        torch.jit.trace(module, x), inputs=[ct.TensorType(shape=shape, name="x")], convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, target), skip_model_load=True,
    )
    path = tmp_path_factory.mktemp("packages") / "model.mlpackage"
    model.save(str(path))
    return path, x.numpy(), expected


def test_a_converted_module_runs_as_pytorch_does(converted: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, x, expected = converted
    package = read_package(path)
    (ours,) = prepare(package.program, package.folder).run({"x": x}).values()
    close(ours, expected)


def test_a_converted_module_prints_as_text_that_runs_alike(converted: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, x, _ = converted
    package = read_package(path)
    text = to_text(package.program)
    again = parse(text)
    assert again == package.program and to_text(again) == text
    first, second = (prepare(p, package.folder).run({"x": x}) for p in (package.program, again))
    assert all((first[name] == second[name]).all() for name in first)


def test_a_package_written_again_is_the_same_program(converted: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    path, x, _ = converted
    package = read_package(path)
    again = read_package(write_package(package.program, package.folder, tmp_path / "again.mlpackage"))
    assert not difference(package.program, again.program)
    first, second = (prepare(p.program, p.folder).run({"x": x}) for p in (package, again))
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("kernel", ["attention", "swiglu", "gpt2"])
def test_core_ml_tools_infer_the_types_of_kernels_and_read_their_weights(kernel: str, tmp_path: Path) -> None:
    assert check(block(kernel, tmp_path), tmp_path) > 10


def test_a_swiglu_block_of_the_published_size_equals_pytorch(tmp_path: Path) -> None:
    program = block("swiglu", tmp_path, d=256, s=64)
    x = np.random.default_rng(0).normal(size=(1, 256, 1, 64)).astype(np.float16)
    (ours,) = prepare(program, tmp_path).run({"x": x}).values()
    rng = np.random.default_rng(3)
    w1, w2, w3 = (torch.tensor((rng.normal(size=s) / np.sqrt(s[1])).astype(np.float16).astype(np.float32)) for s in ((512, 256), (256, 512), (512, 256)))
    t = torch.tensor(x[0, :, 0].astype(np.float32))
    n = t * torch.rsqrt((t * t).mean(0) + 1.5e-5)
    expected = t + w2 @ (F.silu(w1 @ n) * (w3 @ n))
    close(ours, expected.numpy())


def test_a_package_that_is_there_is_replaced(tmp_path: Path) -> None:
    write_package(block("gpt2", tmp_path), tmp_path, tmp_path / "m.mlpackage")
    write_package(block("swiglu", tmp_path), tmp_path, tmp_path / "m.mlpackage")
    assert read_package(tmp_path / "m.mlpackage").program.function().histogram()["sigmoid"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.mlpackage", "weights"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    program = w.program(w.op("greater", x=w.input("x", 2), y=0.0))
    with pytest.raises(UserError, match="inputs and outputs of a package are fp16"):
        write_package(program, tmp_path, tmp_path / "m.mlpackage")
    with pytest.raises(UserError, match=r"ends in \.mlpackage"):
        write_package(program, tmp_path, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_damaged_packages_are_refused_by_name(tmp_path: Path) -> None:
    path = write_package(block("gpt2", tmp_path), tmp_path, tmp_path / "m.mlpackage")
    manifest, model = path / "Manifest.json", path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    whole, table = model.read_bytes(), manifest.read_text()
    random = np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), random.integers(1, 5)):
            damaged[at] = random.integers(0, 256)
        model.write_bytes(damaged[: random.integers(1, len(damaged))] if random.random() < 0.3 else damaged)
        try:
            package = read_package(path)
            to_text(package.program)
            prepare(package.program, package.folder)
        except UserError as error:
            assert "\n" not in str(error)
    model.unlink()
    with pytest.raises(UserError, match="No such file"):
        read_package(path)
    for text, message in (("{", "damaged"), ("[]", "damaged"), ("{}", "damaged"), (table.replace("com.apple.CoreML/model", "../../model"), "leaves the package")):
        manifest.write_text(text)
        with pytest.raises(UserError, match=message):
            read_package(path)
    manifest.unlink()
    with pytest.raises(UserError, match=r"no Manifest\.json"):
        read_package(path)


def test_a_model_that_is_no_program_is_refused(tmp_path: Path) -> None:
    spec = ct.proto.Model_pb2.Model()
    spec.identity.SetInParent()
    model = tmp_path / "m.mlpackage" / "Data" / "model.mlmodel"
    model.parent.mkdir(parents=True)
    model.write_bytes(spec.SerializeToString())
    table = {"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "model.mlmodel"}}}
    (tmp_path / "m.mlpackage" / "Manifest.json").write_text(json.dumps(table))
    with pytest.raises(UserError, match="holds identity, expected an mlProgram"):
        read_package(tmp_path / "m.mlpackage")
