"""Language models beside PyTorch: python -m benchmarks.generate MODEL [MODEL ...] [--threads 1 2] [--json].

For each model file and number of threads, tokens a second of decoding one by one with a cache, ours and a plain PyTorch
decoder (`torch_decoder.py`, float32) taking turns in one process, and the ratio of the medians. `--perplexity TEXT`
(.txt or .txt.gz) prints the perplexity of windows of 512 tokens instead, ours and PyTorch's, over `--tokens` of them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def decoding(path: str, threads: int, rounds: int, count: int, context: int) -> dict[str, Any]:
    """Seconds of `count` steps, `rounds` times each, in turns."""
    import torch

    from benchmarks.torch_decoder import TorchDecoder
    from netwright.devices.host.products import Products
    from netwright.models import load
    from netwright.models.generate import CpuRunner

    torch.set_num_threads(threads)
    model = load(path)
    context = min(context, model.config.context)
    runner, peer = CpuRunner(model, context=context, products=Products(model)), TorchDecoder(model, context)
    tokens = [int(t) for t in np.random.default_rng(0).integers(0, model.config.vocabulary, context)]
    count = min(count, context)

    def ours() -> np.ndarray:
        runner.reset()
        for token in tokens[:count]:
            logits = runner.step(token)
        return logits

    def theirs() -> np.ndarray:
        for position, token in enumerate(tokens[:count]):
            logits = peer.step(token, position)
        return logits

    difference = float(np.abs(ours() - theirs()).max())
    seconds: dict[str, list[float]] = {"ours": [], "torch": []}
    for _ in range(rounds):
        for name, run in (("ours", ours), ("torch", theirs)):
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    speed = {name: count / statistics.median(times) for name, times in seconds.items()}
    return {
        "model": model.name, "threads": threads, "tokens": count, "rounds": rounds, "tokens_s": speed,
        "ratio": speed["ours"] / speed["torch"], "largest_difference_of_logits": difference,
    }  # fmt: skip


def perplexities(path: str, text: str, most: int, window: int = 512) -> dict[str, Any]:
    """Of the first `most` tokens of a text, ours and PyTorch's."""
    from benchmarks.torch_decoder import TorchDecoder
    from netwright.models import load
    from netwright.models.generate import perplexity
    from netwright.models.reading import read_text

    model = load(path)
    assert model.tokenizer is not None
    tokens = model.tokenizer.encode(read_text(Path(text)), begin=True)[:most]
    window = min(window, model.config.context)
    peer: Callable[[np.ndarray], np.ndarray] = TorchDecoder(model, window).full
    losses = []
    for start in range(0, len(tokens), window):
        part = np.array(tokens[start : start + window])
        logits = peer(part)[:-1].astype(np.float64)
        top = logits.max(-1)
        total = top + np.log(np.exp(logits - top[:, None]).sum(-1))
        losses += list(total - logits[np.arange(len(part) - 1), part[1:]])
    found, count = perplexity(model, tokens, window=window)
    ours, theirs = math.exp(found), math.exp(sum(losses) / len(losses))
    return {"model": model.name, "predicted": count, "ours": ours, "torch": theirs, "ratio": ours / theirs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=32, help="tokens of a round")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--perplexity", metavar="TEXT")
    parser.add_argument("--tokens", type=int, default=2048, help="of the text, for --perplexity")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(decoding(given.models[0], given.threads[0], given.rounds, given.count, given.context)))
        return
    for path in given.models:
        if given.perplexity:
            found = perplexities(path, given.perplexity, given.tokens)
            line = f"perplexity {found['ours']:.3f}, torch {found['torch']:.3f} over {found['predicted']:,} tokens"
            print(json.dumps(found) if given.json else f"{found['model']}: {line}")
            continue
        for threads in given.threads:  # a process each: NumPy's library reads the count once, at its start
            command = [sys.executable, "-m", "benchmarks.generate", path, "--inside", "--threads", str(threads)]
            command += ["--rounds", str(given.rounds), "--count", str(given.count), "--context", str(given.context)]
            counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
            done = subprocess.run(command, env=os.environ | counts, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            ours, theirs = found["tokens_s"]["ours"], found["tokens_s"]["torch"]
            line = f"{ours:,.1f} tokens/s, torch {theirs:,.1f}: {found['ratio']:.2f} x"
            print(json.dumps(found) if given.json else f"{found['model']}, {threads} threads: {line}", flush=True)


if __name__ == "__main__":
    main()
