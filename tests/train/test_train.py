"""Training: it learns, it repeats to the bit, and its options do what they say."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from netwright import spaces
from netwright.compile import fake_quantise
from netwright.compress import observe
from netwright.compress.quantise import prepared
from netwright.errors import UserError
from netwright.graph import Graph, Type
from netwright.train import Recipe, default_recipe, evaluate, predict, short_recipe, train
from netwright.train.augment import augmented
from netwright.train.recipe import Augment


def blobs(n: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three well separated classes in six dimensions."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (np.eye(3, 6)[y] * 3 + rng.standard_normal((n, 6))).astype(np.float32), y.astype(np.int64)


def net(shape: tuple[int, ...] = (1, 6), classes: int = 3, name: str = "mlp") -> Graph:
    space = spaces.get(name)
    return space.build(space.sample(np.random.default_rng(0)), Type(shape), Type((1, classes))).graph


def test_a_small_network_learns_separable_classes() -> None:
    x, y = blobs()
    trained = train(net(), x, y, Recipe(epochs=20, batch=32))
    assert evaluate(trained.graph, *blobs(seed=1))["accuracy"] > 0.9
    assert predict(trained.graph, x[:5]).shape == (5, 3)


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    x, y = blobs()
    recipe = Recipe(epochs=3, augment=Augment(noise=0.1))
    first, second, other = (train(net(), x, y, recipe, seed=s).graph.content_hash for s in (0, 0, 1))
    assert first == second != other


def test_torch_and_numpy_agree_on_the_trained_network() -> None:
    x = np.random.default_rng(0).random((20, 1, 9, 9), np.float32)
    y = np.arange(20) % 4
    trained = train(net((1, 1, 9, 9), 4, "conv-small"), x, y, Recipe(epochs=2, batch=8))
    assert np.allclose(predict(trained.graph, x), trained.graph.run(x)[0], atol=1e-4)


def test_early_stop_keeps_the_best_weights() -> None:
    x, y = blobs()
    held = blobs(seed=2)
    trained = train(net(), x, y, Recipe(epochs=60, batch=16, patience=3, ema=0.0, rate=0.02), validation=held)
    losses = [row["validation_loss"] for row in trained.history]
    assert len(losses) < 60
    assert evaluate(trained.graph, *held)["loss"] == pytest.approx(min(losses), abs=1e-5)


def test_a_deadline_ends_the_schedule_in_time() -> None:
    x, y = blobs(2000)
    started = time.monotonic()
    train(net(), x, y, Recipe(epochs=10_000), deadline=started + 1.0)
    assert time.monotonic() - started < 6


def test_quantisation_aware_training_goes_on_from_trained_weights() -> None:
    x, y = blobs()
    trained = prepared(train(net(), x, y, Recipe(epochs=15, batch=32)).graph)
    fake = fake_quantise.insert(trained, observe(trained, x))
    tuned = fake_quantise.remove(train(fake, x, y, Recipe(epochs=3, rate=5e-4, ema=0.0)).graph)
    assert tuned.content_hash != trained.content_hash
    assert evaluate(tuned, *blobs(seed=1))["accuracy"] > 0.88


def test_sgd_and_linear_schedules_train_too() -> None:
    x, y = blobs()
    trained = train(net(), x, y, Recipe(epochs=20, optimiser="sgd", rate=0.05, schedule="linear"))
    assert evaluate(trained.graph, x, y)["accuracy"] > 0.9


def test_a_recipe_names_what_it_does_not_have() -> None:
    with pytest.raises(UserError, match="no 'learning_rate'"):
        Recipe().changed({"learning_rate": 1})
    assert Recipe().changed({"augment": {"noise": 0.5}}).augment.noise == 0.5


@pytest.mark.parametrize("shape", [(4, 1, 8, 8), (4, 3, 16, 12), (4, 2, 30), (4, 7)])
def test_augmentation_keeps_shape_and_range(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    options = Augment(10, 0.1, 0.1, 1.5, 0.2, len(shape) == 4, True, 0.0, 0.0)
    y = augmented(x, options, torch.Generator().manual_seed(0))
    assert y.shape == x.shape and torch.isfinite(y).all()
    assert y.min() >= -1e-6 or len(shape) == 3


def test_short_recipes_see_a_fixed_number_of_samples() -> None:
    large = short_recipe(default_recipe("image", (1, 1, 28, 28), 60_000), 55_000)
    small = short_recipe(default_recipe("image", (1, 1, 8, 8), 898), 449)
    assert large.epochs == pytest.approx(0.5) and small.epochs == 30


@pytest.mark.parametrize(
    "name, shape",
    [("mobilenet", (1, 3, 16, 16)), ("ds-cnn", (1, 1, 16, 16)), ("conv-small", (1, 1, 9, 9)), ("vit", (1, 1, 9, 9))],
)
def test_every_image_space_trains_in_bfloat16_too(name: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    space = spaces.get(name)
    for _ in range(3):
        graph = space.build(space.sample(rng), Type(shape), Type((1, 4))).graph
        x = rng.random((16, *graph.inputs[0].shape[1:]), np.float32)
        trained = train(graph, x, np.arange(16) % 4, Recipe(epochs=1, batch=8, precision="bfloat16"))
        assert np.isfinite(predict(trained.graph, x)).all()
