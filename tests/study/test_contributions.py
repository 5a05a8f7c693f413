"""How much of an accuracy is the recipe's, the architecture's and the seed's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data import write_npz

from netwright import devices, spaces, tasks
from netwright.cli.app import _register, app
from netwright.errors import UserError
from netwright.search import Trial
from netwright.spaces import Candidate
from netwright.study.contributions import Contributions, Rung, contributions, ladder
from netwright.train import default_recipe


def made(accuracy: np.ndarray) -> Contributions:
    rungs = [Rung(str(at), {}) for at in range(len(accuracy))]
    return Contributions("space", "task", rungs, [Candidate({"a": at}) for at in range(accuracy.shape[1])], accuracy)


def test_variance_goes_to_where_it_was_put() -> None:
    recipe, architecture = np.array([0.1, 0.5, 0.9])[:, None, None], np.array([0.0, 0.1, 0.2, 0.3])[None, :, None]
    noise = 0.01 * np.random.default_rng(0).standard_normal((3, 4, 5))
    whole = np.zeros((3, 4, 5))
    assert made(whole + recipe).shares()["recipe"] == pytest.approx(1)
    assert made(whole + architecture).shares()["architecture"] == pytest.approx(1)
    assert made(whole + recipe * architecture).shares()["interaction"] > 0.05
    assert made(noise).shares()["seed"] > 0.5
    shares = made(recipe + architecture + noise).shares()
    assert sum(shares.values()) == pytest.approx(1)
    # sums of squares of the two effects: 20 * 0.32 and 15 * 0.05
    assert shares["recipe"] / shares["architecture"] == pytest.approx(20 * 0.32 / (15 * 0.05), rel=0.1)
    assert made(recipe + architecture + noise).between_seeds() > 0.9
    assert abs(made(noise).between_seeds()) < 0.6


def test_a_ladder_begins_bare_and_ends_longer() -> None:
    whole = default_recipe("image", (1, 3, 32, 32), 50_000)
    rungs = ladder()
    bare = whole.changed(rungs[0].off)
    assert (bare.smoothing, bare.ema, bare.decay, bare.schedule) == (0, 0, 0, "constant") and not bare.augment.flip
    assert whole.changed(rungs[-1].off) == whole and rungs[-1].fidelity > 1 and rungs[-2].off == {}
    assert [len(rung.off) for rung in rungs] == [6, 4, 2, 1, 0, 0]


def test_what_a_space_brings_does_not_come_back_into_a_bare_recipe(tmp_path: Path) -> None:
    from netwright.study.evaluate import Evaluator
    from netwright.train import loop

    task = tasks.load(str(write_npz(tmp_path / "task.npz")), seed=0)
    space = spaces.get("vit")
    candidate = space.sample(np.random.default_rng(0))
    assert space.build(candidate, task.x, task.y).recipe["decay"] > 0
    whole, device = default_recipe("image", (1, 1, 8, 8), 100), devices.get("host")
    seen = []

    def stop(graph: object, x: object, y: object, recipe: object, **settings: object) -> None:
        seen.append(recipe)
        raise FloatingPointError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netwright.train.train", stop)
        with pytest.raises(FloatingPointError):
            Evaluator(space, task, device, whole, off=ladder()[0].off)(Trial(0, candidate))
    assert loop.train is not stop and seen[0].decay == 0 and seen[0].schedule == "constant"


def test_real_trainings_are_taken_apart_and_drawn(tmp_path: Path) -> None:
    task = tasks.load(str(write_npz(tmp_path / "task.npz")), seed=0)
    device = devices.get("cortex-m4", ram="8KB", flash="64KB")
    found = contributions(task, device, architectures=3, seeds=2, recipe={"batch": 32})
    assert found.accuracy.shape == (6, 3, 2) and 0.2 < found.accuracy.mean() <= 1
    again = contributions(task, device, architectures=3, seeds=2, recipe={"batch": 32})
    assert (found.accuracy == again.accuracy).all()
    from netwright.report.contributions import page

    html = page(json.loads(json.dumps(found.to_json())))
    assert html.count("<circle") == 2 * 6 * 3 * 2 and "+ augmentation" in html
    with pytest.raises(UserError, match="at least 3 architectures"):
        contributions(task, device, architectures=2)
    with pytest.raises(UserError, match="fit the device, not 9"):
        contributions(task, devices.get("cortex-m4", ram="700B", flash="4KB"), architectures=9)


def test_the_commands_are_there() -> None:
    _register()
    assert {"ablate", "audit"} <= {command.name for command in app.registered_commands}
