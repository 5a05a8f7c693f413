"""A run survives kill -9 to the bit, and a wrong or damaged checkpoint is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from netwright.devices.ane.training import Recipe, fresh, profile_of, train
from netwright.devices.ane.training import checkpoint as checkpoints
from netwright.errors import UserError
from netwright.models import load

PROFILE = profile_of("ane:m4max-orion")
SIZES = "dim=16,layers=1,heads=2,hidden=24,context=32"
RECIPE = Recipe(steps=6, accumulate=2, length=8, warmup=2)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the cat sat on the mat and the dog sat on the log. " * 40)
    return path


@pytest.fixture(scope="module")
def whole(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    train(fresh(SIZES), text, RECIPE, PROFILE, out)
    return out


def test_a_run_leaves_a_log_a_network_and_a_result(whole: Path) -> None:
    rows = (whole / "steps.csv").read_text().splitlines()
    assert rows[0].startswith("step,loss,rate,grad_norm,clamps") and len(rows) == 7
    assert json.loads((whole / "result.json").read_text())["compiles"] == 4
    model = load(whole / "model")
    held = load_file(whole / "checkpoint.safetensors")
    assert all(np.array_equal(model.store[n], held[f"weights/{n}"]) for n in model.store)
    assert model.tokenizer is not None and model.tokenizer.encode("ab") == [97, 98]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [2, 3, 5])
def test_resuming_gives_the_same_bits(at: int, text: Path, whole: Path, tmp_path: Path) -> None:
    def stop(stage: str, share: float, words: str) -> None:
        if words.startswith(f"step {at} "):
            raise Stopped

    with pytest.raises(Stopped):
        train(fresh(SIZES), text, RECIPE, PROFILE, tmp_path, save_every=2, tell=stop)
    found = train(fresh(SIZES), text, RECIPE, PROFILE, tmp_path, resume=True, save_every=2)
    assert found["resumed_at"] == at // 2 * 2
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == (whole / "checkpoint.safetensors").read_bytes()
    losses = [[row.split(",")[:5] for row in (p / "steps.csv").read_text().splitlines()] for p in (tmp_path, whole)]
    assert losses[0] == losses[1]


def test_an_interrupted_run_keeps_every_finished_step(text: Path, whole: Path, tmp_path: Path) -> None:
    def stop(stage: str, share: float, words: str) -> None:
        if words.startswith("step 3 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(fresh(SIZES), text, RECIPE, PROFILE, tmp_path, tell=stop)
    assert train(fresh(SIZES), text, RECIPE, PROFILE, tmp_path, resume=True)["resumed_at"] == 3
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == (whole / "checkpoint.safetensors").read_bytes()


def test_kill_9_at_any_moment_loses_nothing(text: Path, tmp_path: Path) -> None:
    words = ["train", str(text), "--config", SIZES, "--steps", "24", "--length", "8", "--accumulate", "1", "--json"]
    command = [sys.executable, "-m", "netwright", *words, "--save-every", "3", "-o"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    run = tmp_path / "run"
    for seen in (1, 3):
        again = ["--resume"] if run.is_dir() else []
        process = subprocess.Popen([*command, str(run), *again], stdout=subprocess.DEVNULL)
        log, deadline = run / "steps.csv", time.monotonic() + 60
        before = log.stat().st_mtime_ns if log.exists() else 0
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and log.stat().st_mtime_ns > before and log.read_text().count("\n") > 5 * seen:
                break
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run([*command, str(run), "--resume"], check=True, capture_output=True)
    wanted = (tmp_path / "whole" / "checkpoint.safetensors").read_bytes()
    assert (run / "checkpoint.safetensors").read_bytes() == wanted


def test_a_run_is_not_overwritten(text: Path, whole: Path) -> None:
    with pytest.raises(UserError, match="holds a run already"):
        train(fresh(SIZES), text, RECIPE, PROFILE, whole)


def test_there_must_be_a_run_to_resume(text: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run to resume"):
        train(fresh(SIZES), text, RECIPE, PROFILE, tmp_path / "none", resume=True)


def altered(whole: Path, folder: Path, **fields: object) -> Path:
    """A run folder whose checkpoint's header says something else."""
    header, tensors = checkpoints.read(whole / "checkpoint.safetensors")
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "checkpoint.safetensors", {"netwright": json.dumps({**header, **fields})})
    return folder


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"magic": "other"}, "not a checkpoint of a training run"),
        ({"version": 2}, "checkpoint version 2, this netwright reads 1"),
        ({"kind": "adapter"}, "a checkpoint of adapter"),
        ({"data": "0"}, "trained on another text"),
        ({"step": None}, "lacks or garbles"),
        ({"scale": {}}, "lacks or garbles"),
    ],
)
def test_another_header_is_refused(
    fields: dict[str, object], words: str, text: Path, whole: Path, tmp_path: Path
) -> None:
    place = altered(whole, tmp_path, **fields)
    with pytest.raises(UserError, match=words):
        train(fresh(SIZES), text, RECIPE, PROFILE, place, resume=True)


def test_another_shape_or_recipe_is_refused(text: Path, whole: Path, tmp_path: Path) -> None:
    place = altered(whole, tmp_path)
    with pytest.raises(UserError, match="its network has width 16, this run 32"):
        train(fresh(SIZES.replace("dim=16", "dim=32")), text, RECIPE, PROFILE, place, resume=True)
    with pytest.raises(UserError, match="its recipe has length 8, this run 16"):
        train(fresh(SIZES), text, Recipe(6, 2, 16, warmup=2), PROFILE, place, resume=True)
    header, tensors = checkpoints.read(whole / "checkpoint.safetensors")
    tensors["weights/layers.0.q.weight"] = tensors["weights/layers.0.q.weight"][:8].copy()
    save_file(tensors, place / "checkpoint.safetensors", {"netwright": json.dumps(header)})
    with pytest.raises(UserError, match=r"layers.0.q.weight is float32 \[8, 16\], the network has float32 \[16, 16\]"):
        train(fresh(SIZES), text, RECIPE, PROFILE, place, resume=True)


@pytest.mark.parametrize("keep", [0, 5, 300, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(keep: float, text: Path, whole: Path, tmp_path: Path) -> None:
    data = (whole / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(UserError, match=r"checkpoint.safetensors: damaged or no checkpoint"):
        train(fresh(SIZES), text, RECIPE, PROFILE, tmp_path, resume=True)
