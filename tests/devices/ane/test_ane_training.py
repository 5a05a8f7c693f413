"""Training on the engine against PyTorch: gradients, loss curve, updates without compiles, guards."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks import torch_llama
from netwright.devices.ane.device import lowered
from netwright.devices.ane.profile import load as load_profile
from netwright.devices.ane.profile import names
from netwright.devices.ane.rules import Sight, findings
from netwright.devices.ane.training import Engine, Guard, Network, Recipe, Trainer, fresh, profile_of
from netwright.devices.ane.training.adapters import TARGETS, Settings, adapted
from netwright.devices.ane.training.blocks import blocks
from netwright.devices.ane.training.data import Tokens, check, prepare, unigram_entropy
from netwright.devices.ane.training.engine import Loaded
from netwright.devices.ane.training.optimiser import AdamW, LossScale, Schedule, clip
from netwright.devices.ane.training.session import trainable
from netwright.errors import UserError
from netwright.models import Model, llama

PROFILE = profile_of("ane:m4max-orion")
SIZES = "dim=32,layers=2,heads=4,kv_heads=2,hidden=80,context=64"
LENGTH = 24


def network(model: Model, length: int = LENGTH, profile: str = "ane:m4max-orion") -> Network:
    return Network(model.config, model.store, length, Engine(profile_of(profile), Guard()))


def livelier(model: Model) -> Model:
    """Weights large enough that every part matters, norms other than one."""
    model, rng = trainable(model), np.random.default_rng(1)
    for name in llama.parameters(model.config):
        if "norm" in name:
            model.store[name] += 0.3 * rng.standard_normal(model.store[name].shape).astype(np.float32)
        elif "layers" in name:
            model.store[name] *= 6
    return model


def text_tokens(count: int = 4000) -> Tokens:
    """A text with something to learn: each token follows from the one before, mostly."""
    rng = np.random.default_rng(0)
    follows, found = rng.integers(0, 256, (256, 2)), [0]
    for pick in rng.integers(0, 2, count - 1):
        found.append(int(follows[found[-1], pick]))
    return Tokens(np.array(found, np.uint16), "made up")


@pytest.mark.parametrize("profile", ["ane:m4max-orion", "ane:strict"])
def test_backward_programs_give_the_gradients_of_pytorch(profile: str) -> None:
    model = livelier(fresh(SIZES))
    net = network(model, profile=profile)
    tokens, targets = np.random.default_rng(0).integers(0, 256, (2, LENGTH))
    ours: dict[str, np.ndarray] = {}
    loss = net.gradients(tokens, targets, 512.0, ours)
    weights = torch_llama.parameters(model.store, model.config)
    theirs = torch_llama.loss(weights, model.config, torch.from_numpy(tokens)[None], torch.from_numpy(targets)[None])
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-3)
    assert set(ours) == set(weights)
    for name, tensor in weights.items():
        assert tensor.grad is not None
        wanted = tensor.grad.numpy()
        assert ours[name].shape == model.store[name].shape  # [out, in], also where these differ
        error = np.linalg.norm(ours[name] / 512 - wanted) / np.linalg.norm(wanted)
        assert error < 0.01, (name, error)
    assert net.engine.guard.total == 0


def test_the_backward_program_of_a_feed_forward_half_alone() -> None:
    model = livelier(fresh(SIZES))
    half = blocks(model.config, LENGTH, model.store)[1]
    program = Loaded(Engine(PROFILE, Guard()), half.backward)
    rng = np.random.default_rng(2)
    n, dy = rng.standard_normal((2, LENGTH, 32)).astype(np.float32)
    w = {k: torch.tensor(model.store[f"layers.0.{k}.weight"], requires_grad=True) for k in ("gate", "up", "down")}
    x = torch.tensor(n, requires_grad=True)
    gated = functional.silu(functional.linear(x, w["gate"])) * functional.linear(x, w["up"])
    functional.linear(gated, w["down"]).backward(torch.from_numpy(dy))
    made = program.run(dy, n)
    assert x.grad is not None
    assert np.linalg.norm(made[0] - x.grad.numpy()) < 0.01 * np.linalg.norm(x.grad.numpy())
    for product in half.products:
        left = dy if product.dy < 0 else made[product.dy]
        right = n if product.x < 0 else made[product.x]
        grad = w[product.tensor.split(".")[2]].grad
        assert grad is not None and (left.T @ right).shape == tuple(grad.shape)
        assert np.linalg.norm(left.T @ right - grad.numpy()) < 0.01 * np.linalg.norm(grad.numpy())


def test_the_loss_follows_float32_training_in_pytorch() -> None:
    model, tokens = fresh(SIZES), text_tokens()
    recipe = Recipe(steps=40, accumulate=2, length=LENGTH, rate=5e-3, warmup=5)
    weights = torch_llama.parameters(model.store, model.config)
    groups = [{"params": [w for w in weights.values() if w.ndim > 1], "weight_decay": recipe.decay},
              {"params": [w for w in weights.values() if w.ndim == 1], "weight_decay": 0.0}]  # fmt: skip
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.95), eps=1e-8)
    schedule, theirs = Schedule(recipe.rate, recipe.steps, recipe.warmup), []
    for step in range(recipe.steps):
        starts = [tokens.start(i, LENGTH, 0) for i in (2 * step, 2 * step + 1)]
        x, y = (torch.from_numpy(np.stack(s)) for s in zip(*(tokens.window(s, LENGTH) for s in starts)))
        optimiser.zero_grad()
        loss = torch_llama.loss(weights, model.config, x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), recipe.clip)
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step)
        optimiser.step()
        theirs.append(loss.item())
    own = trainable(model)
    trainer = Trainer(network(own), {n: own.store[n] for n in llama.parameters(own.config)}, tokens, recipe)
    ours = [trainer.one().loss for _ in range(recipe.steps)]
    assert theirs[-1] < theirs[0] - 1
    np.testing.assert_allclose(ours, theirs, rtol=0.02)


def test_two_hundred_updates_compile_nothing_and_end_as_a_fresh_compile() -> None:
    model, tokens = trainable(fresh("dim=16,layers=1,heads=2,hidden=24,context=32")), text_tokens(600)
    net = network(model, 8)
    trainer = Trainer(net, {n: model.store[n] for n in llama.parameters(model.config)}, tokens,
                      Recipe(steps=210, accumulate=1, length=8, warmup=5))  # fmt: skip
    rows = [trainer.one() for _ in range(210)]
    assert {row.compiles for row in rows} == {4} and trainer.optimiser.step == 210
    assert not any(row.clamps for row in rows)
    assert np.mean([r.loss for r in rows[-10:]]) < np.mean([r.loss for r in rows[:10]])
    probe = tokens.window(3, 8)[0]
    again = network(model, 8)
    np.testing.assert_array_equal(net.logits(probe), again.logits(probe))


def test_every_weight_reaches_its_programs_by_reload() -> None:
    model = livelier(fresh("dim=16,layers=1,heads=2,hidden=24,context=32"))
    net = network(model, 8)
    window = tuple(np.random.default_rng(0).integers(0, 256, (2, 8)))

    def all_gradients(one: Network) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        one.gradients(*window, 64.0, found)
        return found

    for name in llama.parameters(model.config):
        model.store[name] *= 1.25
        net.reload()
        ours, wanted = all_gradients(net), all_gradients(network(model, 8))
        assert all(np.array_equal(ours[n], wanted[n]) for n in wanted), name


def test_a_profile_that_keeps_old_weights_compiles_at_each_update_to_the_same_bits() -> None:
    tokens, found = text_tokens(), []
    reloading = load_profile("m4max-orion")
    for profile in (reloading, replace(reloading, reload="no-op")):
        model = trainable(fresh(SIZES))
        net = Network(model.config, model.store, LENGTH, Engine(profile, Guard()))
        weights = {n: model.store[n] for n in llama.parameters(model.config)}
        trainer = Trainer(net, weights, tokens, Recipe(length=LENGTH))
        rows = [trainer.one() for _ in range(3)]
        found.append(({n: w.copy() for n, w in weights.items()}, [row.compiles for row in rows], net.programs))
    (first, flat, count), (second, rising, _) = found
    assert all(np.array_equal(first[n], second[n]) for n in first)
    assert flat == [count] * 3 and rising == [2 * count, 3 * count, 4 * count]


def test_a_reload_that_should_work_and_does_not_is_an_error() -> None:
    model, tokens = trainable(fresh(SIZES)), text_tokens()
    engine = Engine(load_profile("m4max-orion"), Guard())
    net = Network(model.config, model.store, LENGTH, engine)
    engine.simulator.profile = replace(engine.profile, reload="no-op")
    weights = {n: model.store[n] for n in llama.parameters(model.config)}
    with pytest.raises(UserError, match="left the old weights in place, which m4max-orion denies"):
        Trainer(net, weights, tokens, Recipe(length=LENGTH)).one()


def test_more_layers_than_a_process_may_compile_are_refused() -> None:
    model = fresh("dim=16,layers=30,heads=2,hidden=24")
    with pytest.raises(UserError, match="120 programs are more than the 100"):
        network(model, 8)


def test_clamps_are_counted_and_the_step_is_left_out() -> None:
    model, tokens = trainable(fresh(SIZES)), text_tokens()
    weights = {n: model.store[n] for n in llama.parameters(model.config)}
    trainer = Trainer(network(model), weights, tokens, Recipe(length=LENGTH))
    trainer.scale.value = 2.0**30
    before = {n: w.copy() for n, w in weights.items()}
    row = trainer.one()
    assert row.skipped == 1 and row.clamps > 0 and trainer.scale.value == 2.0**29
    assert all(np.array_equal(before[n], weights[n]) for n in weights)
    guard = trainer.network.engine.guard
    assert guard.sent + guard.received == row.clamps


def test_a_fixed_loss_scale_goes_on_and_still_counts() -> None:
    model, tokens = trainable(fresh(SIZES)), text_tokens()
    weights = {n: model.store[n] for n in llama.parameters(model.config)}
    trainer = Trainer(network(model), weights, tokens, Recipe(length=LENGTH, loss_scale=2.0**30))
    row = trainer.one()
    assert row.clamps > 0 and not row.skipped and trainer.optimiser.step == 1
    assert all(np.isfinite(w).all() for w in weights.values())


def test_the_guard_tells_what_it_clamped() -> None:
    guard = Guard()
    made = guard.entering(np.array([1.0, np.nan, 7e4, -np.inf], np.float32))
    np.testing.assert_array_equal(made, [1.0, 0.0, 65504.0, -65504.0])
    assert (guard.sent, guard.nan, guard.total) == (2, 1, 3)


def test_the_loss_scale_falls_at_an_overflow_and_grows_after_good_steps() -> None:
    scale = LossScale(8.0, patience=2)
    assert [scale.told(bad) for bad in (True, False, False, False)] == [False, True, True, True]
    assert (scale.value, scale.skipped, scale.good) == (8.0, 1, 1)


def test_adamw_is_that_of_pytorch() -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((5, 3)).astype(np.float32)
    theirs = torch.tensor(w, requires_grad=True)
    torch_adam = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    adam, ours = AdamW(decay=0.1), {"w": w.copy()}
    for _ in range(20):
        g = rng.standard_normal(w.shape).astype(np.float32)
        theirs.grad = torch.from_numpy(g.copy())
        torch_adam.step()
        adam.update(ours, {"w": g}, 0.01)
    np.testing.assert_allclose(ours["w"], theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_clipping_keeps_the_direction() -> None:
    grads = {"a": np.array([3.0], np.float32), "b": np.array([4.0], np.float32)}
    assert clip(grads, 1.0) == pytest.approx(5.0)
    np.testing.assert_allclose([grads["a"][0], grads["b"][0]], [0.6, 0.8], rtol=1e-6)


def test_the_schedule_warms_up_and_ends_at_a_tenth() -> None:
    schedule = Schedule(1.0, 100, 10)
    assert schedule.rate(0) == pytest.approx(0.1) and schedule.rate(9) == 1.0
    assert schedule.rate(100) == pytest.approx(0.1)
    assert all(schedule.rate(s) >= schedule.rate(s + 1) for s in range(10, 100))


def test_windows_wrap_and_targets_are_the_next_tokens() -> None:
    tokens = Tokens(np.arange(10, dtype=np.uint16), "")
    x, y = tokens.window(7, 5)
    assert x.tolist() == [7, 8, 9, 0, 1] and y.tolist() == [8, 9, 0, 1, 2]


def test_a_pass_over_the_text_meets_each_window_once() -> None:
    tokens = Tokens(np.arange(40, dtype=np.uint16), "")
    starts = [tokens.start(i, 8, 3) for i in range(5)]
    assert len({s % 40 for s in starts}) == 5 and len({(s - starts[0]) % 8 for s in starts}) == 1
    assert starts == [tokens.start(i, 8, 3) for i in range(5)]
    assert starts != [tokens.start(i + 5, 8, 3) for i in range(5)]


def test_text_becomes_a_flat_file(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("a b ä")
    model = fresh(SIZES)
    assert model.tokenizer is not None
    tokens = prepare(text, model.tokenizer, 256, tmp_path)
    assert tokens.numbers.tolist() == list("a b ä".encode())
    again = prepare(tmp_path / "tokens.bin", model.tokenizer, 256, tmp_path)
    assert again.digest == tokens.digest
    assert unigram_entropy(Tokens(np.array([0, 1, 0, 1], np.uint16), ""), 4) == pytest.approx(np.log(2))
    with pytest.raises(UserError, match="token 195, the network has 100"):
        prepare(tmp_path / "tokens.bin", model.tokenizer, 100, tmp_path)
    with pytest.raises(UserError, match="6 tokens are too few"):
        check(tokens, 6, 64)
    with pytest.raises(UserError, match="overflows the network's context of 4"):
        check(tokens, 5, 4)


@pytest.mark.parametrize("profile", names())
def test_training_programs_break_no_rule_that_the_host_does_not_keep(profile: str) -> None:
    model, chosen = fresh(SIZES), load_profile(profile)
    with_adapters = partial(adapted, settings=Settings(32, 64.0, TARGETS))
    for half in (*blocks(model.config, 32, model.store), *blocks(model.config, 32, model.store, with_adapters)):
        for graph in (half.forward, half.backward):
            found = findings(Sight(lowered(graph, chosen).program.function(), chosen))
            assert not [f for f in found if f.serious], graph.name


def test_a_backward_program_takes_two_surfaces_and_gives_what_weight_gradients_need() -> None:
    model = fresh(SIZES)
    attention, feed_forward = blocks(model.config, 32, model.store)[:2]
    assert [v.name for v in attention.backward.inputs] == ["dy", "n"]
    assert [v.shape for v in attention.backward.outputs] == [(32, 32), (32, 32), (32, 16), (32, 16), (32, 32)]
    assert [p.tensor for p in feed_forward.products] == [f"layers.0.{n}.weight" for n in ("gate", "up", "down")]
    assert not [node for node in feed_forward.backward.nodes if node.op.name == "concat"]
