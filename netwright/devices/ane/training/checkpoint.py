"""A training run in one file: header, weights and moments (the fields of Orion 2026, section 9, as safetensors).

The JSON header, in the file's metadata, says what and how far: magic, version, sizes, recipe, data, step, updates, loss
scale, counts of clamps. Tensors are `weights/NAME`, `m/NAME` and `v/NAME`, float32. A file appears whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

from .guard import Guard
from .trainer import Trainer

MAGIC = "netwright-ane-training"
VERSION = 1


def write(path: Path, trainer: Trainer, kind: str) -> None:
    """The state of a trainer. Written beside, forced to the disk, renamed. Raises UserError when that fails."""
    from safetensors.numpy import save_file

    adam = trainer.optimiser
    header = {
        "magic": MAGIC, "version": VERSION, "kind": kind, "network": trainer.about,
        "recipe": asdict(trainer.recipe), "data": trainer.tokens.digest, **trainer.state(),
    }  # fmt: skip
    groups = (("weights", trainer.weights), ("m", adam.m), ("v", adam.v))
    tensors = {f"{group}/{n}": np.ascontiguousarray(a) for group, arrays in groups for n, a in arrays.items()}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            save_file(tensors, beside, {"netwright": json.dumps(header)})
            _flush(beside)
            os.replace(beside, path)
            _flush(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and tensors. Raises UserError for a file that is truncated or no checkpoint, or of another version."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {}).get("netwright", "{}"))
            if not isinstance(header, dict) or header.get("magic") != MAGIC:
                raise UserError(f"{path}: not a checkpoint of a training run (no {MAGIC!r} in its header)")
            if header.get("version") != VERSION:
                raise UserError(f"{path}: checkpoint version {header.get('version')}, this netwright reads {VERSION}")
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged or no checkpoint: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None


def begin(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Put a checkpoint's weights into arrays of their shape, so that programs are compiled with them and not twice.

    What does not fit is left to `restore`, which says so. Raises UserError as `read`.
    """
    _, tensors = read(path)
    for name, own in weights.items():
        array = tensors.get(f"weights/{name}")
        if array is not None and array.shape == own.shape:
            own[...] = array


def restore(path: Path, trainer: Trainer, kind: str) -> None:
    """Put a checkpoint's state into a trainer of the same network, recipe and data; programs that have other weights
    are reloaded.

    Raises UserError for another shape, recipe or text, naming what differs. `steps` alone may differ.
    """
    header, tensors = read(path)
    if header.get("kind") != kind:
        raise UserError(f"{path}: a checkpoint of {header.get('kind')}, expected one of {kind}")
    _same(path, "network", header.get("network"), trainer.about, ())
    _same(path, "recipe", header.get("recipe"), asdict(trainer.recipe), ("steps",))
    if header.get("data") != trainer.tokens.digest:
        raise UserError(f"{path}: it was trained on another text")
    adam = trainer.optimiser
    names, changed = set(trainer.weights), False
    for group in ("weights", "m", "v"):
        found = {name.removeprefix(f"{group}/"): a for name, a in tensors.items() if name.startswith(f"{group}/")}
        if set(found) != names and (group == "weights" or found):
            raise UserError(f"{path}: it lacks {group} of {sorted(names - set(found))[:1]}, or has others")
        for name, array in found.items():
            own = trainer.weights[name]
            if array.shape != own.shape or array.dtype != np.float32:
                raise UserError(f"{path}: {group}/{name} is {array.dtype} {list(array.shape)}, "
                                f"the network has float32 {list(own.shape)}")
            if group == "weights":
                changed = changed or not np.array_equal(own, array)
                own[...] = array
            else:
                (adam.m if group == "m" else adam.v)[name] = np.array(array)
    try:
        trainer.step, adam.step = int(header["step"]), int(header["updates"])
        scale, guard = header["scale"], header["guard"]
        trainer.scale.value, trainer.scale.good = float(scale["value"]), int(scale["good"])
        trainer.scale.skipped = int(scale["skipped"])
        for name in asdict(Guard()):
            setattr(trainer.network.engine.guard, name, int(guard[name]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its header lacks or garbles {error}") from None
    if trainer.network.trains_weights and changed:
        trainer.network.reload(prove=True)


def _same(path: Path, what: str, held: Any, now: Mapping[str, Any], free: tuple[str, ...]) -> None:
    for name, value in now.items():
        found = held.get(name) if isinstance(held, dict) else None
        if name not in free and found != value:
            raise UserError(f"{path}: its {what} has {name} {found}, this run {value}")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
