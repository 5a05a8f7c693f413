"""A training run in a folder: data, steps, log, checkpoints, and the network at the end."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError, nearest
from netwright.graph import Store
from netwright.graph.files import write_text
from netwright.models import Model, llama
from netwright.models.writing import bytes_tokenizer, save

from ..budget import Budget
from ..profile import AneProfile
from . import checkpoint
from .data import Tokens, check, prepare, unigram_entropy
from .engine import Engine
from .guard import Guard
from .network import Network
from .trainer import Recipe, Row, Trainer

CHECKPOINT, LOG, RESULT, MODEL = "checkpoint.safetensors", "steps.csv", "result.json", "model"
Tell = Callable[[str, float, str], None]
Restart = Callable[[int], Any]  # the step that is done; does not return
_SIZES = {"dim": "width", "vocab": "vocabulary", "ffn": "hidden"}


def fresh(sizes: str, seed: int = 0) -> Model:
    """A network out of `dim=192,layers=4,heads=6,hidden=512`, weights drawn from `seed`, tokens that are bytes.

    Also kv_heads (as heads), context (256), head_width, epsilon, rope_base. Raises UserError for other words.
    """
    given: dict[str, Any] = {}
    known = [f.name for f in fields(llama.Config) if f.name not in ("tied", "vocabulary")]
    for word in sizes.split(","):
        name, _, value = word.partition("=")
        name = _SIZES.get(name.strip(), name.strip())
        if name not in known:
            raise UserError(f"--config: {word!r} is no size of a network{nearest(name, known)}")
        try:
            given[name] = float(value) if name in ("epsilon", "rope_base") else int(value)
        except ValueError:
            raise UserError(f"--config: {word!r} is not NAME=NUMBER, such as layers=4") from None
    lacking = [name for name in ("width", "layers", "heads", "hidden") if name not in given]
    if lacking:
        raise UserError(f"--config lacks {', '.join(lacking)}; an example: dim=192,layers=4,heads=6,hidden=512")
    try:
        config = llama.Config(**{"kv_heads": given["heads"], "context": 256, "vocabulary": 256, **given})
    except ValueError as error:
        raise UserError(f"--config: {error}") from None
    graph = llama.full(config, 1)
    return Model("fresh", "llama", config, graph.store.initialise(graph, seed), bytes_tokenizer())


def trainable(model: Model) -> Model:
    """The same with weights of its own that can be changed in place. Raises UserError for what is no Llama."""
    if model.family != "llama":
        raise UserError(f"{model.name} is {model.family}; training on ane takes Llama-type networks")
    names = llama.parameters(model.config)
    return replace(model, store=Store({name: np.array(model.store[name], np.float32) for name in names}))


def tokens_of(model: Model, data: str | Path, folder: Path) -> Tokens:
    """The data in the model's tokens, in a file in `folder`. Raises UserError as `prepare`, or without a tokenizer."""
    if model.tokenizer is None:
        raise UserError(f"{model.name}: no tokenizer in it or beside it; name one with --tokenizer")
    return prepare(data, model.tokenizer, model.config.vocabulary, folder)


def train(
    model: Model, data: str | Path, recipe: Recipe, profile: AneProfile, folder: str | Path, *,
    resume: bool = False, save_every: int = 50, log: str | Path | None = None, tell: Tell | None = None,
    restart: Restart | None = None,
) -> dict[str, Any]:
    """Train all weights of a network on a text, its layers on the (simulated) engine; everything goes to `folder`.

    `checkpoint.safetensors` is written every `save_every` steps and at the end: a run that was killed at any moment
    goes on from there with `resume`, to the same bits. `steps.csv` (or `log`) has a row a step, `model/` the network.
    Under a profile whose reload does nothing every update compiles; when the budget of the process is nearly spent (R5)
    a checkpoint is written and `restart`, given the step, replaces the process.
    Returns what `result.json` holds. Raises UserError for what does not fit together.
    """
    place = opened(Path(folder), resume)
    model = trainable(model)
    tokens = tokens_of(model, data, place)
    check(tokens, recipe.length, model.config.context)
    weights = {name: model.store[name] for name in llama.parameters(model.config)}
    if resume and (place / CHECKPOINT).exists():
        checkpoint.begin(place / CHECKPOINT, weights)
    network = Network(model.config, model.store, recipe.length, Engine(profile, Guard()))
    trainer = Trainer(network, weights, tokens, recipe)
    found = run(trainer, "weights", place, resume, save_every, Path(log) if log else place / LOG, tell,
                restart)
    save(replace(model, name=place.resolve().name), place / MODEL)
    result = {"parameters": sum(w.size for w in weights.values()), **found, "profile": profile.name, "out": str(place)}
    write_text(place / RESULT, json.dumps(result, indent=1))
    return result


def opened(place: Path, resume: bool) -> Path:
    """The folder, which may not be there yet. Raises UserError where a run would be lost, or there is none."""
    if resume and not place.is_dir():
        raise UserError(f"{place}: no such folder; there is no run to resume")
    if not resume and (place / CHECKPOINT).exists():
        raise UserError(f"{place} holds a run already: go on with --resume, or name another folder with --out")
    return place


def run(
    trainer: Trainer, kind: str, place: Path, resume: bool, save_every: int, log: Path, tell: Tell | None,
    restart: Restart | None = None,
) -> dict[str, Any]:
    """All steps that are left, with log and checkpoints; what came of them. Raises UserError for a lost loss."""
    if save_every < 1:
        raise UserError(f"save every {save_every} steps: at least 1 is needed")
    path = place / CHECKPOINT
    if resume and path.exists():
        checkpoint.restore(path, trainer, kind)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{place}: {error.strerror or error}") from None
    started, rows = trainer.step, []
    steps, network = trainer.recipe.steps, trainer.network
    budget = Budget(network.engine.profile, network.programs)
    spends = network.engine.recompiles and network.trains_weights
    with _Log(log, trainer.step) as written:

        def told(row: Row) -> None:
            rows.append(row)
            written.add(row)
            spent = spends and row.step < steps and budget.short(network.engine.compiles)
            if spent or row.step % save_every == 0 or row.step == steps:
                checkpoint.write(path, trainer, kind)
            if tell is not None:
                tell("train", row.step / steps, f"step {row.step} of {steps}, loss {row.loss:.4f}, "
                     f"{row.tokens_s:,.0f} tokens/s, {row.clamps} clamps")
            if spent:
                if restart is None:
                    raise UserError(f"R5: {network.engine.compiles} compiles, and {budget.profile.name} needs "
                                    f"{network.programs} more for the next step; go on with --resume in a new process")
                restart(row.step)

        try:
            trainer.run(told)
        except FloatingPointError as error:
            raise UserError(f"{error}; try a smaller --lr") from None
        except KeyboardInterrupt:
            if not trainer.updating:
                checkpoint.write(path, trainer, kind)
            raise
    engine = trainer.network.engine
    return {
        "steps": trainer.step, "resumed_at": started, "updates": trainer.optimiser.step,
        "loss_first": rows[0].loss if rows else None, "loss_last": rows[-1].loss if rows else None,
        "unigram_entropy": unigram_entropy(trainer.tokens, trainer.network.config.vocabulary),
        "tokens": len(trainer.tokens.numbers), "compiles": engine.compiles, "clamps": asdict(engine.guard),
        "skipped_steps": trainer.scale.skipped, "loss_scale": trainer.scale.value,
        "ms_a_step": float(np.median([r.ms for r in rows])) if rows else None,
        "engine_ms_modelled": engine.simulator.elapsed_ms, "log": str(log),
    }


class _Log:
    """A CSV of steps, one flushed line each; rows after the step that a run goes on from are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self._names = [f.name for f in fields(Row)]
        kept = []
        try:
            if step and path.exists():
                done = {str(n) for n in range(1, step + 1)}
                with path.open(newline="", encoding="utf-8") as file:
                    kept = [row for row in csv.DictReader(file) if row.get("step") in done]
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", newline="", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror or error}") from None
        self._writer = csv.DictWriter(self._file, self._names, extrasaction="ignore")
        self._writer.writeheader()
        self._writer.writerows(kept)

    def add(self, row: Row) -> None:
        self._writer.writerow(asdict(row))
        self._file.flush()

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
