"""torch modules come in: the same results in NumPy, ONNX Runtime and torch again; what cannot is refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from peers import assert_close, in_onnx_runtime, in_torch
from torch_modules import MODULES, conv_bn

from netwright import from_torch
from netwright.errors import UserError
from netwright.graph import ops
from netwright.graph.torch import to_torch

EACH = pytest.mark.parametrize("name", sorted(MODULES))


def theirs(module: nn.Module, example: tuple[torch.Tensor, ...]) -> tuple[np.ndarray, ...]:
    with torch.no_grad():
        found = module(*example)
    return tuple(np.asarray(t.numpy()) for t in (found if isinstance(found, tuple) else (found,)))


@EACH
def test_imported_modules_give_torchs_results_everywhere(name: str) -> None:
    module, example = MODULES[name]()
    wanted = theirs(module, example)
    graph = from_torch(module, example)
    arrays = [x.numpy() for x in example]
    assert_close(graph.run(*arrays), wanted, 1e-5, "NumPy")
    assert_close(in_torch(graph, arrays), wanted, 1e-5, "to_torch")
    assert_close(in_onnx_runtime(graph, arrays), wanted, 1e-5, "ONNX Runtime")


@EACH
def test_parameters_keep_their_names_and_trainability(name: str) -> None:
    module, example = MODULES[name]()
    graph = from_torch(module, example)
    named = dict(module.named_parameters())
    for param in graph.params:
        if param.tensor in named:
            assert param.trainable
            np.testing.assert_array_equal(graph.store[param.tensor], named[param.tensor].detach().numpy())
        elif param.tensor in dict(module.named_buffers()):
            assert not param.trainable
    merged = {n.replace("bias_ih", "bias") for n in named if "bias_ih" in n}
    read = {p.tensor for p in graph.params}
    assert {n for n in named if "bias_ih" not in n and "bias_hh" not in n} <= read
    assert merged <= read or any(n in read for n in named)


def test_layers_are_the_ops_that_lowering_knows_and_keep_their_names() -> None:
    module, example = MODULES["VggBN"]()
    graph = from_torch(module, example, name="vgg")
    kinds = {n.name: type(n.op) for n in graph.nodes}
    assert graph.name == "vgg"
    assert kinds["features.0"] is ops.Conv and kinds["features.1"] is ops.BatchNorm and kinds["classifier.0"] is ops.Linear


BATCHED = sorted(set(MODULES) - {"ViTTiny", "SwinWindow", "BidirectionalGru", "TextClassifier", "Assorted", "OddPools"})


@pytest.mark.parametrize("name", BATCHED)
def test_graphs_traced_with_one_sample_run_batches(name: str) -> None:
    module, example = MODULES[name]()
    graph = from_torch(module, example)
    batch = tuple(torch.cat([x, x.flip(-1), x.roll(1, -1)]) for x in example)
    arrays = [x.numpy() for x in batch]
    assert_close(graph.run(*arrays), theirs(module, batch), 1e-5, "NumPy")
    assert_close(in_torch(graph, arrays), theirs(module, batch), 1e-5, "to_torch")


def test_tied_weights_are_one_parameter() -> None:
    module, example = MODULES["GptDecoder"]()
    graph = from_torch(module, example)
    assert sum(p.value.shape == (40, 24) for p in graph.params) == 1
    assert graph.parameter_count == sum(p.numel() for p in module.parameters())


def test_nested_results_are_outputs_in_order() -> None:
    class Nested(nn.Module):
        def forward(self, x):
            return {"twice": x * 2, "more": [x + 1, (x - 1,), None]}

    x = torch.randn(2, 3)
    graph = from_torch(Nested(), x)
    assert_close(graph.run(x.numpy()), [(x * 2).numpy(), (x + 1).numpy(), (x - 1).numpy()], 1e-7)


def test_a_graph_comes_back_from_its_own_torch_module() -> None:
    module, example = MODULES["ResNetBlock"]()
    graph = from_torch(module, example)
    again = from_torch(to_torch(graph), example)
    assert [type(n.op) for n in again.nodes] == [type(n.op) for n in graph.nodes]
    x = example[0].numpy()
    assert_close(again.run(x), graph.run(x), 1e-6)


def test_the_module_keeps_its_mode_and_shares_no_memory_with_the_graph() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).train()
    graph = from_torch(module, torch.randn(1, 3))
    assert module.training and module[1].training
    before = graph.store["0.weight"].copy()
    with torch.no_grad():
        module[0].weight.add_(1)
    np.testing.assert_array_equal(graph.store["0.weight"], before)


class Counter(nn.Module):
    """A buffer that forward changes."""

    def __init__(self, start: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("memory", start)

    def forward(self, x):
        self.memory.mul_(0.5).add_(x)
        return self.memory * 2


def test_a_buffer_that_forward_changes_is_a_state() -> None:
    graph = from_torch(Counter(torch.zeros(1, 3)), torch.zeros(1, 3))
    module, runner = Counter(torch.zeros(1, 3)), graph.runner()
    assert [s.name for s in graph.states] == ["memory"]
    for x in np.random.default_rng(0).standard_normal((4, 1, 3)).astype(np.float32):
        assert_close(runner.step(x), theirs(module, (torch.from_numpy(x),)), 1e-6)


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


class Selected(nn.Module):
    def forward(self, x):
        return x[x > 0]


class Numbered(nn.Module):
    def forward(self, x):
        return x[: int(x[0].item())]


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn(3)


class Spectrum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ReLU()

    def forward(self, x):
        return torch.fft.rfft(self.inner(x)).abs()


class Solver(nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)


class Dropping(nn.Module):
    def forward(self, x):
        return torch.dropout(x, 0.5, True)


class Numbers(nn.Module):
    def forward(self, x):
        return x + 1, 3


class Writing(nn.Module):
    def forward(self, x):
        x.add_(1)
        return x * 2


REFUSED = {
    "branch": (Branch(), torch.ones(3), ("depends on", "test_torch_import.py", "torch.where")),
    "mask": (Selected(), torch.ones(3), ("data",)),
    "item": (Numbered(), torch.ones(3), ("depend",)),
    "random": (Noisy(), torch.ones(3), ("aten.randn", "random", "test_torch_import.py")),
    "complex": (Spectrum(), torch.ones(8), ("aten._fft_r2c", "test_torch_import.py")),
    "no rule": (Solver(), torch.ones(3, 3), ("aten.linalg_inv", "no rule", "test_torch_import.py")),
    "volume": (nn.Conv3d(1, 1, 3), torch.ones(1, 1, 4, 4, 4), ("aten.conv3d", "three dimensions")),
    "adaptive": (nn.AdaptiveAvgPool2d(3), torch.ones(1, 1, 8, 8), ("aten.adaptive_avg_pool2d", "divide")),
    "buffer": (Counter(torch.arange(3.0)), torch.ones(3), ("'memory'", "state")),
    "statistics": (nn.BatchNorm1d(3, track_running_stats=False), torch.ones(2, 3), ("aten._native_batch_norm_legit", "own statistics")),
    "wrong shape": (nn.Linear(3, 2), torch.ones(1, 4), ("Linear", "torch.export")),
    "half": (nn.Linear(3, 2).bfloat16(), torch.ones(1, 3, dtype=torch.bfloat16), ("Linear", "bfloat16", "float32")),
    "dropout": (Dropping(), torch.ones(3), ("dropout", "self.training")),
    "number": (Numbers(), torch.ones(3), ("Numbers returns 3",)),
    "written input": (Writing(), torch.ones(3), ("writes into input",)),
    "no tensor": (nn.ReLU(), [1], ("example", "int")),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_cannot_be_imported_is_refused_in_one_line(case: str) -> None:
    module, example, words = REFUSED[case]
    with pytest.raises(UserError) as caught:
        from_torch(module, example)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500, message
    assert all(word in message for word in words), message


def mobilenet() -> nn.Module:
    """MobileNetV2's layers and widths (Sandler et al. 2018, table 2): 3.5 million parameters."""

    class Block(nn.Module):
        def __init__(self, given: int, wanted: int, stride: int, factor: int) -> None:
            super().__init__()
            hidden = given * factor
            layers = [conv_bn(given, hidden, 1)] if factor > 1 else []
            self.conv = nn.Sequential(*layers, conv_bn(hidden, hidden, 3, stride, hidden), conv_bn(hidden, wanted, 1, act=nn.Identity))
            self.residual = stride == 1 and given == wanted

        def forward(self, x):
            return x + self.conv(x) if self.residual else self.conv(x)

    layers, width = [conv_bn(3, 32, 3, 2)], 32
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            layers.append(Block(width, c, s if i == 0 else 1, t))
            width = c
    net = nn.Sequential(*layers, conv_bn(width, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        net(torch.randn(2, 3, 96, 96))  # statistics of real activations, so that nothing fades on the way
    return net.eval()


def test_mobilenet_of_three_and_a_half_million_parameters() -> None:
    from time import perf_counter

    torch.manual_seed(0)
    module, x = mobilenet(), torch.randn(1, 3, 96, 96)
    began = perf_counter()
    graph = from_torch(module, x)
    print(f"MobileNetV2, {graph.parameter_count:,} parameters: imported in {perf_counter() - began:.1f} s")
    assert graph.parameter_count == sum(p.numel() for p in module.parameters()) == 3_504_872
    assert_close(graph.run(x.numpy()), theirs(module, (x,)), 1e-5)
