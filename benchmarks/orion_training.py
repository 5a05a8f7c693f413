"""Training on the Neural Engine: python -m benchmarks.orion_training [--only gradients|training|resume|lora] [--json].

gradients  every backward program against PyTorch's autograd, float32, at the sizes of the training below
training   300 steps of a 1.7 M parameter Llama-type network on tiny-shakespeare, layers in fp16 on the simulated
           engine, beside float32 training in plain PyTorch: same start, windows, schedule, AdamW and clipping;
           and that again from weights rounded to fp16, which shows how far apart such runs drift by themselves
resume     the same run (smaller) killed with SIGKILL at random moments and resumed, against one that was not
lora       adapters: zero against base, swap, merge, and what training them does to the loss on a second text

Orion (2026), section 9: 1,000 steps without a NaN, delta reload in place of compiling, and no gradient check; its loss
curve (12.3 to 8.9) says little, as an embedding alone can lower it. Here the curve is held against another trainer.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import torch_llama
from benchmarks.recorded import root
from netwright.devices.ane.training import Engine, Guard, Network, Recipe, adapters, fresh, profile_of, train
from netwright.devices.ane.training.adapters import Settings
from netwright.devices.ane.training.data import Tokens, prepare
from netwright.devices.ane.training.lora import swap, train_adapter
from netwright.devices.ane.training.optimiser import Schedule
from netwright.devices.ane.training.session import tokens_of, trainable
from netwright.models import Model
from netwright.models import load as load_model

SIZES = "dim=192,layers=4,heads=6,kv_heads=3,hidden=512,context=128"
RECIPE = Recipe(steps=300, accumulate=4, length=128, rate=1e-3, warmup=30)
PROFILE = "ane:m4max-orion"


def shakespeare() -> Path:
    """The text trained on: 1,115,394 bytes."""
    return root() / "tiny-shakespeare" / "input.txt.gz"


def gradients() -> dict[str, Any]:
    """Relative error of every weight's gradient on one window."""
    model = trainable(fresh(SIZES))
    network = Network(model.config, model.store, RECIPE.length, Engine(profile_of(PROFILE), Guard()))
    tokens, targets = np.random.default_rng(0).integers(0, 256, (2, RECIPE.length))
    ours: dict[str, np.ndarray] = {}
    loss = network.gradients(tokens, targets, 1024.0, ours)
    weights = torch_llama.parameters(model.store, model.config)
    theirs = torch_llama.loss(weights, model.config, torch.from_numpy(tokens)[None], torch.from_numpy(targets)[None])
    theirs.backward()
    errors = {}
    for name, gradient in ours.items():
        wanted = weights[name].grad.numpy()  # type: ignore[union-attr]
        errors[name] = float(np.linalg.norm(gradient / 1024 - wanted) / np.linalg.norm(wanted))
    worst = max(errors, key=errors.__getitem__)
    return {"weights": len(errors), "of": len(weights), "worst": worst, "relative_error": errors[worst],
            "loss": loss, "loss_torch": float(theirs.detach())}  # fmt: skip


def torch_losses(model: Model, tokens: Tokens, r: Recipe) -> list[float]:
    """Loss of each step of the same training in float32 PyTorch."""
    weights = torch_llama.parameters(model.store, model.config)
    groups = [{"params": [w for w in weights.values() if w.ndim > 1], "weight_decay": r.decay},
              {"params": [w for w in weights.values() if w.ndim == 1], "weight_decay": 0.0}]  # fmt: skip
    optimiser = torch.optim.AdamW(groups, lr=r.rate, betas=(0.9, 0.95), eps=1e-8)
    schedule = Schedule(r.rate, r.steps, r.warmup)
    losses = []
    for step in range(r.steps):
        windows = [
            tokens.window(tokens.start(i, r.length, r.seed), r.length)
            for i in range(step * r.accumulate, (step + 1) * r.accumulate)
        ]
        x, y = (torch.from_numpy(np.stack(side)) for side in zip(*windows))
        optimiser.zero_grad()
        loss = torch_llama.loss(weights, model.config, x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), r.clip)
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step)
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def training() -> dict[str, Any]:
    """Both runs; the gap of their curves, step by step and over means of 10 steps."""
    model = fresh(SIZES)
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        found = train(model, shakespeare(), RECIPE, profile_of(PROFILE), place)
        seconds = time.perf_counter() - started
        with open(found["log"], newline="") as file:
            rows = list(csv.DictReader(file))
        assert model.tokenizer is not None
        tokens = prepare(shakespeare(), model.tokenizer, 256, Path(place))
        started = time.perf_counter()
        theirs = np.array(torch_losses(model, tokens, RECIPE))
        seconds_torch = time.perf_counter() - started
        rounded = trainable(model)
        for name in rounded.store:
            rounded.store[name] = rounded.store[name].astype(np.float16).astype(np.float32)
        again = np.array(torch_losses(rounded, tokens, RECIPE))
    ours = np.array([float(row["loss"]) for row in rows])

    def gap(losses: np.ndarray, steps: int) -> float:
        """Largest relative difference to float32 of the mean over so many steps."""
        return float(np.abs(losses.reshape(-1, steps).mean(1) / theirs.reshape(-1, steps).mean(1) - 1).max())

    return {
        "parameters": found["parameters"], "steps": found["steps"], "updates": found["updates"],
        "loss_first": ours[0], "loss_last_10": float(ours[-10:].mean()), "torch_last_10": float(theirs[-10:].mean()),
        "largest_gap_of_a_step": gap(ours, 1), "largest_gap_of_10_steps": gap(ours, 10),
        "torch_from_fp16_start_a_step": gap(again, 1), "torch_from_fp16_start_10_steps": gap(again, 10),
        "unigram_entropy": found["unigram_entropy"], "clamps": found["clamps"], "skipped": found["skipped_steps"],
        "compiles_first_step": int(rows[0]["compiles"]), "compiles_last_step": int(rows[-1]["compiles"]),
        "seconds": seconds, "ms_a_step": found["ms_a_step"], "seconds_torch": seconds_torch,
        "engine_ms_a_step_modelled": found["engine_ms_modelled"] / found["steps"],
    }  # fmt: skip


def resume() -> dict[str, Any]:
    """Final checkpoints of a run in one piece and of one that was killed again and again."""
    sizes = "dim=64,layers=2,heads=4,kv_heads=2,hidden=176,context=64"
    words = [str(shakespeare()), "--on", PROFILE, "--config", sizes, "--steps", "120", "--length", "64", "--json"]
    command = [sys.executable, "-c", "from netwright.cli import main; main()", "train", *words, "--save-every", "7"]
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([*command, "-o", f"{place}/whole"], check=True, capture_output=True)
        kills, tries = 0, 0
        while True:
            tries += 1
            again = ["--resume"] if Path(place, "killed").is_dir() else []
            process = subprocess.Popen([*command, "-o", f"{place}/killed", *again], stdout=subprocess.DEVNULL)
            try:
                process.wait(1.5 + 2 * draw.random() if kills < 5 else None)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                continue
            break
        whole, killed = (Path(place, name, "checkpoint.safetensors").read_bytes() for name in ("whole", "killed"))
    return {"steps": 120, "kills": kills, "starts": tries, "same_bits": whole == killed, "bytes": len(whole)}


def lora() -> dict[str, Any]:
    """A network trained on one text, its adapter on another; zero, swapped and merged."""
    stories = root() / "tinystories-sample" / "tinystories_sample.txt"
    sizes = "dim=128,layers=3,heads=4,kv_heads=2,hidden=352,context=128"
    profile = profile_of(PROFILE)
    recipe = Recipe(steps=150, accumulate=2, length=128, rate=2e-3, warmup=20)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        train(fresh(sizes), shakespeare(), recipe, profile, place / "base")
        model = load_model(place / "base" / "model")
        small = Settings(rank=8, alpha=16.0, targets=("q", "v"))
        wide = Settings(rank=16, alpha=16.0, targets=("q", "k", "v", "o", "gate", "up", "down"))
        found = {}
        for name, settings in (("qv", small), ("all", wide)):
            tuned = Recipe(steps=120, accumulate=2, length=128, rate=5e-3, warmup=10, decay=0.0)
            found[name] = train_adapter(model, stories, settings, tuned, profile, place / name)
        folders = [place / name / "adapter" for name in found]
        rows = swap(model, stories, folders, profile, place)
        tokens = tokens_of(model, stories, place).window(0, 128)[0]
        own = trainable(model)
        with_inputs = Network(
            model.config, own.store, 128, Engine(profile, Guard()), partial(adapters.adapted, settings=wide), False
        )
        plain = Network(model.config, own.store, 128, Engine(profile, Guard()), backwards=False).logits(tokens)
        zero = with_inputs.logits(tokens, adapters.zeros(model.config, wide).arrays)
        adapter = adapters.load(folders[1], model.config)
        swapped = with_inputs.logits(tokens, adapter.arrays)
        changed = trainable(adapters.merged(model, adapter))
        merged = Network(model.config, changed.store, 128, Engine(profile, Guard()), backwards=False).logits(tokens)
    return {
        "zero_equals_base": bool(np.array_equal(zero, plain)),
        "merged_largest_difference": float(np.abs(merged - swapped).max()),
        "largest_logit": float(np.abs(swapped).max()), "adapter_moves_logits_by": float(np.abs(swapped - plain).max()),
        **{f"loss_{r['adapter'].split('/')[-2] if '/' in r['adapter'] else r['adapter']}": r["loss"] for r in rows},
        "compiles": [r["compiles"] for r in rows], "swap_ms": [r["ms"] for r in rows],
        **{f"parameters_{name}": f["parameters"] for name, f in found.items()},
        "clamps": [f["clamps"] for f in found.values()],
    }  # fmt: skip


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "gradients": gradients, "training": training, "resume": resume, "lora": lora
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {name: part() for name, part in PARTS.items() if given.only in (None, name)}
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for name, values in found.items():
        print(name)
        for key, value in values.items():
            print(f"  {key:<28} {value:.5g}" if isinstance(value, float) else f"  {key:<28} {value}")


if __name__ == "__main__":
    main()
