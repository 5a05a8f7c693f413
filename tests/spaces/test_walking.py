"""Every operation is the same walk: it replays exactly, stays in the space, and leaves other places alone."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_trees import everything, expressions, ofa, trees, typed

from netwright.errors import Refused, UserError
from netwright.spaces import Candidate, Choice, Chosen, Constraint, Int, OneOf, Repeat, Space, Tie

SPACES = (everything(), ofa(), expressions(12), typed())
spaces = st.one_of(st.sampled_from(SPACES), trees.map(lambda tree: Space("random", tree)))
seeds = st.integers(0, 2**32 - 1)
ways = st.sampled_from(("decision", "candidate", "prior"))


@given(spaces, seeds, ways)
@settings(max_examples=150, deadline=None)
def test_a_sample_validates_and_replays_to_itself(space: Space, seed: int, by: str) -> None:
    candidate = space.sample(np.random.default_rng(seed), by)
    structure, again = space.walk(lambda address, domain: candidate[address])
    assert again == candidate == space.validate(dict(candidate))
    assert list(again) == list(candidate)
    assert structure == space.decode(candidate)
    assert space.distance(candidate, candidate) == 0


@given(spaces, seeds)
@settings(max_examples=100, deadline=None)
def test_json_round_trip_keeps_candidate_order_and_key(space: Space, seed: int) -> None:
    candidate = space.sample(np.random.default_rng(seed))
    back = Candidate.from_json(candidate.to_json())
    assert back == candidate and list(back) == list(candidate) and hash(back) == hash(candidate)
    assert back.key == candidate.key and len(back.key) == 16
    assert json.loads(candidate.to_json()).keys() == set(candidate)
    assert pickle.loads(pickle.dumps(candidate)) == candidate


@given(spaces, seeds, st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_mutation_and_crossover_never_leave_the_space(space: Space, seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = space.sample(rng), space.sample(rng)
    child = space.crossover(one, two, rng)
    assert space.validate(child) == child
    if space.count() > 1:
        try:
            mutant = space.mutate(one, rng, number=number)
        except Refused:
            return
        assert space.validate(mutant) == mutant


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_mutating_one_stage_changes_no_decision_of_another(seed: int) -> None:
    space, rng = ofa(), np.random.default_rng(seed)
    candidate, stage = space.sample(rng), seed % 5
    place = f"stages/{stage}"
    mutant = space.mutate(candidate, rng, number=2, within=place)
    assert mutant != candidate
    others = [{address: value for address, value in point.items() if not address.startswith(place)}
              for point in (candidate, mutant)]
    assert others[0] == others[1]


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_one_mutation_redraws_one_decision_and_only_adds_what_it_brings_in(seed: int) -> None:
    space, rng = ofa(), np.random.default_rng(seed)
    candidate = space.sample(rng)
    mutant = space.mutate(candidate, rng)
    assert sum(mutant[address] != candidate[address] for address in candidate if address in mutant) == 1


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_a_child_has_every_shared_decision_from_a_parent(seed: int) -> None:
    space, rng = ofa(), np.random.default_rng(seed)
    one, two = space.sample(rng), space.sample(rng)
    for address, value in space.crossover(one, two, rng).items():
        assert value in [parent[address] for parent in (one, two) if address in parent] or (
            address not in one and address not in two)


def test_repair_keeps_what_is_legal_and_draws_the_rest() -> None:
    space = ofa()
    fixed = space.repair({"stages/0.count": 2, "stages/0/0/kernel": 9, "stages/0/1/kernel": 7, "old": 1},
                         np.random.default_rng(0))
    assert fixed["stages/0.count"] == 2 and fixed["stages/0/1/kernel"] == 7 and fixed["stages/0/0/kernel"] != 9
    assert "old" not in fixed and space.validate(fixed) == fixed


@pytest.mark.parametrize(("change", "message"), [
    ({"stages/0/0/kernel": 4}, r"stages/0/0/kernel: 4 is not one of \[3, 5, 7\]"),
    ({"stages/0/0/kernel": None}, r"stages/0/0/kernel: decision missing"),
    ({"stages/0/3/kernel": 3}, r"stages/0/3/kernel: no such decision"),
    ({"stages/0.count": [1]}, r"stages/0.count: \[1\] is not one of"),
])
def test_validation_names_the_address(change: dict[str, object], message: str) -> None:
    space = ofa()
    fixed = space.repair({"stages/0.count": 2}, np.random.default_rng(0))
    decisions = {address: value for address, value in {**fixed, **change}.items() if value is not None}
    with pytest.raises(UserError, match=message):
        space.validate(decisions)


def test_structure_is_plain_and_ties_repeat_the_value_they_name() -> None:
    space = Space("s", {"width": Choice((8, 16)), "blocks": Repeat(
        {"kernel": Choice((3, 5)), "same": Tie("../kernel"), "width": Tie("width")}, (1, 2), tied=True),
        "op": OneOf({"conv": {"k": 3}, "pool": None}), "name": "net"})
    chosen = space.decode({"width": 16, "blocks.count": 2, "blocks/each/kernel": 5, "op": "conv"})
    block = {"kernel": 5, "same": 5, "width": 16}
    assert chosen == {"width": 16, "blocks": [block, block], "op": Chosen("conv", {"k": 3}), "name": "net"}


def test_a_tie_to_nothing_is_refused_when_the_space_is_made() -> None:
    with pytest.raises(ValueError, match='Tie\\("withd"\\) names no decision before it; near: width'):
        Space("s", {"width": Choice((1, 2)), "again": Tie("withd")})


def test_a_cell_reports_the_outputs_that_nothing_reads() -> None:
    plan = everything().decode(everything().repair({
        "cell/0/0/from": 0, "cell/0/1/from": 1, "cell/1/0/from": 0, "cell/1/1/from": 0}, np.random.default_rng(0)))
    assert plan["cell"].unused == (2, 3)
    assert plan["cell"].nodes[0].inputs == (0, 1)


def test_constraints_hold_for_samples_mutants_and_children_and_contradictions_are_said() -> None:
    rng = np.random.default_rng(0)
    rising = Constraint("a < b", lambda chosen: chosen["a"] < chosen["b"])
    space = Space("s", {"a": Int(1, 9), "b": Int(1, 9)}, constraints=(rising,))
    points = [space.sample(rng) for _ in range(50)]
    points += [space.mutate(point, rng) for point in points] + [space.crossover(points[0], points[1], rng)]
    assert all(point["a"] < point["b"] for point in points)
    never = Space("never", {"a": Int(1, 9)}, constraints=(Constraint("a > 9", lambda chosen: chosen["a"] > 9),))
    with pytest.raises(Refused, match=r'no legal sample in 1000 tries; of 500 drawn none keeps "a > 9"$'):
        never.sample(rng)


def test_keys_are_the_same_in_another_process() -> None:
    candidate = ofa().sample(np.random.default_rng(7))
    code = f"from netwright.spaces import Candidate; print(Candidate.from_json({candidate.to_json()!r}).key)"
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == candidate.key
