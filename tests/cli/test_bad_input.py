"""Bad input: one clear line, exit status 2, nothing left half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "netwright", *arguments], capture_output=True, text=True, cwd=cwd)


def refused(words: str, *arguments: str, cwd: Path) -> None:
    done = run(*arguments, cwd=cwd)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in lines if line.startswith("netwright: ")]) == 1, done.stderr
    assert words in lines[-1], lines[-1]
    assert not list(cwd.rglob("*.elf")) and not list(cwd.rglob(".*.[0-9]*"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "good.npz", x=rng.integers(0, 255, (60, 8, 8)).astype(np.uint8), y=np.arange(60) % 3)
    return tmp_path


def test_missing_file(tmp_path: Path) -> None:
    refused("nowhere.npz", "fit", "nowhere.npz", cwd=tmp_path)


def test_truncated_npz(good: Path) -> None:
    data = (good / "good.npz").read_bytes()
    (good / "cut.npz").write_bytes(data[: len(data) // 2])
    refused("cut.npz", "fit", "cut.npz", cwd=good)


def test_impossible_budget_names_the_nearest_possible_before_training(good: Path) -> None:
    refused("raise the limits to at least these", "fit", "good.npz", "--ram", "200", "--flash", "1KB", cwd=good)


def test_label_column_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "".join(f"{i},{i * i},{i % 2}\n" for i in range(40)))
    refused("kind", "fit", "t.csv", "--label", "kindd", cwd=tmp_path)


def test_images_of_different_sizes(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pics" / label).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (8, 8 + (label == "dog" and i == 2))).save(tmp_path / "pics" / label / f"{i}.png")
    refused("size", "fit", "pics", cwd=tmp_path)


def test_nan_in_data(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((40, 5))
    x[7, 3] = np.nan
    np.savez(tmp_path / "nan.npz", x=x, y=np.arange(40) % 2)
    refused("nan", "fit", "nan.npz", cwd=tmp_path)


def test_one_class_only(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=np.random.default_rng(0).random((40, 5)), y=np.zeros(40, int))
    refused("class", "fit", "one.npz", cwd=tmp_path)


def test_unknown_device_suggests_the_nearest(good: Path) -> None:
    refused("did you mean 'cortex-m4'", "fit", "good.npz", "--device", "cortex-m44", cwd=good)


def test_unwritable_output(good: Path) -> None:
    (good / "file").write_text("not a folder")
    refused("choose another --out", "fit", "good.npz", "--out", str(good / "file" / "out"), cwd=good)


def test_full_disk(good: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    code = (
        "import errno, netwright.study.record as r\n"
        "def full(self, *a, **k): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "r.Record.told = full\n"
        "from netwright.cli import main\n"
        "main(['fit', 'good.npz', '--ram', '8KB', '--evaluations', '2', '--recipe', 'epochs=1', '--out', 'o'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=good)
    assert done.returncode == 2 and "the disk is full" in done.stderr and "Traceback" not in done.stderr


def test_check_and_run_of_what_is_not_there(tmp_path: Path) -> None:
    refused("no graph.txt", "check", ".", cwd=tmp_path)
    refused("no compiled program there", "run", ".", "-i", "x.npy", "-o", "y.npy", cwd=tmp_path)
    refused("did you mean 'conv-small'", "fit", "digits", "--space", "conv-smal", cwd=tmp_path)
    refused("is not a size", "fit", "digits", "--ram", "four", cwd=tmp_path)
    refused("No such command", "fot", cwd=tmp_path)


def test_damaged_folders_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text('graph "x"\ninput a: float32[1,2]\nb = nonsense(a)\noutput b\n')
    (tmp_path / "weights.safetensors").write_bytes(b"\x00" * 20)
    refused("damaged", "check", ".", cwd=tmp_path)


@pytest.mark.parametrize(
    "module, extra, arguments", [("torch", "train", ("fit", "digits")), ("ziglang", "mcu", ("compile", "small"))]
)
def test_a_missing_extra_says_which_one_to_install(
    tmp_path: Path, module: str, extra: str, arguments: tuple[str, ...]
) -> None:
    from netwright.graph import OPS, Builder, Quant, Type, save

    b = Builder("small")
    x = b.input("x", Type((1, 4), "int8", Quant(0.1, 0)))
    b.output(b(OPS["q_requantise"](x=Quant(0.1, 0), out=Quant(0.2, 0)), x))
    save(b.graph(), tmp_path / "small")
    code = f"import sys; sys.modules[{module!r}] = None\nfrom netwright.cli import main\nmain({list(arguments)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (
        done.returncode == 2 and f"pip install 'netwright[{extra}]'" in done.stderr and "Traceback" not in done.stderr
    )
