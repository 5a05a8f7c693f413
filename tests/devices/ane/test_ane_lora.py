"""Adapters as inputs: nothing changes with zeros, nothing compiles on a swap, merging says the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import torch_llama
from netwright.devices.ane.training import Engine, Guard, Network, Recipe, fresh, profile_of
from netwright.devices.ane.training import adapters as lora
from netwright.devices.ane.training.adapters import Adapter, Settings
from netwright.devices.ane.training.lora import completed, swap, train_adapter
from netwright.devices.ane.training.session import trainable
from netwright.errors import UserError
from netwright.models import Model

SIZES = "dim=32,layers=2,heads=4,kv_heads=2,hidden=80,context=64"
LENGTH = 16
EVERY = Settings(4, 8.0, lora.TARGETS)
WORDS = np.random.default_rng(5).integers(0, 256, (2, LENGTH))


def model() -> Model:
    made = trainable(fresh(SIZES))
    for name in made.store:
        made.store[name] *= 1 if "norm" in name else 5
    return made


def drawn(settings: Settings, seed: int = 0) -> Adapter:
    rng = np.random.default_rng(seed)
    shapes = lora.shapes(model().config, settings)
    return Adapter(settings, {n: (0.1 * rng.standard_normal(s)).astype(np.float32) for n, s in shapes.items()})


def network(of: Model, settings: Settings | None = EVERY, profile: str = "ane:m4max-orion") -> Network:
    change = partial(lora.adapted, settings=settings) if settings is not None else None
    return Network(of.config, of.store, LENGTH, Engine(profile_of(profile), Guard()), change)


@pytest.mark.parametrize("profile", ["ane:m4max-orion", "ane:m5-baked", "ane:strict"])
def test_a_zero_adapter_is_the_base_to_the_bit(profile: str) -> None:
    base = network(model(), None, profile).logits(WORDS[0])
    zero = network(model(), EVERY, profile).logits(WORDS[0], lora.zeros(model().config, EVERY).arrays)
    np.testing.assert_array_equal(zero, base)


def test_a_fresh_adapter_is_the_base_too() -> None:
    net = network(model())
    start = lora.fresh(model().config, EVERY)
    assert any(a.any() for a in start.arrays.values())
    zero = net.logits(WORDS[0], lora.zeros(model().config, EVERY).arrays)
    np.testing.assert_array_equal(net.logits(WORDS[0], start.arrays), zero)


def test_swapping_compiles_nothing_and_changes_the_result() -> None:
    net = network(model())
    compiled = net.engine.compiles
    first, second = (net.logits(WORDS[0], drawn(EVERY, seed).arrays) for seed in (0, 1))
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_array_equal(net.logits(WORDS[0], drawn(EVERY, 0).arrays), first)
    assert net.engine.compiles == compiled == 8


@pytest.mark.parametrize("settings", [EVERY, Settings(2, 2.0, ("q", "v")), Settings(3, 24.0, ("o", "down"))])
def test_merged_weights_say_the_same(settings: Settings) -> None:
    """An adapter of a smaller rank, another alpha and fewer targets goes into the same programs."""
    adapter = drawn(settings)
    as_inputs = network(model()).logits(WORDS[0], completed(adapter, EVERY, model().config))
    merged = network(trainable(lora.merged(model(), adapter)), None).logits(WORDS[0])
    base = network(model(), None).logits(WORDS[0])
    scale = np.abs(base).max()
    assert np.abs(as_inputs - merged).max() < 0.01 * scale < np.abs(as_inputs - base).max()


def test_gradients_of_adapters_are_those_of_pytorch() -> None:
    base, adapter = model(), drawn(EVERY)
    ours: dict[str, np.ndarray] = {}
    network(base).gradients(WORDS[0], WORDS[1], 256.0, ours, adapter.arrays)
    weights = torch_llama.parameters(base.store, base.config)
    theirs = {n: torch.tensor(a, requires_grad=True) for n, a in adapter.arrays.items()}

    def change(name: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        scope, _, target = name.rpartition(".")
        a, b = (theirs[f"{scope}.lora_{target}_{side}"] for side in "AB")
        return y + EVERY.scale * (x @ a.T) @ b

    x, y = (torch.from_numpy(w)[None] for w in WORDS)
    torch_llama.loss(weights, base.config, x, y, change).backward()
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert tensor.grad is not None
        wanted = tensor.grad.numpy()
        assert np.linalg.norm(ours[name] / 256 - wanted) < 0.01 * np.linalg.norm(wanted), name


def test_training_an_adapter_lowers_the_loss_and_leaves_the_network(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("one two three four five six seven eight nine ten. " * 30)
    base = model()
    before = {n: base.store[n].copy() for n in base.store}
    recipe = Recipe(steps=25, accumulate=2, length=LENGTH, rate=2e-2, warmup=3, decay=0.0)
    # a profile that never takes new weights can still train adapters: they are inputs
    found = train_adapter(base, text, EVERY, recipe, profile_of("ane:m5-baked"), tmp_path / "run")
    assert found["loss_last"] < found["loss_first"] - 0.5
    assert found["compiles"] == 8 and not any(found["clamps"].values())
    assert all(np.array_equal(before[n], base.store[n]) for n in before)
    rows = swap(base, text, [tmp_path / "run" / "adapter"], profile_of("ane"), tmp_path, length=LENGTH)
    assert rows[1]["loss"] < rows[0]["loss"] - 0.3 and rows[0]["compiles"] == rows[1]["compiles"] == 4


def test_an_adapter_comes_back_from_its_folder_in_fp16(tmp_path: Path) -> None:
    adapter = drawn(Settings(4, 6.0, ("k", "up")))
    lora.save(adapter, tmp_path)
    assert (tmp_path / "config.txt").read_text() == "rank=4 alpha=6.0 targets=k,up\n"
    assert (tmp_path / "layer1" / "lora_k_A.bin").stat().st_size == 128 + 2 * 4 * 32
    again = lora.load(tmp_path, model().config)
    assert again.settings == adapter.settings
    for name, array in adapter.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array.astype(np.float16))


def test_wrong_adapters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no linear layer 'x' to adapt"):
        Settings(4, 8.0, ("q", "x"))
    with pytest.raises(UserError, match="rank 0"):
        Settings(0)
    with pytest.raises(UserError, match="the programs take adapters of rank 2 on q"):
        drawn(EVERY).bound(Settings(2, 2.0, ("q",)))
    lora.save(drawn(EVERY), tmp_path)
    with pytest.raises(UserError, match=r"lora_q_A.bin: the chunk at offset 64 has 256 bytes"):
        lora.load(tmp_path, fresh(SIZES.replace("dim=32", "dim=64")).config)
    (tmp_path / "config.txt").write_text("rank=two")
    with pytest.raises(UserError, match=r"config.txt: not of the form"):
        lora.load(tmp_path, model().config)
    with pytest.raises(UserError, match="takes"):
        lora.merged(fresh(SIZES.replace("layers=2", "layers=1")), drawn(EVERY))
