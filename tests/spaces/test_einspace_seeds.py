"""Known networks written in einspace are the networks: same parameters, same outputs as plain torch ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from netwright import spaces
from netwright.graph import Type
from netwright.spaces.einspace import seeds


class Residual(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.shortcut(x)


class Head(nn.Module):
    """Mean over pixels (tokens) and a linear map."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Any) -> Any:
        return self.classifier(x.mean((2, 3)) if x.dim() == 4 else x.mean(1))


def conv(given: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(given, width, kernel, stride, kernel // 2)


def resnet18(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = [conv(channels, 64, 3), nn.BatchNorm2d(64), nn.LeakyReLU()]
    given = 64
    for width in (64, 128, 256, 512):
        for _ in range(2):
            halve = width != given
            body = nn.Sequential(conv(given, width, 3, 1 + halve), nn.BatchNorm2d(width), nn.LeakyReLU(),
                                 conv(width, width, 3), nn.BatchNorm2d(width))
            shortcut = nn.Sequential(conv(given, width, 1, 2), nn.BatchNorm2d(width)) if halve else None
            layers += [Residual(body, shortcut), nn.LeakyReLU()]
            given = width
    return nn.Sequential(*layers, Head(512, classes))


def wide_resnet_16_4(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = [conv(channels, 16, 3)]
    given = 16
    for width, stride in ((64, 1), (128, 2), (256, 2)):
        for block in range(2):
            before = [nn.BatchNorm2d(given), nn.LeakyReLU()]
            body = [conv(given, width, 3, stride if block == 0 else 1), nn.BatchNorm2d(width), nn.LeakyReLU(),
                    conv(width, width, 3)]
            if block == 0:
                layers += [*before, Residual(nn.Sequential(*body), conv(given, width, 1, stride))]
            else:
                layers.append(Residual(nn.Sequential(*before, *body)))
            given = width
    return nn.Sequential(*layers, nn.BatchNorm2d(256), nn.LeakyReLU(), Head(256, classes))


class Patches(nn.Module):
    """A strided convolution whose pixels are tokens."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: Any) -> Any:
        return self.embed(x).flatten(2).transpose(1, 2)


class Position(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(tokens, width))

    def forward(self, x: Any) -> Any:
        return x + self.position


class Attention(nn.Module):
    """Multi-head attention; each head has its query, key and value maps."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        size = width // heads
        self.heads = nn.ModuleList(nn.ModuleList(nn.Linear(width, size) for _ in range(3)) for _ in range(heads))
        self.project = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        made = []
        for head in self.heads:
            q, k, v = (part(x)[:, None] for part in head)  # type: ignore[attr-defined]
            made.append(functional.scaled_dot_product_attention(q, k, v)[:, 0])
        return self.project(torch.cat(made, -1))


def mlp(width: int, hidden: int) -> list[nn.Module]:
    return [nn.Linear(width, hidden), nn.LeakyReLU(), nn.Linear(hidden, width)]


def vit(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = [Patches(channels, 256, 4), Position(64, 256)]
    for _ in range(4):
        layers += [Residual(nn.Sequential(nn.LayerNorm(256), Attention(256, 4))),
                   Residual(nn.Sequential(nn.LayerNorm(256), *mlp(256, 512)))]
    return nn.Sequential(*layers, nn.LayerNorm(256), Head(256, classes))


class Turned(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x.transpose(1, 2)).transpose(1, 2)


def mixer(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = [Patches(channels, 256, 4)]
    for _ in range(4):
        layers += [Residual(nn.Sequential(nn.LayerNorm(256), Turned(nn.Sequential(*mlp(64, 64))))),
                   Residual(nn.Sequential(nn.LayerNorm(256), *mlp(256, 512)))]
    return nn.Sequential(*layers, nn.LayerNorm(256), Head(256, classes))


CASES: dict[str, tuple[Any, Callable[[int, int], nn.Module]]] = {
    "resnet18": (seeds.resnet18, resnet18), "wide-resnet-16-4": (seeds.wide_resnet, wide_resnet_16_4),
    "vit": (seeds.vit, vit), "mixer": (seeds.mixer, mixer),
}


@pytest.mark.parametrize("name", CASES)
def test_a_seed_is_the_network_that_plain_torch_builds(name: str) -> None:
    derivation, plain = CASES[name]
    space = spaces.get("einspace", shape=(3, 32, 32))
    candidate = space.validate(seeds.decisions(derivation()))
    graph = space.build(candidate, Type((1, 3, 32, 32)), Type((1, 10))).graph
    torch.manual_seed(0)
    module = plain(3, 10).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    assert graph.parameter_count == sum(p.numel() for p in module.parameters())
    # both list tensors in the order in which the network uses them
    theirs = [t for key, t in module.state_dict().items() if not key.endswith("num_batches_tracked")]
    ours = [p for p in graph.params if p.init is not None]
    store = graph.store.copy()
    for param, tensor in zip(ours, theirs, strict=True):
        assert math.prod(param.value.shape) == tensor.numel()
        store[param.tensor] = tensor.numpy().reshape(param.value.shape)
    x = torch.rand(2, 3, 32, 32)
    expected = module(x).detach().numpy()
    (made,) = graph.with_store(store).run(x.numpy())
    assert np.abs(expected).max() > 0.01
    assert np.abs(made - expected).max() < 1e-4


def test_published_parameter_counts() -> None:
    """ResNet-18 for CIFAR has 11,173,962 parameters (kuangliu/pytorch-cifar); its 4,800 output channels get biases."""
    space = spaces.get("einspace", shape=(3, 32, 32))
    graph = space.build(space.validate(seeds.decisions(seeds.resnet18())), Type((1, 3, 32, 32)), Type((1, 10))).graph
    biases = sum(p.value.shape[0] for p in graph.params if p.value.name.endswith("bias") and "norm" not in p.value.name
                 and not p.value.name.startswith("classifier"))
    assert graph.parameter_count - biases == 11_173_962
    assert biases == 4_800


def test_seeds_fit_other_inputs_and_a_mixer_says_which_tokens_it_can_mix() -> None:
    space = spaces.get("einspace")
    stem = ("3-2-1", "3-2-1", "3-2-1")
    for network in (seeds.resnet18(), seeds.vit(), seeds.mixer(16, patches=stem)):
        graph = space.build(space.validate(seeds.decisions(network)), Type((1, 3, 28, 28)), Type((1, 4))).graph
        assert graph.outputs[0].shape == (1, 4)
    with pytest.raises(ValueError, match="49 tokens"):
        seeds.mixer(49)
    with pytest.raises(ValueError, match="more than one computation"):
        seeds.started(seeds.compute("norm"))
