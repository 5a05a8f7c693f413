"""`netwright bench ane`: figures with their labels, and a baseline that a later run is held against."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from netwright.devices.ane.bench import Result, Row, Settings, random_gpt2
from netwright.errors import UserError

SMALL = ("--prompt", "20", "--tokens", "2", "--rounds", "1", "--profile", "m4max-orion")


@pytest.fixture
def model(shared_data: Path) -> str:
    return str(shared_data / "stories260k" / "stories260K.bin")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "netwright", "bench", *arguments], capture_output=True, text=True, cwd=cwd)


def test_kernels_and_inference_say_what_is_measured_and_what_is_modelled(model: str, tmp_path: Path) -> None:
    done = run("ane", "kernels", model, *SMALL, "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    names = ["attention over 32", "feed_forward over 32", "project over 16", "feed_forward over 16"]
    assert done.returncode == 0 and [r["name"] for r in found["rows"]] == names
    assert all(r["measured_s"] > 0 and r["modelled_ms"] > 0.095 for r in found["rows"])  # dispatch at least
    assert found["measured_on"].startswith("this machine") and found["slower"] == []
    done = run("ane", "inference", model, *SMALL, cwd=tmp_path)
    assert done.returncode == 0 and "measured s" in done.stdout and "modelled ms" in done.stdout
    for name in ("prompt of 20 on ane", "token on ane", "prompt of 20 on cpu", "token on cpu"):
        assert name in done.stdout


def test_a_later_run_warns_of_what_takes_over_15_percent_more(model: str, tmp_path: Path) -> None:
    assert run("ane", "kernels", model, *SMALL, "--save-baseline", "b.json", cwd=tmp_path).returncode == 0
    held = json.loads((tmp_path / "b.json").read_text())
    for row in held["rows"]:
        row["measured_s"] *= 100
    (tmp_path / "b.json").write_text(json.dumps(held))
    assert run("ane", "kernels", model, *SMALL, "--baseline", "b.json", cwd=tmp_path).returncode == 0
    held["rows"][0]["measured_s"] = 1e-9
    (tmp_path / "b.json").write_text(json.dumps(held))
    done = run("ane", "kernels", model, *SMALL, "--baseline", "b.json", "--json", cwd=tmp_path)
    assert done.returncode == 1 and "slower: attention over 32:" in done.stderr and done.stderr.count("\n") == 1
    assert len(json.loads(done.stdout)["slower"]) == 1
    done = run("ane", "inference", model, *SMALL, "--baseline", "b.json", cwd=tmp_path)
    assert done.returncode == 2 and "what was kernels, is inference" in done.stderr


def test_15_percent_is_the_border_for_measured_and_modelled() -> None:
    before = Result("kernels", "m", "here", Settings(), (Row("a", 1.0, 2.0), Row("b", 1.0, None), Row("gone", 1.0, 1.0)))
    now = replace(before, rows=(Row("a", 1.15, 2.4), Row("b", 1.2, None), Row("new", 9.0, 9.0)))
    assert now.slower_than(before) == [
        "a: 2.4 ms modelled, 2 in the baseline: +20%", "b: 1.2 s measured, 1 in the baseline: +20%"]
    assert before.slower_than(now) == []
    for changed in ({"machine": "there"}, {"model": "n"}, {"settings": Settings(rounds=9)}):
        with pytest.raises(UserError, match="cannot be compared"):
            replace(now, **changed).slower_than(before)


def test_the_random_model_has_gpt2s_shape_in_half_its_memory() -> None:
    made = random_gpt2()
    tensors = [made.store[name] for name in made.store]
    assert sum(t.size for t in tensors) == 124_439_808
    held = {id(t.base if t.base is not None else t): t.base if t.base is not None else t for t in tensors}
    assert sum(t.nbytes for t in held.values()) < 0.5 * sum(t.nbytes for t in tensors)


@pytest.mark.parametrize(("arguments", "words"), [
    (("anne", "kernels"), "no device 'anne' to bench; did you mean 'ane'"),
    (("ane", "kernel"), "did you mean 'kernels'"),
    (("ane", "kernels", "nowhere.bin"), "nowhere.bin"),
    (("ane", "kernels", "--prompt", "0"), "0 positions do not fit"),
    (("ane", "kernels", "--rounds", "0"), "at least 1 of each"),
    (("ane", "kernels", "--baseline", "none.json"), "none.json: No such file"),
    (("ane", "kernels", "--baseline", "bad.json"), "bad.json: not a baseline"),
    (("ane", "kernels", "--baseline", "list.json"), "list.json: not a baseline"),
    (("ane", "kernels", "--engine", "gpu"), "no engine is called 'gpu'"),
])
def test_bad_input_is_one_line_and_status_two(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
