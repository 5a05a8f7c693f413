"""Recorded benchmarks: what they hold, what a search may see of them, and transfers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netwright import search
from netwright.errors import UserError
from netwright.estimate import predictors, tables
from netwright.estimate.predictors.transfer import latency
from netwright.estimate.tables.nb201 import NB201
from netwright.estimate.tables.own import own
from netwright.search import Objective, Pool
from netwright.spaces import Choice, Space
from netwright.study.compare import Budget, compare
from netwright.study.simulate import simulate
from netwright.study.statistics import better, corrected, interval, rank_correlation, relative_improvement

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


@pytest.fixture(scope="module")
def nb201(shared_data: Path) -> NB201:
    found = tables.get("nb201", str(shared_data))
    assert isinstance(found, NB201)
    return found


def test_nas_bench_201_holds_what_was_published(nb201: NB201) -> None:
    assert len(nb201) == 15_625 and len(nb201.scored) == 9_445
    optima = {"test": (94.373, 6111), "test-cifar100": (73.513, 9930), "test-imagenet16": (47.311, 857)}
    for signal, (value, row) in optima.items():
        assert nb201.values(signal).max() == pytest.approx(value, abs=1e-3)
        assert nb201.query(nb201.candidate(row), signal) == nb201.values(signal).max()
    assert nb201.values("test").mean() == pytest.approx(87.04, abs=0.01)
    assert nb201.row(nb201.parse(BEST)) == 6111


def test_a_reading_says_what_it_is_of(nb201: NB201) -> None:
    reading = nb201.query(BEST, "val12")
    assert reading.signal.split == "validation" and repr(reading).endswith("(val12)")
    with pytest.raises(UserError, match='no signal "val13"'):
        nb201.query(BEST, "val13")
    with pytest.raises(UserError, match="holds no synflow"):
        nb201.query("|none~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|", "synflow")


def test_a_search_never_sees_a_test_column(nb201: NB201) -> None:
    poisoned = NB201("nb201", nb201.space, nb201.keys, list(nb201.signals.values()), {
        name: np.full(len(nb201), np.nan) if nb201.signal(name).split == "test" else column
        for name, column in nb201.columns.items()})
    rows = nb201.scored[:1500]
    scores = {name: nb201.values(name)[rows] for name, s in nb201.signals.items() if s.split == "score"}
    pool = Pool([nb201.candidate(int(row)) for row in rows], scores,
                np.array([nb201.space.encode(nb201.candidate(int(row))) for row in rows]))
    for name in ("scored", "robot"):
        runs = [simulate(search.get(name)(table.space, [Objective("val12", "max")], candidates=pool), table, "val12",
                         queries=20) for table in (nb201, poisoned)]
        assert runs[0].rows.tolist() == runs[1].rows.tolist()
        assert len(runs[0].rows) == 20
    with pytest.raises(UserError, match="measured on test data"):
        simulate(search.get("random")(nb201.space, [Objective("test", "max")]), nb201, "test", queries=5)


def test_the_published_protocol(nb201: NB201) -> None:
    """Dong and Yang 2020, table 5: 93.70 and 93.92 over 500 runs; 60 runs here, within three of their standard errors."""
    for name, settings, published in (("random", {}, 93.70), ("regularised-evolution", {"population": 10, "sample": 3}, 93.92)):
        chosen = []
        for seed in range(60):
            run = search.get(name)(nb201.space, [Objective("val12", "max")], seed=seed, unique=False, **settings)
            curve = simulate(run, nb201, "val12", seconds=12_000)
            assert curve.seconds[-1] <= 12_000 and np.all(np.diff(curve.seconds) > 0)
            chosen.append(nb201.values("test")[curve.chosen])
        assert np.mean(chosen) == pytest.approx(published, abs=3 * 0.36 / np.sqrt(60) + 0.1)


def test_incumbents_are_running_bests(nb201: NB201) -> None:
    curve = simulate(search.get("random")(nb201.space, [Objective("val12", "max")]), nb201, "val12", queries=50)
    assert curve.values[curve.incumbents].tolist() == np.maximum.accumulate(curve.values).tolist()
    assert curve.chosen == curve.rows[np.argmax(curve.values)]


def test_a_comparison_has_random_search_in_it_and_says_when_nothing_is_better(nb201: NB201) -> None:
    found = compare([nb201], {"regularised-evolution": {"population": 5, "sample": 2}}, [Budget(queries=12)],
                    signal="val12", seeds=4).to_json()
    assert {row["strategy"] for row in found["rows"]} == {"random", "regularised-evolution"}
    assert all(row["over_random_percent"] == 0 for row in found["rows"] if row["strategy"] == "random")
    assert found["correlations"][0]["spearman"] == pytest.approx(0.771, abs=1e-3)
    assert found["correlations"][0]["within_top_1_percent"] < 0.5
    with pytest.raises(UserError, match="no strategy is called"):
        compare([nb201], {"nothing": {}}, [Budget(queries=5)], signal="val12")


def test_intervals_cover_and_tests_do_not_cry_wolf() -> None:
    rng = np.random.default_rng(0)
    inside = wolf = 0
    for _ in range(400):
        found, base = rng.normal(52, 3, 10), rng.normal(50, 3, 10)
        over = relative_improvement(found, base)
        inside += over.low <= 4.0 <= over.high
        wolf += better(rng.normal(50, 3, 10), base) < 0.05
    assert 0.93 <= inside / 400 <= 0.99
    assert wolf / 400 <= 0.075
    assert corrected([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert interval([1.0]).high == np.inf
    assert rank_correlation(np.arange(1000.0), np.arange(1000.0)) == pytest.approx((1.0, 1.0))


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("kernel,width,validation:accuracy,test:accuracy,cost:seconds\n3,8,0.5,0.4,10\n5,8,0.7,0.6,20\n3,16,0.6,0.9,30\n5,16,0.8,0.7,40\n")
    table = own(path)
    assert table.space.bound() == 4 and table.query({"kernel": 5, "width": 16}, "test:accuracy") == 0.7
    curve = simulate(search.get("random")(table.space, [Objective("validation:accuracy", "max")]), table,
                     "validation:accuracy", seconds=70)
    assert len(curve.rows) >= 1 and curve.seconds[-1] <= 70
    narrower = Space("narrow", {"kernel": Choice((3,)), "width": Choice((8, 16))})
    with pytest.raises(UserError, match=r"row 2: .*kernel"):
        own(path, narrower)
    path.write_text("kernel,test:accuracy\n3,0.5\n")
    with pytest.raises(UserError, match=r"no column .validation:"):
        own(path)


def test_ten_measurements_and_other_devices_rank_a_new_one(shared_data: Path) -> None:
    from netwright.estimate.tables.nb201_latency import REFERENCES, TRAIN, counts

    table = tables.get("nb201-latency", str(shared_data))
    known = np.array([table.values(f"latency:{name}") for name in TRAIN]).T
    rows = np.array(REFERENCES)
    ranks = []
    for new in ("fpga", "eyeriss", "gold_6226"):
        truth = table.values(f"latency:{new}")
        ranks.append(rank_correlation(latency(known, counts(table), rows, truth[rows]), truth)[0])
    assert min(ranks) > 0.95
    with pytest.raises(ValueError, match="positive"):
        latency(known, counts(table), rows, np.zeros(10))


@pytest.mark.parametrize("name", [name for name in predictors.names() if name != "graph-network"])
def test_predictors_rank_what_they_were_not_shown(name: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (300, 20)).astype(float)
    y = x @ rng.standard_normal(20) + 0.1 * rng.standard_normal(300)
    model = predictors.get(name)(seed=0)
    model.fit(x[:150], y[:150])
    assert rank_correlation(model.predict(x[150:]), y[150:])[0] > 0.5
