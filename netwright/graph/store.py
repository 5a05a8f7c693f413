"""Parameters and where their bytes live. A parameter names a stored tensor and, optionally, how it is cut from it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .types import DTYPES, Type

if TYPE_CHECKING:
    from .graph import Graph, Value


@dataclass(frozen=True)
class Slice:
    """The block that begins at `starts` (one a dimension); its sizes are the parameter's own shape."""

    starts: tuple[int, ...]

    def apply(self, tensor: Any, shape: tuple[int, ...], read: Any) -> Any:
        return tensor[tuple(slice(a, a + n) for a, n in zip(self.starts, shape, strict=True))]


@dataclass(frozen=True)
class CentreCrop:
    """The first channels, and the centre of the trailing kernel dimensions (Once-for-all's elastic kernel)."""

    def apply(self, tensor: Any, shape: tuple[int, ...], read: Any) -> Any:
        starts = [0 if axis < 2 else (full - n) // 2 for axis, (full, n) in enumerate(zip(tensor.shape, shape))]
        return tensor[tuple(slice(a, a + n) for a, n in zip(starts, shape, strict=True))]


@dataclass(frozen=True)
class Transform:
    """The trailing dimensions, flattened, times a stored square matrix (Once-for-all's kernel transformation)."""

    matrix: str

    def apply(self, tensor: Any, shape: tuple[int, ...], read: Any) -> Any:
        flat = tensor.reshape(*tensor.shape[:2], -1)
        return (flat @ read(self.matrix).T).reshape(tensor.shape)


@dataclass(frozen=True)
class Mask:
    """Times a stored 0/1 tensor of the same shape."""

    mask: str

    def apply(self, tensor: Any, shape: tuple[int, ...], read: Any) -> Any:
        return tensor * read(self.mask)


View = Slice | CentreCrop | Transform | Mask


@dataclass(frozen=True)
class Init:
    """How a fresh tensor is filled: `he` (fan-in, normal), `xavier` (uniform), `uniform`, `normal`, `constant`."""

    kind: str = "he"
    scale: float = 1.0

    def fill(self, shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> np.ndarray:
        """A new array. `he` and `xavier` read [out, in, ...] as convolution and linear weights have it."""
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else max(1, *shape, 1)
        fan_out = int(shape[0] * np.prod(shape[2:])) if len(shape) > 1 else fan_in
        if self.kind == "constant":
            return np.full(shape, self.scale, DTYPES[dtype])
        if self.kind == "he":
            values = rng.standard_normal(shape) * (self.scale * np.sqrt(2.0 / max(1, fan_in)))
        elif self.kind == "normal":
            values = rng.standard_normal(shape) * self.scale
        elif self.kind == "xavier":
            values = rng.uniform(-1, 1, shape) * (self.scale * np.sqrt(6.0 / max(1, fan_in + fan_out)))
        elif self.kind == "uniform":
            values = rng.uniform(-1, 1, shape) * self.scale
        else:
            raise ValueError(f"unknown initialiser {self.kind!r} (he, xavier, uniform, normal, constant)")
        return values.astype(DTYPES[dtype])


@dataclass(eq=False, slots=True)
class Param:
    """A named parameter: the value it feeds, the stored tensor, how it is cut from it, and how that starts."""

    value: Value
    tensor: str
    views: tuple[View, ...] = ()
    full: Type | None = None  # type of the stored tensor where views make it differ from the value's
    init: Init | None = Init()
    trainable: bool = True

    @property
    def stored_type(self) -> Type:
        return self.full or self.value.type

    def cut(self, tensor: Any, read: Any) -> Any:
        """Apply the views to a stored tensor (NumPy or torch); `read(name)` fetches other stored tensors."""
        shape = self.value.type.shape
        for view in self.views:
            tensor = view.apply(tensor, shape, read)
        return tensor


class Store:
    """Tensor name -> array. Arrays may be memory-mapped; they are never written in place."""

    def __init__(self, tensors: Mapping[str, np.ndarray] | None = None) -> None:
        self._tensors: dict[str, np.ndarray] = dict(tensors or {})

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self._tensors[name]
        except KeyError:
            raise KeyError(f"no tensor {name!r} in the parameter store; initialise or load the weights") from None

    def __setitem__(self, name: str, array: np.ndarray) -> None:
        self._tensors[name] = array

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def has(self, param: Param) -> bool:
        return param.tensor in self._tensors

    def read(self, param: Param) -> np.ndarray:
        """The parameter's array, views applied. Raises KeyError naming a missing tensor."""
        return np.asarray(param.cut(self[param.tensor], self.__getitem__))

    def copy(self) -> Store:
        """A store that shares the arrays; adding to one does not change the other."""
        return Store(self._tensors)

    def initialise(self, graph: Graph, seed: int = 0) -> Store:
        """A copy where every tensor that `graph` names and this store lacks is filled by its initialiser.

        Each tensor draws from its own stream (seed and name), so adding a layer leaves the others as they were.
        """
        filled = self.copy()
        for param in graph.params:
            if param.tensor in filled._tensors:
                continue
            if param.init is None:
                raise KeyError(f"tensor {param.tensor!r} has no contents and no initialiser")
            rng = np.random.default_rng([seed, *param.tensor.encode()])
            stored = param.stored_type
            filled[param.tensor] = param.init.fill(stored.shape, stored.dtype, rng)
        return filled

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all tensors as safetensors, beside and then renamed into place."""
        from safetensors.numpy import save_file

        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            save_file({k: np.asarray(v, order="C") for k, v in self._tensors.items()}, beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Store:
        """Read a safetensors file. Raises ValueError for a damaged file."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return cls(load_file(path))
        except SafetensorError as error:
            raise ValueError(f"{path}: not a readable safetensors file ({error})") from None
