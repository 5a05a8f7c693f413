"""Recipes: found by name, honest about missing data, measured on the artefact."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netwright import systems
from netwright.errors import UserError
from netwright.systems import hhnas_am, mcuformer, orion


def test_every_recipe_states_its_claims_with_their_conditions() -> None:
    for name in systems.names():
        system = systems.get(name)
        assert system.claims
        assert all(c.published and c.conditions and c.unit for c in system.claims)


@pytest.mark.parametrize("name", systems.names())
def test_missing_data_are_named(name: str) -> None:
    """What needs none is measured without."""
    for claim in systems.get(name).claims:
        try:
            found = claim.measure(None, 0)
        except UserError as error:
            assert re.search(r"needs [\w.-]+/.* of the recorded data: give --data DIR", str(error))
            continue
        if claim.measure is orion.reload:  # whose claim is about time
            assert "0 compiles" in found.note
        elif claim.measure is not hhnas_am.planted:  # which does not hold
            assert found.holds, found.note


def test_wake_words_in_patches_fit_32_kilobytes(shared_data: Path) -> None:
    found = systems.get("mcunet-v2").claims[1].measure(shared_data, 0)
    assert found.holds
    assert "NOT" not in found.note
    assert found.value < 32_768


def test_training_in_256_kilobytes_is_measured(shared_data: Path) -> None:
    found = systems.get("tiny-training-engine").claims[0].measure(shared_data, 0)
    assert found.holds
    assert 100_000 < found.value < 262_144


def test_the_keyword_network_fits_beside_its_code(shared_data: Path) -> None:
    found = systems.get("ds-cnn-kws").claims[2].measure(shared_data, 0)
    assert found.holds
    assert 30_000 < found.value < 53_936


def test_token_overwriting_halves_the_arena_and_keeps_the_bytes(shared_data: Path) -> None:
    found = systems.get("mcuformer").claims[0].measure(shared_data, 0)
    assert found.holds
    assert "NOT" not in found.note


def test_recorded_encoders_are_counted_exactly_and_ranked_by_their_size(shared_data: Path) -> None:
    counted, ranked = (claim.measure(shared_data, 0) for claim in systems.get("training-free-rnn-transformer").claims[2:4])
    assert counted.holds and counted.value == 500
    assert ranked.holds and "alone reach 0.745" in ranked.note


def test_the_published_memory_formula_of_vision_transformers() -> None:
    """240 px: patches of 16 are refused at 320 kB, patches of 20 are not."""
    assert mcuformer.formula_bytes(226, 192, 4, 0.9) == 349_670
    assert mcuformer.formula_bytes(145, 168, 3.5, 0.6) == 168_890


def test_reproduce_without_data_is_one_line_and_status_2() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "NETWRIGHT_DATA"}
    command = [sys.executable, "-m", "netwright", "reproduce", "ds-cnn-kws", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1


def test_systems_are_listed_as_json() -> None:
    command = [sys.executable, "-m", "netwright", "systems", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ds-cnn-kws" in [s["name"] for s in json.loads(done.stdout)["systems"]]
