"""Work that takes more compiles than a process survives goes on in the next one, from its checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netwright.devices.ane import budget, profile
from netwright.devices.ane.budget import Budget, command, restart
from netwright.errors import UserError

M4 = profile.load("m4max-orion")

WORK = """
import argparse, json, os
from pathlib import Path
from netwright.devices.ane import profile
from netwright.devices.ane.budget import Budget, restart
from netwright.devices.ane.simulator import Simulator

parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int)
parser.add_argument("--stuck", action="store_true")
parser.add_argument("--resume")
given = parser.parse_args()
place = Path("checkpoint.json")
state = json.loads(place.read_text()) if given.resume else {"step": 0, "pid": os.getpid(), "processes": []}
simulator = Simulator(profile.load("m4max-orion"))
budget = Budget(simulator.profile, programs=40)
text = b"program(1.3) { func main<ios18>(fp16 x) { } -> (x); }"
state["processes"].append(0)
while state["step"] < given.steps:
    if budget.short(simulator.compiles):
        place.write_text(json.dumps(state))
        print("restart at", state["step"])
        restart(["--resume", str(place)], progress=0 if given.stuck else state["step"])
    for _ in range(budget.programs):
        simulator.delete(simulator.compile(text, {}))
    state["step"] += 1
    state["processes"][-1] = simulator.compiles
state["last pid"] = os.getpid()
place.write_text(json.dumps(state))
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "work.py").write_text(WORK)
    return subprocess.run([sys.executable, "work.py", *arguments], cwd=folder, capture_output=True, text=True, timeout=120)


def test_two_hundred_compiles_need_three_processes_of_at_most_eighty(tmp_path: Path) -> None:
    done = run(tmp_path, "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["restart at 2", "restart at 4", ""]
    state = json.loads((tmp_path / "checkpoint.json").read_text())
    assert state["step"] == 5 and state["processes"] == [80, 80, 40] and state["pid"] == state["last pid"]


def test_a_process_that_gets_nowhere_is_not_replaced_for_ever(tmp_path: Path) -> None:
    done = run(tmp_path, "5", "--stuck")
    assert done.returncode == 1 and "R5: a whole process of compiles ended where it began, at 0" in done.stderr


def test_the_budget_says_when_to_stop() -> None:
    assert [Budget(M4).short(n) for n in (0, 99, 100, 119)] == [False, False, True, True]
    assert [Budget(M4, 72).short(n) for n in (0, 28, 29, 72)] == [False, False, True, True]
    assert [Budget(M4).left(n) for n in (0, 72, 119)] == [100, 28, 0]
    for programs in (0, 101):
        with pytest.raises(UserError, match="R5"):
            Budget(M4, programs)


def test_the_command_is_the_same_with_one_resume() -> None:
    first = command(["python", "-m", "netwright", "train", "--steps", "9"], ["--resume"])
    assert first == ["python", "-m", "netwright", "train", "--steps", "9", "--resume"]
    assert command(first, ["--resume"]) == first
    assert command(["python", "w.py", "--resume", "a", "--x"], ["--resume", "b"]) == ["python", "w.py", "--x", "--resume", "b"]
    assert command(["python", "w.py"], []) == ["python", "w.py"]


def test_the_interpreter_and_its_options_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, list[str]]] = []
    monkeypatch.setenv(budget.PROGRESS, "1:99")  # of another process
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-X", "utf8", "-m", "netwright", "train"])
    with pytest.raises(AssertionError):
        restart(["--resume"], 3, lambda path, words: called.append((path, words)))
    monkeypatch.undo()
    assert called == [(sys.executable, [sys.executable, "-X", "utf8", "-m", "netwright", "train", "--resume"])]
