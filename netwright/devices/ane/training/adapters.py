"""Low-rank adapters as inputs of programs (Hu et al. 2022, section 4.1; Orion 2026, section 10).

    y = conv1x1(x, W) + alpha / r * (x A) B          A [r, in], B [r, out]: on the engine [1, in, 1, r], [1, out, 1, r]

The weights stay baked in, A and B are surfaces: another adapter is another input, and nothing is compiled. Programs are
built for one rank and alpha; an adapter of a smaller rank is filled up with zeros, and one of another alpha / r has the
ratio in its B.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from netwright.errors import UserError, nearest
from netwright.graph import Builder, Graph, Node, Store, Type, Value, rebuild
from netwright.graph.files import write_text
from netwright.graph.ops.binary import Add, Mul
from netwright.graph.ops.common import scalar
from netwright.graph.ops.linear import Linear, Matmul
from netwright.graph.ops.shape import Transpose
from netwright.models import Model, llama
from netwright.models.reading import read_text

from ..mil import TensorType
from ..weights import ALIGNMENT, WeightFile
from ..weights import write as write_weights

TARGETS = ("q", "k", "v", "o", "gate", "up", "down")
SETTINGS = "config.txt"
_LARGEST_RANK = 4096


@dataclass(frozen=True)
class Settings:
    """Rank r, alpha, and the linear layers that have an adapter. Raises UserError for what cannot be."""

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ("q", "v")

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= _LARGEST_RANK:
            raise UserError(f"an adapter of rank {self.rank}: 1 to {_LARGEST_RANK} are possible")
        if not 0 < self.alpha < float("inf"):
            raise UserError(f"an adapter with alpha {self.alpha:g}: it must be a positive number")
        if not self.targets:
            raise UserError(f"an adapter without targets: name some of {', '.join(TARGETS)}")
        for target in self.targets:
            if target not in TARGETS:
                raise UserError(f"no linear layer {target!r} to adapt{nearest(target, TARGETS)}")

    @property
    def scale(self) -> float:
        """alpha / r."""
        return self.alpha / self.rank


@dataclass(frozen=True)
class Adapter:
    """`arrays`: `layers.I.lora_q_A` float32 [r, in], `layers.I.lora_q_B` [r, out], ... for every layer and target."""

    settings: Settings
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def bound(self, program: Settings) -> dict[str, np.ndarray]:
        """The inputs of programs that were built for `program`, of the targets that this adapter has.

        Raises UserError for a larger rank, and for targets that the programs have not.
        """
        own = self.settings
        extra = [t for t in own.targets if t not in program.targets]
        if own.rank > program.rank or extra:
            raise UserError(
                f"the programs take adapters of rank {program.rank} on {','.join(program.targets)}; this one has rank "
                f"{own.rank} on {','.join(own.targets)}"
            )
        ratio = np.float32(own.scale / program.scale)
        rows = ((0, program.rank - own.rank), (0, 0))
        return {
            name: np.pad(array * ratio if name.endswith("_B") and ratio != 1 else array, rows)
            for name, array in self.arrays.items()
        }


def shapes(config: llama.Config, settings: Settings) -> dict[str, tuple[int, int]]:
    """Name and shape of every array of an adapter of a network."""
    weights = llama.parameters(config)
    found: dict[str, tuple[int, int]] = {}
    for layer in range(config.layers):
        for target in settings.targets:
            out, inner = weights[f"layers.{layer}.{target}.weight"]
            found[f"layers.{layer}.lora_{target}_A"] = (settings.rank, inner)
            found[f"layers.{layer}.lora_{target}_B"] = (settings.rank, out)
    return found


def fresh(config: llama.Config, settings: Settings, seed: int = 0) -> Adapter:
    """A random, B zero: it changes nothing yet."""
    arrays = {}
    for name, shape in shapes(config, settings).items():
        rng = np.random.default_rng([seed, *name.encode()])
        drawn = rng.standard_normal(shape) / np.sqrt(shape[1]) if name.endswith("_A") else np.zeros(shape)
        arrays[name] = drawn.astype(np.float32)
    return Adapter(settings, arrays)


def zeros(config: llama.Config, settings: Settings) -> Adapter:
    """The adapter that is none."""
    return Adapter(settings, {name: np.zeros(s, np.float32) for name, s in shapes(config, settings).items()})


def adapted(graph: Graph, settings: Settings) -> Graph:
    """A half's graph with an adapter beside each linear layer that is a target: inputs `lora_TARGET_A`, `.._B`."""

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        target = node.name.rpartition(".")[2]
        if not isinstance(node.op, Linear) or target not in settings.targets:
            return None
        x, w = inputs[:2]
        assert x is not None and w is not None
        first = b.input(f"lora_{target}_A", Type((settings.rank, x.shape[-1])))
        second = b.input(f"lora_{target}_B", Type((settings.rank, w.shape[0])))
        base = b(node.op, *inputs, name=f"{node.name}.base")
        inner = b(Matmul(), x, b(Transpose((1, 0)), first), name=f"{node.name}.inner")
        scaled = b(Mul(), inner, scalar(b, settings.scale, inner), name=f"{node.name}.scaled")
        made: Value = b(Add(), base, b(Matmul(), scaled, second, name=f"{node.name}.low_rank"), name=node.name)
        return made

    return rebuild(graph, rule)


def merged(model: Model, adapter: Adapter) -> Model:
    """The network with W + alpha / r B^T A in place of W. Raises UserError for an adapter of another network."""
    _fits(model.config, adapter, model.name)
    store = {n: np.array(model.store[n], np.float32) for n in llama.parameters(model.config)}
    for layer in range(model.config.layers):
        for target in adapter.settings.targets:
            a, b = (adapter.arrays[f"layers.{layer}.lora_{target}_{side}"] for side in "AB")
            store[f"layers.{layer}.{target}.weight"] += np.float32(adapter.settings.scale) * (b.T @ a)
    return replace(model, store=Store(store))


def save(adapter: Adapter, folder: Path) -> None:
    """`config.txt` and `layerI/lora_q_A.bin`, ...: fp16, as they lie on the engine, [in, r] and [out, r]."""
    for name, array in adapter.arrays.items():
        write_weights(_place(folder, name), [np.ascontiguousarray(array.T)])
    s = adapter.settings
    try:
        write_text(folder / SETTINGS, f"rank={s.rank} alpha={s.alpha!r} targets={','.join(s.targets)}\n")
    except OSError as error:
        raise UserError(f"cannot write {folder / SETTINGS}: {error.strerror or error}") from None


def load(folder: str | Path, config: llama.Config) -> Adapter:
    """The adapter in a folder, for a network. Raises UserError, naming the file, for one of another shape."""
    place = Path(folder)
    settings = _settings(place / SETTINGS)
    arrays = {}
    for name, (rank, width) in shapes(config, settings).items():
        file = WeightFile(_place(place, name))
        found = file.read(ALIGNMENT, TensorType("fp16", (width, rank)))
        arrays[name] = np.ascontiguousarray(found.T, np.float32)
    return Adapter(settings, arrays)


def _settings(path: Path) -> Settings:
    given = dict(re.findall(r"(\w+)=(\S+)", read_text(path)))
    try:
        return Settings(int(given["rank"]), float(given["alpha"]), tuple(given["targets"].split(",")))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not of the form rank=8 alpha=16.0 targets=q,v ({error})") from None


def _place(folder: Path, name: str) -> Path:
    _, layer, file = name.split(".")
    return folder / f"layer{layer}" / f"{file}.bin"


def _fits(config: llama.Config, adapter: Adapter, name: str) -> None:
    wanted = shapes(config, adapter.settings)
    found: Mapping[str, tuple[int, ...]] = {n: a.shape for n, a in adapter.arrays.items()}
    wrong: Iterable[str] = sorted(n for n in {*wanted, *found} if wanted.get(n) != found.get(n))
    for each in wrong:
        raise UserError(f"the adapter has {each} {found.get(each)}, {name} takes {wanted.get(each)}")


__all__ = ["TARGETS", "Adapter", "Settings", "adapted", "fresh", "load", "merged", "save", "shapes", "zeros"]
