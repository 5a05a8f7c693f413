"""Orion on any machine, measured: python -m benchmarks.orion {compile,reload,decode,modes,nats} [--json].

compile  the engine programs of a GPT-2 of 124M parameters, from graphs to text and weight files, in a process of its
         own; then again, found on disk
reload   new weights for all of those programs by delta reload, beside writing and reading back the same bytes, and
         beside compiling and loading them again; under m5-baked the probe has to notice that nothing changed
decode   tokens a second of a model file on the executor (mode ane, every column computed) and on this processor
         (mode cpu), beside a plain PyTorch decoder with a cache; all in turns

modes    GPT-2 124M's shape with random weights: greedy tokens of all three modes, and how far logits are apart
nats     nats a token on the engine and in float32: stories260k on its stories, others on 2,048 tokens of WikiText-2

The engine is simulated: seconds are those of this machine, and nothing here is a time of Apple's hardware. Use
OMP_NUM_THREADS to pin threads.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recorded import root
from netwright.devices.ane.bench import random_gpt2

BUCKET = 64
ORION = 4200 / 494  # ms to recompile and to reload 60 programs (Orion 2026): the published ratio, on an M4 Max


def kinds(model: Any) -> list[tuple[str, int]]:
    """The programs of a prompt: two a layer."""
    return [(kind, layer) for layer in range(model.config.layers) for kind in ("attention", "feed_forward")]


def compiling(folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of this process; `lowered` says whether anything was made."""
    from netwright.devices.ane.programs import Programs

    model = random_gpt2()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    programs = Programs(model, "m4max-orion", folder=folder)
    places = [programs.place(kind, layer, BUCKET) for kind, layer in kinds(model)]
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for place in places for file in place.rglob("*") if file.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "programs": len(places), "lowered": programs.lowered, "seconds": seconds, "bytes": size,
        "peak_memory_bytes": peak * 1024, "of_which_weights_in_memory_bytes": before * 1024,
    }  # fmt: skip


def compile_twice() -> dict[str, Any]:
    """Cold and warm, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for _ in range(2):
            command = [sys.executable, "-m", "benchmarks.orion", "compile", "--folder", folder, "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout))
    return {"cold": runs[0], "warm": runs[1]}


def reloading(rounds: int) -> dict[str, Any]:
    """Medians of seconds; `ratio` is reload against plain writing and reading."""
    from netwright.devices.ane import profile as profiles
    from netwright.devices.ane.device import lowered
    from netwright.devices.ane.simulator import Kernel, Simulator
    from netwright.devices.ane.simulator.kernel import weight_files

    first, second = random_gpt2(0), random_gpt2(1)
    profile = profiles.load("m4max-orion")

    def made(model: Any, kind: str, layer: int) -> Any:
        builder = getattr(model.builders, kind)
        return lowered(builder(model.config, layer, BUCKET, store=model.store), profile)

    simulator = Simulator(profile)
    kernels, new, old = {}, {}, {}
    start = time.perf_counter()
    for kind, layer in kinds(first):
        kernels[kind, layer] = Kernel.of(simulator, made(first, kind, layer))
    compile_s = time.perf_counter() - start
    for key in kernels:
        old[key], new[key] = (weight_files(made(model, *key).weights) for model in (first, second))
    size = sum(len(data) for files in new.values() for data in files.values())
    compiles = simulator.compiles
    seconds: dict[str, list[float]] = {"reload": [], "write and read": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            files = old if number % 2 else new
            start = time.perf_counter()
            for key, kernel in kernels.items():
                assert kernel.update(files[key]) == "reload"
            seconds["reload"].append(time.perf_counter() - start)
            start = time.perf_counter()
            for index, several in enumerate(files.values()):
                for data in several.values():
                    place = Path(folder) / f"{number}-{index}"
                    place.write_bytes(data)
                    assert len(place.read_bytes()) == len(data)
            seconds["write and read"].append(time.perf_counter() - start)
    assert simulator.compiles == compiles
    key = next(iter(kernels))
    baked = Kernel.of(Simulator(profiles.load("m5-baked")), made(first, *key))
    caught = baked.update(new[key])
    found = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "programs": len(kernels), "bytes": size, "rounds": rounds, "seconds": found, "compile_and_load_s": compile_s,
        "ratio": found["reload"] / found["write and read"], "compile_to_reload": compile_s / found["reload"],
        "orions_compile_to_reload": ORION, "compiles_counted": simulator.compiles - compiles, "under_m5_baked": caught,
    }  # fmt: skip


def decoding(path: str, rounds: int, count: int, context: int = 256) -> dict[str, Any]:
    """Tokens a second, medians over rounds in turns."""
    import torch

    from benchmarks.torch_decoder import TorchDecoder
    from netwright.devices.ane.decoder import AneRunner
    from netwright.devices.host.products import Products
    from netwright.models import load
    from netwright.models.generate import CpuRunner

    threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    torch.set_num_threads(threads)
    model = load(path)
    context = min(context, model.config.context)
    tokens = [int(t) for t in np.random.default_rng(0).integers(0, model.config.vocabulary, count)]
    ane, cpu, peer = (
        AneRunner(model, context=context, profile="m4max-orion"),
        CpuRunner(model, context=context, products=Products(model)),
        TorchDecoder(model, context),
    )  # fmt: skip

    def ours(runner: Any) -> Callable[[], None]:
        def run() -> None:
            runner.reset()
            for token in tokens:
                runner.step(token)

        return run

    def theirs() -> None:
        for position, token in enumerate(tokens):
            peer.step(token, position)

    seconds: dict[str, list[float]] = {"ane": [], "cpu": [], "torch": []}
    runs = {"ane": ours(ane), "cpu": ours(cpu), "torch": theirs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if number:  # the first compiles
                seconds[name].append(time.perf_counter() - start)
    speed = {name: count / statistics.median(times) for name, times in seconds.items()}
    return {
        "model": model.name, "threads": threads, "tokens": count, "rounds": rounds, "tokens_s": speed,
        "ane_to_torch": speed["ane"] / speed["torch"], "cpu_to_torch": speed["cpu"] / speed["torch"],
    }  # fmt: skip


def modes(count: int = 8, prompt: int = 40) -> dict[str, Any]:
    """GPT-2 124M's shape with random weights in all three modes: greedy tokens, largest differences of logits."""
    from netwright.devices.ane.decoder import MODES, AneRunner
    from netwright.models.generate import CpuRunner, Runner

    model = random_gpt2()
    tokens = [int(t) for t in np.random.default_rng(0).integers(0, model.config.vocabulary, prompt)]
    whole = model.builders.full(model.config, prompt, store=model.store).run(np.array(tokens))[0][-1]
    runners: dict[str, Runner] = {"cpu": CpuRunner(model, context=64)}
    runners |= {mode: AneRunner(model, mode=mode, profile="m4max-orion", context=64) for mode in MODES}
    chosen, logits = {}, {}
    for name, runner in runners.items():
        found = [runner.prefill(tokens)]
        for _ in range(count):
            found.append(runner.step(int(np.argmax(found[-1]))))
        chosen[name], logits[name] = [int(np.argmax(row)) for row in found], found
    return {
        "greedy_tokens_equal": all(tokens == chosen["cpu"] for tokens in chosen.values()), "tokens": count + 1,
        "largest_logit": float(np.abs(logits["cpu"]).max()),
        "largest_difference": {n: float(np.abs(np.array(rows) - logits["cpu"]).max()) for n, rows in logits.items()},
        "prefill_from_full_pass": float(np.abs(logits["cpu"][0] - whole).max()),
    }  # fmt: skip


def likelihood(path: str, texts: list[str], window: int, most: int) -> dict[str, Any]:
    """Nats a token of texts cut into windows, on the engine and in float32."""
    from netwright.devices.ane.decoder import AneRunner
    from netwright.models import load
    from netwright.models.generate import perplexity

    model = load(path)
    assert model.tokenizer is not None
    context = min(window, model.config.context)
    runner = AneRunner(model, mode="ane-prefill", profile="m4max-orion", context=context)
    engine, processor, count = 0.0, 0.0, 0
    for text in texts:
        tokens = model.tokenizer.encode(text, begin=True)[:most]
        for start in range(0, len(tokens) - 1, window):
            part = np.array(tokens[start : start + window])
            if len(part) < 2:
                continue
            scores = runner.sequence(part.tolist())[:-1].astype(np.float64)
            scores -= scores.max(-1, keepdims=True)
            scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
            engine -= float(scores[np.arange(len(part) - 1), part[1:]].sum())
            loss, predicted = perplexity(model, part.tolist(), window=len(part))
            processor, count = processor + loss * predicted, count + predicted
    return {
        "model": model.name, "predicted": count, "engine_nats": engine / count, "float32_nats": processor / count,
        "perplexity_ratio": float(np.exp((engine - processor) / count)),
    }  # fmt: skip


def stories() -> list[str]:
    """The texts of which stories260k is known to take 1.243 nats a token."""
    packed = (root() / "tinystories-sample" / "tinystories_197k.txt.gz").read_bytes()
    parts = re.split("(?=Once upon a time)", gzip.decompress(packed).decode().replace("\n\n", "\n"))
    return [part.strip()[:600] for part in parts[1:31]]


def wikitext() -> list[str]:
    """WikiText-2's test set."""
    return [gzip.decompress((root() / "wikitext2-eval" / "test.txt.gz").read_bytes()).decode()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("compile", "reload", "decode", "modes", "nats"))
    parser.add_argument("models", nargs="*", help="model files, for decode and nats")
    parser.add_argument("--folder", type=Path, help="of compiled programs; compile once, there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.what == "compile":
        found: Any = compiling(given.folder) if given.folder else compile_twice()
    elif given.what == "reload":
        found = reloading(given.rounds)
    elif given.what == "modes":
        found = modes()
    elif given.what == "nats":
        found = [
            likelihood(path, stories(), 512, 250) if "260" in path else likelihood(path, wikitext(), 512, 2048)
            for path in given.models
        ]
    else:
        found = [decoding(path, given.rounds, given.tokens) for path in given.models]
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for row in found if isinstance(found, list) else [found]:
        for name, value in row.items():
            print(f"{name:24s} {value}")


if __name__ == "__main__":
    main()
