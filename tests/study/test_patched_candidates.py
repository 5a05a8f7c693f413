"""Studies whose candidates may compute their first layers band by band."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netwright
from netwright import devices, spaces, tasks
from netwright.compress.quantise import prepared, quantise
from netwright.errors import UserError
from netwright.report.reproduce import command
from netwright.study.evaluate import Evaluator, ranges, with_front_end
from netwright.train import default_recipe


def test_candidates_that_fit_in_patches_alone_run_so(tmp_path: Path) -> None:
    task, space = tasks.load("digits"), spaces.get("conv-small")
    device = devices.get("cortex-m4", ram="2KB", flash="32KB")
    recipe = default_recipe(task.kind, task.x.shape, len(task.train.y))
    whole = Evaluator(space, task, device, recipe)
    patched = Evaluator(space, task, device, recipe, options={"patches": "auto"})
    rng = np.random.default_rng(0)
    candidates = [space.sample(rng) for _ in range(150)]
    fitting = [c for c in candidates if whole.fits(c)]
    more = [c for c in candidates if patched.fits(c) and c not in fitting]
    assert more and all(patched.fits(c) for c in fitting)
    floating = patched.build(more[0]).graph
    floating = floating.with_store(floating.store.initialise(floating, 0))
    ready, samples = prepared(floating), task.inputs(task.train.x[:32], floating.inputs[0].shape)
    graph = with_front_end(task, quantise(ready, ranges=ranges(task, ready, samples)))
    program = device.compile(graph, patched.options, tmp_path)
    readings = task.front_end.readings(task.test, device.lowered(floating).inputs[0].type)[:5]
    assert np.array_equal(program.run(readings)[0], graph.run(readings)[0])
    assert program.profile().ram_total <= 2048 < device.cost(graph).ram_total


def test_a_study_takes_patches_or_says_what_it_takes(tmp_path: Path) -> None:
    study = netwright.fit(
        "digits", "cortex-m4", ram="3KB", flash="32KB", evaluations=1, patches="auto", recipe={"epochs": 1}, out=tmp_path
    )
    assert study.result["byte_equal"] and study.result["settings"]["patches"] == "auto"
    assert "--patches auto" in command(study.result["settings"])
    with pytest.raises(UserError, match="auto or none, not '0-1:2'"):
        netwright.fit("digits", "cortex-m4", patches="0-1:2", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()
