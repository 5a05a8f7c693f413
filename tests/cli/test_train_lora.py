"""`netwright train` and `netwright lora`: what they leave, and one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_bad_input import refused, run

from netwright.devices.ane.training import fresh
from netwright.models.writing import save

SIZES = "dim=16,layers=1,heads=2,hidden=24,context=32"
SMALL = ("--config", SIZES, "--length", "8", "--accumulate", "1")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 20)
    save(fresh(SIZES), tmp_path / "net")
    return tmp_path


def test_train_then_adapt_then_swap_then_merge_then_generate(place: Path) -> None:
    done = run("train", "text.txt", *SMALL, "--steps", "3", "-o", "run", "--json", cwd=place)
    found = json.loads(done.stdout)
    assert (found["updates"], found["compiles"]) == (3, 4) and not any(found["clamps"].values())
    header = json.loads(run("checkpoint", "run", "--json", cwd=place).stdout)
    assert header["step"] == 3 and header["network"]["width"] == 16 and header["recipe"]["length"] == 8
    assert "network width" in run("checkpoint", "run/checkpoint.safetensors", cwd=place).stdout
    more = ("--rank", "2", "--targets", "q,up", "--steps", "2", "--length", "8", "--csv", "log.csv")
    done = run("lora", "train", "text.txt", "--model", "run/model", *more, "-o", "fine", "--json", cwd=place)
    assert json.loads(done.stdout)["updates"] == 2 and len((place / "log.csv").read_text().splitlines()) == 3
    words = ("--model", "run/model", "--adapter", "fine/adapter")
    done = run("lora", "swap", "text.txt", *words, "--length", "8", "--json", cwd=place)
    assert [row["compiles"] for row in json.loads(done.stdout)["swaps"]] == [2, 2]
    assert run("lora", "merge", *words, "-o", "merged", cwd=place).returncode == 0
    done = run("generate", "merged", "--prompt", "to be", "--max-tokens", "5", "--json", cwd=place)
    assert json.loads(done.stdout)["new_tokens"] == 5


def test_where_every_update_compiles_the_process_replaces_itself(place: Path) -> None:
    words = ("train", "text.txt", *SMALL, "--steps", "30", "--on", "ane:m5-baked", "-o", "run")
    done = run(*words, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # 4 programs, and 4 more a step, of 100 that a process should compile: after 24 steps another process
    assert (found["steps"], found["resumed_at"], found["compiles"]) == (30, 24, 4 + 6 * 4)
    assert len((place / "run" / "steps.csv").read_text().splitlines()) == 31


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("No such file", ("train", "none.txt", *SMALL)),
        ("either a network to start from", ("train", "text.txt")),
        ("is no size of a network; did you mean 'layers'?", ("train", "text.txt", "--config", "layer=2")),
        ("--config lacks hidden", ("train", "text.txt", "--config", "dim=16,layers=1,heads=2")),
        ("'layers=x' is not NAME=NUMBER", ("train", "text.txt", "--config", "layers=x")),
        ("3 query heads", ("train", "text.txt", "--config", "dim=16,layers=1,heads=3,kv_heads=2,hidden=8,head_width=4")),
        ("overflows the network's context of 32", ("train", "text.txt", "--config", SIZES, "--length", "33")),
        ("too few", ("train", "short.txt", *SMALL)),
        ("not UTF-8", ("train", "damaged.txt", *SMALL)),
        ("unknown profile 'm4max'", ("train", "text.txt", *SMALL, "--on", "ane:m4max")),
        ("it runs on ane", ("train", "text.txt", *SMALL, "--on", "cuda")),
        ("it must be a positive number", ("train", "text.txt", *SMALL, "--lr", "nan")),
        ("no run to resume", ("train", "text.txt", *SMALL, "-o", "none", "--resume")),
        ("damaged or no checkpoint", ("train", "text.txt", *SMALL, "-o", "cut", "--resume")),
        ("no action is called 'swop'; did you mean 'swap'?", ("lora", "swop", "text.txt")),
        ("name the network with --model", ("lora", "train", "text.txt")),
        ("needs a text", ("lora", "train", "--model", "net")),
        ("no linear layer 'z' to adapt", ("lora", "train", "text.txt", "--model", "net", "--targets", "z")),
        ("name what to merge", ("lora", "merge", "--model", "net")),
        ("no adapter is named", ("lora", "swap", "text.txt", "--model", "net", "--length", "8")),
        ("damaged or no checkpoint", ("checkpoint", "cut")),
        ("No such file", ("checkpoint", "net")),
        ("config.txt", ("lora", "merge", "--model", "net", "--adapter", "net")),
    ],
)
def test_bad_input_is_one_line(words: str, arguments: tuple[str, ...], place: Path) -> None:
    (place / "short.txt").write_text("too few")
    (place / "damaged.txt").write_bytes(b"\xff\xfe\xff")
    (place / "cut").mkdir()
    (place / "cut" / "checkpoint.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    refused(words, *arguments, cwd=place)
    assert not (place / "fresh-trained" / "checkpoint.safetensors").exists()
