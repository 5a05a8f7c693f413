"""Language models on the Apple Neural Engine without a Mac: the published run time's claims on the simulated engine."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from netwright.devices.ane import profile as profiles
from netwright.devices.ane.bench import random_gpt2
from netwright.devices.ane.decoder import MODES, AneRunner
from netwright.devices.ane.device import lowered
from netwright.devices.ane.simulator import Kernel, Simulator
from netwright.devices.ane.simulator.kernel import weight_files
from netwright.devices.ane.training import Recipe, fresh, profile_of, train
from netwright.errors import UserError
from netwright.models import gpt2, load
from netwright.models.generate import CpuRunner, Generator, Runner

from . import Claim, Measured, System

PROFILE = "m4max-orion"
MODEL = ("stories260k", "stories260K.bin")
TEXT = ("tiny-shakespeare", "input.txt.gz")
PROMPTS = ("Once upon a time", "One day, a little girl", "The sun")
BUCKET = 64
SIZES = "dim=96,layers=3,heads=4,kv_heads=2,hidden=256,context=64"


def _recorded(data: Path | None, names: tuple[str, ...]) -> Path:
    path = data.joinpath(*names) if data is not None else None
    if path is None or not path.is_file():
        raise UserError(f"orion needs {'/'.join(names)} of the recorded data: give --data DIR or NETWRIGHT_DATA")
    return path


def same_text(data: Path | None, seed: int) -> Measured:
    """Share of greedy tokens that the engine's modes and float32 on the processor have in common."""
    model = load(_recorded(data, MODEL))
    assert model.tokenizer is not None
    equal, count, firsts = 0, 0, 0
    for prompt in PROMPTS:
        texts = []
        runners: list[Runner] = [CpuRunner(model)]
        runners += [AneRunner(model, mode=mode, profile=PROFILE) for mode in MODES]
        for runner in runners:
            generator = Generator(runner, model.tokenizer)
            generator.text(prompt, max_tokens=40)
            texts.append(generator.tokens[generator.stats.prompt_tokens :])
        equal += sum(a == b == c for a, b, c in zip(*texts))
        firsts += texts[0][0] == texts[1][0] == texts[2][0]
        count += len(texts[0])
    note = f"{equal} of {count} tokens in all three modes, the first of {firsts} of {len(PROMPTS)} prompts"
    return Measured(100 * equal / count, equal == count, note)


def keys(data: Path | None, seed: int) -> Measured:
    """Largest error of the keys of one attention program against the Graph in float32."""
    model = random_gpt2(seed)
    graph = gpt2.attention(model.config, 0, BUCKET, store=model.store)
    x = np.random.default_rng(seed).standard_normal((BUCKET, model.config.width)).astype(np.float32)
    kernel = Kernel.of(Simulator(profiles.load(PROFILE)), lowered(graph, profiles.load(PROFILE)))
    error = float(np.abs(kernel.run(x)[1] - graph.run(x)[1]).max())
    return Measured(error, error <= 0.0025, "GPT-2's layer sizes with random weights, 64 positions")


def reload(data: Path | None, seed: int) -> Measured:
    """Seconds to compile and load over seconds to reload with proof, the programs of a prompt of GPT-2 124M."""
    models = random_gpt2(seed), random_gpt2(seed + 1)
    profile = profiles.load(PROFILE)
    simulator = Simulator(profile)
    names = [(kind, layer) for layer in range(models[0].config.layers) for kind in ("attention", "feed_forward")]
    made = [
        [lowered(getattr(gpt2, kind)(m.config, layer, BUCKET, store=m.store), profile) for kind, layer in names]
        for m in models
    ]
    start = time.perf_counter()
    kernels = [Kernel.of(simulator, program) for program in made[0]]
    compiling = time.perf_counter() - start
    files = [weight_files(program.weights) for program in made[1]]
    compiles = simulator.compiles
    start = time.perf_counter()
    proved = [kernel.update(new) for kernel, new in zip(kernels, files, strict=True)]
    reloading = time.perf_counter() - start
    good = proved == ["reload"] * len(kernels) and simulator.compiles == compiles
    note = (
        f"{len(kernels)} programs: {compiling:.2f} s to compile and load, {reloading:.2f} s to reload, each proved by "
        f"a probe, {simulator.compiles - compiles} compiles; seconds of the simulator, whose compiler is fast"
    )
    return Measured(compiling / reloading, good and reloading < compiling, note)


def training(data: Path | None, seed: int) -> Measured:
    """NaNs and clamps of a short training with every layer on the engine, and its compile counter."""
    text = _recorded(data, TEXT)
    recipe = Recipe(steps=60, accumulate=2, length=64, rate=2e-3, warmup=6, seed=seed)
    with TemporaryDirectory() as folder:
        found = train(fresh(SIZES, seed), text, recipe, profile_of(f"ane:{PROFILE}"), folder)
    clamps = sum(found["clamps"].values())
    note = (
        f"{found['steps']} steps of {found['parameters']:,} parameters: loss {found['loss_last']:.2f}, a text of "
        f"{found['unigram_entropy']:.2f} nats by unigrams; {found['compiles']} compiles in all"
    )
    return Measured(clamps, clamps == 0, note)


system = System(
    name="orion",
    paper="Orion 2026 (arXiv 2603.06728)",
    about="language models compiled, run and trained on the Apple Neural Engine; here on its simulator",
    claims=(
        Claim(
            "the engine says what the processor says",
            "top-1 100 % on 3 prompts, 5 greedy tokens equal",
            "published: GPT-2 124M on an M4 Max; here: stories260k, 40 tokens of each of 3 prompts, simulated engine",
            "% of tokens",
            same_text,
        ),
        Claim(
            "keys of an attention program",
            "error at most 0.0025",
            "against float32 on the processor; here random weights",
            "largest error",
            keys,
        ),
        Claim(
            "new weights without compiling",
            "4,200 ms to recompile, 494 ms to reload: 8.5 x",
            "published: 60 programs of a 110M model on an M4 Max; here 24 of GPT-2 124M on the simulator",
            "x",
            reload,
        ),
        Claim(
            "training without a NaN",
            "1,000 steps, 0 NaN",
            "published: 110M parameters, clamped at every surface without a count; here every clamp is counted",
            "clamps",
            training,
        ),
    ),
)
