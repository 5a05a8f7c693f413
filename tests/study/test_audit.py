"""Claims with planted mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from netwright.errors import UserError
from netwright.estimate import tables
from netwright.study.audit import audit
from netwright.study.compare import Budget, compare

RECIPE = {"epochs": 50, "augment": {"flip": True, "cutout": 0}}


def claim() -> dict[str, Any]:
    """Nothing is wrong with this one."""
    rng = np.random.default_rng(0)
    arms = [{"name": name, "values": (mean + 0.2 * rng.standard_normal(8)).tolist(), "recipe": copy.deepcopy(RECIPE),
             "budget": "100 trainings"} for name, mean in (("mine", 94.2), ("random search", 93.6))]
    return {"method": {**arms[0], "selected_by": "validation"}, "baseline": arms[1]}


def test_an_honest_claim_passes() -> None:
    assert audit(claim()) == []
    assert audit({"claims": [claim(), claim()]}) == []


def of_method(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda given: given["method"].update(changes)


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no-baseline": (lambda given: given.pop("baseline"), "random architectures of the same space"),
    "few-seeds": (lambda given: given["method"].update(values=given["method"]["values"][:1]), r"1 run\(s\)"),
    "other-recipe": (of_method(recipe={**RECIPE, "epochs": 600}), "epochs: 600 against the baseline's 50"),
    "selected-on-test": (of_method(selected_by="CIFAR-10 test"), "chosen by CIFAR-10 test"),
    "best-seed": (lambda given: given["method"].update(reported=max(given["method"]["values"])), "is the best seed"),
    "no-budget": (of_method(budget=""), "could spend is not said"),
    "other-budget": (of_method(budget="1,000 trainings"), "1,000 trainings against the baseline's 100 trainings"),
    "not-better": (lambda given: given["baseline"].update(values=given["method"]["values"]), "chance alone"),
}


@pytest.mark.parametrize("rule", MISTAKES)
def test_a_planted_mistake_is_found(rule: str) -> None:
    import re

    given = claim()
    plant, words = MISTAKES[rule]
    plant(given)
    found = {finding.rule: finding.words for finding in audit(given)}
    assert rule in found and re.search(words, found[rule])
    assert set(found) <= {rule, "not-better", "other-budget"}


def test_other_augmentation_is_another_recipe() -> None:
    given = claim()
    given["method"]["recipe"]["augment"]["cutout"] = 16
    (finding,) = audit(given)
    assert finding.rule == "other-recipe" and finding.words == "augment.cutout: 16 against the baseline's 0"


def test_comparisons_are_audited_as_they_are_printed(shared_data: Any) -> None:
    table = tables.get("nb201", str(shared_data))
    made = compare([table], {"regularised-evolution": {"population": 5, "sample": 2}}, [Budget(queries=8)],
                   signal="val12", seeds=3)
    rules = {finding.rule for finding in audit(made.to_json())}
    assert "few-seeds" in rules and not rules & {"no-baseline", "no-budget", "other-budget", "selected-on-test"}


def test_rounding_is_no_fault_and_a_baseline_needs_runs_too() -> None:
    given = claim()
    given["method"]["reported"] = round(float(np.mean(given["method"]["values"])), 2)
    given["method"]["selected_by"] = "the latest validation"
    assert audit(given) == []
    given["baseline"]["values"] = given["baseline"]["values"][:1]
    assert {finding.rule for finding in audit(given)} == {"few-seeds"}


@pytest.mark.parametrize("given", [
    {}, {"claims": []}, {"claims": [1]}, {"claims": "abc"}, {"method": {"values": []}}, {"method": {"values": ["a"]}},
    {"method": {"values": [float("nan")] * 5}}, {"method": {"values": [1.0]}, "baseline": {"values": 3}},
    {"method": {"values": [1.0], "reported": "94.2 %"}}, {"method": {"values": [1.0], "recipe": "50 epochs"}},
])
def test_what_is_no_claim_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        audit(given)
