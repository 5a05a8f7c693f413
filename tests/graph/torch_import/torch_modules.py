"""Torch modules of many kinds, each with an example: what people bring to `from_torch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

MODULES: dict[str, Callable[[], tuple[nn.Module, tuple[torch.Tensor, ...]]]] = {}


def module(*shapes: tuple[int, ...], tokens: int = 0) -> Callable[[Any], Any]:
    """Register a class under its name, with inputs of these shapes (whole numbers below `tokens` where given)."""

    def register(cls: Any) -> Any:
        def made() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
            torch.manual_seed(0)
            net = cls().eval()
            for layer in net.modules():
                if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
                    layer.running_mean.uniform_(-0.3, 0.3)
                    layer.running_var.uniform_(0.5, 1.5)
            draw = (lambda s: torch.randint(0, tokens, s)) if tokens else torch.randn
            return net, tuple(draw(s) for s in shapes)

        MODULES[cls.__name__] = made
        return cls

    return register


@module((1, 3, 16, 16))
class PlainConvNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, stride=2, padding="valid"),
            nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 5), nn.LogSoftmax(-1),
        )  # fmt: skip


@module((1, 3, 32, 32))
class VggBN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for wanted in (8, "M", 16, 16, "M", 24, "M"):
            if wanted == "M":
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            else:
                layers += [nn.Conv2d(width, wanted, 3, padding=1), nn.BatchNorm2d(wanted), nn.ReLU(inplace=True)]
                width = wanted
        self.features, self.pool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Linear(96, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


@module((1, 8, 14, 14))
class ResNetBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.down(x)
        return F.relu_(y)


def conv_bn(given: int, wanted: int, kernel: int, stride: int = 1, groups: int = 1, act: Any = nn.ReLU6) -> nn.Sequential:
    pad = kernel // 2
    return nn.Sequential(nn.Conv2d(given, wanted, kernel, stride, pad, groups=groups, bias=False), nn.BatchNorm2d(wanted), act())


@module((1, 3, 32, 32))
class DepthwiseSeparable(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            conv_bn(3, 8, 3, 2), conv_bn(8, 8, 3, 1, 8), conv_bn(8, 16, 1), conv_bn(16, 16, 3, 2, 16), conv_bn(16, 32, 1),
            nn.AvgPool2d(8), nn.Flatten(), nn.Linear(32, 4), nn.Softmax(dim=1),
        )  # fmt: skip


@module((1, 16, 12, 12))
class InvertedResidualSE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.expand, self.depth = conv_bn(16, 48, 1, act=nn.Hardswish), conv_bn(48, 48, 5, 1, 48, nn.Hardswish)
        self.squeeze, self.excite = nn.Conv2d(48, 12, 1), nn.Conv2d(12, 48, 1)
        self.project = conv_bn(48, 16, 1, act=nn.Identity)

    def forward(self, x):
        y = self.depth(self.expand(x))
        s = F.adaptive_avg_pool2d(y, 1)
        s = F.hardsigmoid(self.excite(F.relu(self.squeeze(s))))
        return x + self.project(y * s)


@module((1, 3, 32, 32))
class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = conv_bn(3, 8, 3), conv_bn(8, 16, 3), conv_bn(16, 32, 3)
        self.up2, self.up1 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1)
        self.merge2, self.merge1, self.head = conv_bn(32, 16, 3), conv_bn(16, 8, 3), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.max_pool2d(b, 2))
        b = self.merge2(torch.cat([self.up2(c), b], dim=1))
        return self.head(self.merge1(torch.cat([self.up1(b), a], dim=1))).sigmoid()


@module((1, 1, 8, 8))
class Mlp(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(), nn.Linear(64, 32), nn.LeakyReLU(0.1), nn.Linear(32, 32), nn.ELU(), nn.Linear(32, 16), nn.PReLU(16),
            nn.Linear(16, 16), nn.Mish(), nn.Linear(16, 16), nn.Softplus(), nn.Linear(16, 16), nn.SELU(), nn.Linear(16, 3),
        )  # fmt: skip


@module((1, 3, 16, 16))
class MlpMixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 4, 4)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(24), nn.LayerNorm(24), nn.LayerNorm(24)
        self.tokens = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.channels = nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))
        self.head = nn.Linear(24, 7)

    def forward(self, x):
        x = self.patch(x).flatten(2).mT
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.head(self.norm3(x).mean(dim=1))


@module((1, 10, 16))
class TransformerEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu", norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16), enable_nested_tensor=False)

    def forward(self, x):
        return self.encoder(x)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def split(self, x):
        batch, time, width = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return [t.view(batch, time, self.heads, width // self.heads).transpose(1, 2) for t in (q, k, v)]

    def join(self, y):
        return self.out(y.transpose(1, 2).reshape(y.shape[0], y.shape[2], -1))


@module((1, 9, 16), (1, 1, 9, 9))
class MaskedAttention(SelfAttention):
    def __init__(self) -> None:
        super().__init__(16, 4)

    def forward(self, x, mask):
        q, k, v = self.split(x)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 + mask
        return self.join(F.scaled_dot_product_attention(q, k, v, attn_mask=mask) + scores.softmax(-1) @ v)


@module((1, 9, 16))
class CausalAttention(SelfAttention):
    def __init__(self) -> None:
        super().__init__(16, 2)
        self.register_buffer("tri", torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32))

    def forward(self, x):
        q, k, v = self.split(x)
        time = x.shape[1]
        scores = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5
        scores = scores.masked_fill(self.tri[:, :, :time, :time] == 0, float("-inf"))
        whole = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        allowed = torch.ones(time, time, dtype=torch.bool).tril()
        return self.join(F.softmax(scores, dim=-1) @ v + whole - F.scaled_dot_product_attention(q, k, v, allowed, scale=0.3))


@module((1, 3, 16, 16))
class ViTTiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 4, 4)
        self.cls, self.position = nn.Parameter(torch.randn(1, 1, 24)), nn.Parameter(torch.randn(1, 17, 24) * 0.02)
        self.attention, self.norm1, self.norm2 = nn.MultiheadAttention(24, 3, batch_first=True), nn.LayerNorm(24), nn.LayerNorm(24)
        self.mlp, self.head = nn.Sequential(nn.Linear(24, 48), nn.GELU("tanh"), nn.Linear(48, 24)), nn.Linear(24, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), dim=1) + self.position
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.norm2(x))
        return self.head(x[:, 0])


@module((1, 12, 6))
class LstmClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 10, num_layers=2, batch_first=True, dropout=0.2), nn.Linear(10, 4)

    def forward(self, x):
        y, (h, _) = self.lstm(x)
        return self.head(y[:, -1]) + h[-1].sum()


@module((7, 2, 5), (4, 2, 6))
class BidirectionalGru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.rnn = nn.GRU(5, 6, num_layers=2, bidirectional=True), nn.RNN(12, 4, nonlinearity="relu", bias=False)

    def forward(self, x, h):
        y, last = self.gru(x, h)
        z, _ = self.rnn(y)
        return z, last


@module((1, 8, 40))
class WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2**i) for i in range(4))
        self.skip, self.residual = nn.ModuleList(nn.Conv1d(8, 12, 1) for _ in range(4)), nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(4))
        self.end = nn.Conv1d(12, 10, 1)

    def forward(self, x):
        total = 0
        for i, (conv, skip, residual) in enumerate(zip(self.dilated, self.skip, self.residual)):
            y = conv(F.pad(x, (2**i, 0)))
            gate = torch.tanh(y[:, :8]) * torch.sigmoid(y[:, 8:])
            total = total + skip(gate)
            x = x + residual(gate)
        return self.end(F.relu(total)), x


@module((1, 1, 28, 28))
class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(784, 10))
        self.decode = nn.Sequential(
            nn.Linear(10, 784), nn.Unflatten(1, (16, 7, 7)), nn.ConvTranspose2d(16, 8, 4, 2, 1, groups=2), nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x):
        code = self.encode(x)
        return self.decode(code), code


@module((1, 8, 8, 8))
class DenseNetBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(8 + 4 * i), nn.ReLU(), nn.Conv2d(8 + 4 * i, 4, 3, padding=1, bias=False)) for i in range(3)
        )
        self.transition = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2, 2))

    def forward(self, x):
        found = [x]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        return self.transition(torch.cat(found, 1))


@module((2, 11), tokens=50)
class TextClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(50, 16, padding_idx=0), nn.Linear(16, 3)

    def forward(self, tokens):
        there = (tokens != 0).unsqueeze(-1).float()
        return self.head((self.table(tokens) * there).sum(1) / there.sum(1).clamp(min=1))


@module((1, 12), tokens=40)
class GptDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(40, 24), nn.Embedding(32, 24)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(24), nn.RMSNorm(24), nn.LayerNorm(24, bias=False)
        self.attention, self.mlp = SelfAttention(24, 4), nn.Sequential(nn.Linear(24, 96), nn.GELU(), nn.Linear(96, 24))
        self.head = nn.Linear(24, 40, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        q, k, v = self.attention.split(self.norm1(x))
        x = x + self.attention.join(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        return self.head(self.norm3(x + self.mlp(self.norm2(x))))


@module((1, 12, 10, 10))
class ConvNeXtBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depth, self.norm = nn.Conv2d(12, 12, 7, padding=3, groups=12), nn.LayerNorm(12, eps=1e-6)
        self.wide, self.narrow, self.gamma = nn.Linear(12, 48), nn.Linear(48, 12), nn.Parameter(torch.full((12,), 0.5))

    def forward(self, x):
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.narrow(F.gelu(self.wide(y)))).permute(0, 3, 1, 2)


@module((1, 16, 8, 8))
class ShuffleNetBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_bn(8, 8, 1), conv_bn(8, 8, 3, groups=8, act=nn.Identity), conv_bn(8, 8, 1))

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        y = torch.cat((a, self.branch(b)), 1)
        n, c, h, w = y.shape
        return F.channel_shuffle(y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w), 4)


@module((1, 8, 8, 8), (1, 12))
class DiffusionBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2, self.time = nn.GroupNorm(4, 8), nn.GroupNorm(2, 16), nn.Linear(12, 16)
        self.conv1, self.conv2, self.skip = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(8, 16, 1)
        self.up, self.near = nn.Upsample(scale_factor=2, mode="bilinear"), nn.Upsample(size=(24, 24))

    def forward(self, x, t):
        y = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(t))[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y))) + self.skip(x)
        return self.up(y), self.near(y), F.interpolate(y, size=(11, 13), mode="bilinear", align_corners=True)


@module((1, 3, 8, 8))
class SuperResolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.PReLU(), nn.ReplicationPad2d((1, 1, 0, 2)))
        self.up = nn.Sequential(nn.Conv2d(8, 12, 3), nn.PixelShuffle(2))

    def forward(self, x):
        return torch.clamp(self.up(self.body(x)) + F.interpolate(x, scale_factor=2, mode="nearest-exact"), -1, 1)


@module((1, 4, 8, 8))
class SwinWindow(nn.Module):
    """Shifted windows: roll, partition, a bias looked up by relative position."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.table = nn.Linear(4, 12), nn.Parameter(torch.randn(49, 2))
        places = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")).flatten(1)
        apart = (places[:, :, None] - places[:, None, :]).permute(1, 2, 0) + 3
        self.register_buffer("relative", apart[..., 0] * 7 + apart[..., 1])

    def forward(self, x):
        x = torch.roll(x.permute(0, 2, 3, 1), (-2, -2), (1, 2))
        w = x.view(1, 2, 4, 2, 4, 4).permute(0, 1, 3, 2, 4, 5).reshape(4, 16, 4)
        q, k, v = self.qkv(w).reshape(4, 16, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.table[self.relative.view(-1)].view(16, 16, 2).permute(2, 0, 1)
        y = torch.einsum("bhqd,bhkd->bhqk", q, k).add(bias[None]).softmax(-1) @ v
        return torch.roll(y.transpose(1, 2).reshape(1, 8, 8, 4), shifts=(2, 2), dims=(1, 2))


@module((3, 6), (3, 6))
class Assorted(nn.Module):
    """Small ops that appear between layers."""

    def forward(self, x, y):
        z = x * 2 - 1 + y / 3 + (x - y) ** 2 + torch.abs(x).sqrt() * torch.exp(-y) - torch.log1p(x * x)
        z = torch.where(x > y, z, torch.minimum(x, y)) + F.normalize(x, dim=1) + x.cumsum(1) + (x % 2) + torch.sign(y)
        best, place = x.max(dim=1)
        top, places = torch.topk(y, 3, dim=-1)
        spread = torch.stack([x.std(0), x.var(0, unbiased=False), x.amax(0), x.mean(0)], dim=-1)
        z[:, 1:3] = z[:, 1:3] * 4
        z[0] = 1.5
        picked = torch.gather(x, 1, places) + x[torch.arange(3), place].unsqueeze(1) + x[:, [0, -1, 2]]
        both = torch.logsumexp(z, 1) + ((x > 0) & (y < 1) | ~(x >= -1)).float().sum(1) + x.argmax(1).float() + x.argmin().float()
        return z, best, top, spread, picked, both, x.repeat(2, 1).flip(0), x.narrow(1, 1, 4)[:, ::2], F.glu(y), torch.outer(x[0], y[1])


@module((1, 3, 24, 24))
class OddPools(nn.Module):
    def forward(self, x):
        y, places = F.max_pool2d(x, 3, 2, 1, return_indices=True)
        z = F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False) + F.avg_pool2d(x, 4, 2, 2)[:, :, :12, :12].mean()
        return y, places, z, F.adaptive_max_pool2d(x, (4, 6)), F.avg_pool1d(x[0], 5, 3), F.lp_pool2d(x.abs() + 0.1, 2, 2)
