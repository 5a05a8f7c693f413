"""The part of a space that a device uses best."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import netwright
from netwright import devices, spaces
from netwright.errors import Refused, UserError
from netwright.graph import Type
from netwright.report.reproduce import command
from netwright.spaces import Candidate, Choice, Int, Space, narrow
from netwright.spaces.narrow import LEAST, QUANTILE

TREE = {"size": Choice((1, 2, 3, 4, 6, 8)), "depth": Int(1, 12), "kind": Choice(("a", "b"))}
TOY = Space("toy", TREE, scales=("size",))


def takes(candidate: Candidate) -> bool:
    return candidate["size"] * (candidate["depth"] + 3) <= 40


def computes(candidate: Candidate) -> float:
    return float(candidate["size"] ** 2 * candidate["depth"])


def test_the_part_with_the_most_macs_among_what_fits_is_chosen() -> None:
    exact = {}
    for size in TREE["size"].values:
        fitting = [computes(c) for c in TOY.enumerate() if c["size"] == size and takes(c)]
        exact[size] = float(np.quantile(fitting, QUANTILE)) if fitting else 0.0
    found = narrow(TOY, takes, computes, samples=600)
    assert found.parts[0].scales == {"size": max(exact, key=exact.__getitem__)}
    for part in found.parts:
        assert part.macs == pytest.approx(exact[part.scales["size"]], rel=0.15)
        assert part.drawn == 600 and (part.fitting == 0) == (part.macs == 0)
    assert {p.scales["size"] for p in found.parts} == set(exact)
    again = narrow(TOY, takes, computes, samples=600)
    assert again.parts == found.parts


def test_candidates_of_a_part_are_the_whole_spaces_too() -> None:
    found = narrow(TOY, takes, computes).space
    rng = np.random.default_rng(0)
    for _ in range(50):
        candidate = found.sample(rng)
        assert TOY.validate(candidate) == candidate == found.validate(candidate)
        assert found.mutate(candidate, rng)["size"] == candidate["size"]
    assert found.count() * len(TREE["size"].values) == TOY.count()
    assert pickle.loads(pickle.dumps(found)).scales == ("size",)


def test_a_part_of_which_hardly_any_network_fits_is_not_chosen() -> None:
    few = narrow(TOY, lambda c: c["size"] < 8 or (c["depth"], c["kind"]) == (12, "a"), computes, samples=600)
    large = next(p for p in few.parts if p.scales["size"] == 8)
    assert 0 < large.fitting < LEAST * large.drawn and large.macs > few.parts[0].macs
    assert few.parts[0].scales["size"] == 6 and few.parts[-1] is large
    with pytest.raises(Refused, match="of no part of 'toy'"):
        narrow(TOY, lambda c: False, computes)
    with pytest.raises(ValueError, match="names no scales"):
        narrow(Space("plain", TREE), takes, computes)


def test_more_memory_asks_for_larger_networks() -> None:
    space, x, y = spaces.get("mobilenet"), Type((1, 3, 32, 32)), Type((1, 10))
    best = []
    for ram in ("16KB", "128KB"):
        device = devices.get("cortex-m4", ram=ram, flash="1MB")
        found = narrow(
            space,
            lambda c, device=device: not device.check(space.build(c, x, y).graph),
            lambda c: space.build(c, x, y).graph.macs,
            samples=8,
        )
        best.append(found.parts[0])
    assert best[1].macs > 2 * best[0].macs


def test_a_study_may_decide_scales_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(narrow.__kwdefaults__, "samples", 10)
    study = netwright.fit(
        "digits", "cortex-m4", ram="6KB", flash="40KB", space="mobilenet", narrow=True, evaluations=1,
        recipe={"epochs": 1}, out=tmp_path / "out",
    )  # fmt: skip
    parts = study.result["search"]["parts"]
    assert len(parts) == 30 and parts[0]["macs"] == max(p["macs"] for p in parts if p["fitting"] >= 1)
    candidate = study.result["candidate"]
    assert {name: candidate[name] for name in ("resolution", "width")} == parts[0]["scales"]
    assert command(study.result["settings"]).endswith("--narrow --recipe epochs=1")
    with pytest.raises(UserError, match=r"'mlp' has no scales to decide first .*mobilenet, vit"):
        netwright.fit("digits", "cortex-m4", space="mlp", narrow=True, out=tmp_path / "other")
    assert not (tmp_path / "other").exists()
