"""Adapters in use: trained on a text, swapped without a compile."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.graph.files import write_text
from netwright.models import Model, llama

from ..profile import AneProfile
from . import adapters
from .adapters import Adapter, Settings
from .data import check
from .engine import Engine
from .guard import Guard
from .network import Network
from .session import LOG, RESULT, Tell, opened, run, tokens_of, trainable
from .trainer import Recipe, Trainer


def train_adapter(
    model: Model, data: str | Path, settings: Settings, recipe: Recipe, profile: AneProfile, folder: str | Path, *,
    resume: bool = False, save_every: int = 50, log: str | Path | None = None, tell: Tell | None = None,
) -> dict[str, Any]:
    """Train an adapter of a network on a text; the network stays as it is, so nothing is ever reloaded.

    The folder is as that of `session.train`, with `adapter/` in place of `model/`. Raises UserError as that does.
    """
    place = opened(Path(folder), resume)
    model = trainable(model)
    tokens = tokens_of(model, data, place)
    check(tokens, recipe.length, model.config.context)
    engine = Engine(profile, Guard())
    network = Network(model.config, model.store, recipe.length, engine, partial(adapters.adapted, settings=settings))
    adapter = adapters.fresh(model.config, settings, recipe.seed)
    about = {"adapter": json.loads(json.dumps(asdict(settings))), "base": _digest(model)}
    trainer = Trainer(network, adapter.arrays, tokens, recipe, about)
    found = run(trainer, "adapter", place, resume, save_every, Path(log) if log else place / LOG, tell)
    adapters.save(adapter, place / "adapter")
    parameters = sum(a.size for a in adapter.arrays.values())
    result = {"parameters": parameters, **found, "profile": profile.name, "out": str(place)}
    write_text(place / RESULT, json.dumps(result, indent=1))
    return result


def swap(
    model: Model, data: str | Path, folders: Sequence[str | Path], profile: AneProfile, folder: Path, *,
    length: int = 128, windows: int = 8,
) -> list[dict[str, Any]]:  # fmt: skip
    """One set of programs, and every adapter in turn on the first windows of a text; the first row is no adapter.

    Each row: adapter, loss (nats a token), compiles so far, ms of the first window with it (measured here, the engine
    simulated). The tokens go to `folder`. Raises UserError for a short text or an adapter of another network.
    """
    model = trainable(model)
    tokens = tokens_of(model, data, folder)
    check(tokens, length, model.config.context)
    loaded = [(str(f), adapters.load(f, model.config)) for f in folders]
    program = _widest([a.settings for _, a in loaded])
    engine = Engine(profile, Guard())
    network = Network(
        model.config, model.store, length, engine, partial(adapters.adapted, settings=program), backwards=False
    )
    rows = []
    for name, adapter in [("none", adapters.zeros(model.config, program)), *loaded]:
        inputs = completed(adapter, program, model.config)
        losses, times = [], []
        for i in range(min(windows, max(1, (len(tokens.numbers) - 1) // length))):
            started = time.perf_counter()
            losses.append(network.loss(*tokens.window(i * length, length), inputs))
            times.append((time.perf_counter() - started) * 1e3)
        rows.append({"adapter": name, "loss": float(np.mean(losses)), "compiles": engine.compiles, "ms": times[0]})
    return rows


def completed(adapter: Adapter, program: Settings, config: llama.Config) -> dict[str, np.ndarray]:
    """Every adapter input of programs built for `program`; zeros where the adapter has none. Raises UserError."""
    return {**adapters.zeros(config, program).arrays, **adapter.bound(program)}


def _widest(settings: Sequence[Settings]) -> Settings:
    """What programs must be built for to take all of these."""
    if not settings:
        raise UserError("no adapter is named: give one or more with --adapter")
    targets = tuple(t for t in adapters.TARGETS if any(t in s.targets for s in settings))
    rank = max(s.rank for s in settings)
    return Settings(rank, rank * settings[0].scale, targets)


def _digest(model: Model) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in llama.parameters(model.config):
        digest.update(np.ascontiguousarray(model.store[name]).tobytes())
    return digest.hexdigest()
