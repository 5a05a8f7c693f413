"""The main job, measured: python -m benchmarks.main_job {digits,mnist,speech,strategies} [--budget 15min] [--seeds 3].

digits      `fit digits` as the demo runs it, for several seeds
mnist       `fit mnist.npz` within a time budget, at two sizes
speech      `fit` of spoken digits from raw samples, as a wav folder, within a time budget; the front end counts
strategies  the default strategy beside random search at equal budget and seeds

Recorded data are found in --data, NETWRIGHT_DATA or ../shared/data. Use OMP_NUM_THREADS to pin threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

import netwright
from benchmarks.recorded import root
from netwright.devices.quantities import time_s

DIGITS = {"ram": "4KB", "flash": "32KB", "latency": "20ms"}
SPEECH = {"ram": "64KB", "flash": "256KB"}
SIZES = {"20KB/64KB": {"ram": "20KB", "flash": "64KB"}, "6KB/24KB": {"ram": "6KB", "flash": "24KB"}}


def row(what: str, study: Any) -> dict[str, Any]:
    """What matters of one fit."""
    result = study.result
    profile = result["profile"]
    return {
        "what": what,
        "seed": result["seed"],
        "strategy": result["strategy"],
        "input": result["input"],
        "accuracy": result["accuracy"],
        "byte_equal": result["byte_equal"],
        "samples": result["samples"],
        "ram": sum(profile["ram_bytes"].values()),
        "flash": sum(profile["flash_bytes"].values()),
        "instructions": profile["instructions"],
        "latency_ms_modelled": profile["latency_ms_modelled"],
        "evaluations": result["evaluations"],
        "seconds": result["seconds"],
        "violations": result["violations"],
        "candidate": result["candidate"],
    }


def show(found: dict[str, Any]) -> None:
    """One line for people."""
    accuracy = found["accuracy"]
    print(
        f"{found['what']:22s} seed {found['seed']} {found['strategy']:22s} device {accuracy['device']:.4f} "
        f"float {accuracy['float']:.4f} RAM {found['ram']:6,} Flash {found['flash']:6,} "
        f"{found['instructions']:9,} instr. {found['latency_ms_modelled']:.2f} ms (modelled) "
        f"byte-equal {found['byte_equal']} on {found['samples']:,}  {found['evaluations']} evaluations "
        f"{found['seconds']:.0f} s",
        flush=True,
    )


def mnist(data: str | None) -> str:
    """The path of mnist.npz. Raises SystemExit when it is not there."""
    places = [p for p in (data, os.environ.get("NETWRIGHT_DATA"), "../shared/data") if p]
    for place in places:
        path = Path(place) / "mnist" / "mnist.npz"
        if path.is_file():
            return str(path)
    raise SystemExit("mnist/mnist.npz is in none of " + ", ".join(places))


def spoken_digits(data: str | None, folder: Path) -> str:
    """The recorded spoken digits, 8 kHz, as train/ and test/ folders of class subfolders of .wav files."""
    for half in ("train", "test"):
        recorded = np.load(root(data) / "fsdd-small" / f"{half}.npz")
        sounds = np.split(recorded["audio"].astype("<i2"), recorded["offsets"][1:-1].astype(int))
        for number, (sound, label) in enumerate(zip(sounds, recorded["label"], strict=True)):
            path = folder / half / str(label) / f"{number:03d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(sound.tobytes())
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=("digits", "mnist", "speech", "strategies"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", default="15min")
    parser.add_argument("--size", choices=sorted(SIZES), help="only this size")
    parser.add_argument("--task", default="mnist", help="of `strategies`: mnist or digits")
    parser.add_argument("--only", help="of `strategies`: only this one")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    rows: list[dict[str, Any]] = []

    def fit(what: str, task: str, **settings: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(what, netwright.fit(task, "cortex-m4", out=Path(folder) / "out", **settings)))
        if not options.json:
            show(rows[-1])

    if options.job == "digits":
        for seed in seeds:
            fit("digits", "digits", seed=seed, **DIGITS)
    else:
        budget = {"budget_s": time_s(options.budget), "workers": options.workers}
        sizes = {options.size: SIZES[options.size]} if options.size else SIZES
        strategies = ("auto", "random") if options.job == "strategies" else ("auto",)
        for seed in seeds:
            if options.job == "speech":
                with tempfile.TemporaryDirectory() as sounds:
                    fit("spoken digits", spoken_digits(options.data, Path(sounds)), seed=seed, **SPEECH, **budget)
                continue
            for strategy in [options.only] if options.only else strategies:
                if options.job == "strategies" and options.task == "digits":
                    fit("digits", "digits", seed=seed, strategy=strategy, **DIGITS, **budget)
                    continue
                for size, limits in sizes.items():
                    fit(f"mnist {size}", mnist(options.data), seed=seed, strategy=strategy, **limits, **budget)
    if options.json:
        print(json.dumps(rows))
        return
    for what in dict.fromkeys(r["what"] for r in rows):
        for strategy in dict.fromkeys(r["strategy"] for r in rows if r["what"] == what):
            values = [r["accuracy"]["device"] for r in rows if (r["what"], r["strategy"]) == (what, strategy)]
            print(f"{what} {strategy}: mean {statistics.mean(values):.4f} of {len(values)} seeds")


if __name__ == "__main__":
    main()
