"""The dashboard of a study with our pages beside it, fetched over HTTP."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from folders import search, write

from netwright import spaces
from netwright.errors import UserError
from netwright.report.site import Site, found, serve
from netwright.search import Objective, Trial
from netwright.study import Record

pytest.importorskip("optuna_dashboard", reason="needs netwright[ui]")


def write_study(folder: Path) -> None:
    """A log of three trials: told, failed, running."""
    space = spaces.get("conv-small")
    record = Record(folder / "study.journal", "search", space, (Objective("loss"),))
    record.create({"seed": 0})
    rng = np.random.default_rng(0)
    trials = [Trial(number, space.sample(rng)) for number in range(3)]
    for trial in trials:
        record.asked(trial)
    record.told(trials[0], {"loss": 0.25}, "ok")
    record.told(trials[1], {}, "failed")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    write_study(tmp_path)
    (tmp_path / "graph.txt").write_text('graph "x"\n')
    (tmp_path / "a & b.bin").write_bytes(b"\x00\x01")
    (tmp_path.parent / "secret.txt").write_text("secret")
    with serve(Site(str(tmp_path)), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def test_the_dashboard_and_our_pages_link_to_each_other(address: str) -> None:
    overview, dashboard = get(f"{address}/netwright/"), get(f"{address}/dashboard")
    assert 'href="/dashboard"' in overview and 'href="/netwright/"' in dashboard and "bundle.js" in dashboard
    assert get(f"{address}/dashboard/studies/0") == dashboard and get(f"{address}/") == dashboard
    assert get(f"{address}/netwright") == overview
    assert len(get(f"{address}/static/bundle.js")) > 100_000


def test_the_dashboard_sees_the_trials_and_the_names_of_the_objectives(address: str) -> None:
    studies = json.loads(get(f"{address}/api/studies"))
    assert [s["study_name"] for s in studies["study_summaries"]] == ["search"]
    detail = json.loads(get(f"{address}/api/studies/0?after=0"))
    assert [t["state"] for t in detail["trials"]] == ["Complete", "Fail", "Running"]
    assert detail["trials"][0]["values"] == [0.25] and detail["objective_names"] == ["loss"]


def test_the_overview_counts_and_names_and_serves_the_folder_and_nothing_else(address: str) -> None:
    overview = get(f"{address}/netwright/")
    assert "minimize loss" in overview and "0.25" in overview and "a &amp; b.bin" in overview
    assert "study.journal" not in overview and "when the search" in overview
    assert get(f"{address}/netwright/graph.txt") == 'graph "x"\n'
    assert get(f"{address}/netwright/a%20%26%20b.bin") == "\x00\x01"
    for name in ("../secret.txt", "..%2Fsecret.txt", "study.journal", "nothing", "report.html"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{address}/netwright/{name}")
        assert refused.value.code == 404


def test_the_report_of_a_finished_study_is_served_with_links(tmp_path: Path) -> None:
    write(tmp_path, search())
    write_study(tmp_path)
    site = Site(str(tmp_path))
    status, kind, body = site.page("report.html")
    assert status == "200 OK" and kind.startswith("text/html")
    assert b'href="/netwright/"' in body and b'href="/dashboard"' in body and b"netwright report" in body
    assert "The report" in site.overview()


def test_what_is_no_study_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no study"):
        found(str(tmp_path))
    with pytest.raises(UserError, match="is not there"):
        found(str(tmp_path / "nothing"))
    (tmp_path / "study.journal").write_text("not a journal\n")
    with pytest.raises(UserError, match="damaged study file: line 1 is not of a study's journal"):
        Site(str(tmp_path))
    (tmp_path / "study.journal").write_text("")
    with pytest.raises(UserError, match="there is no study in"):
        Site(str(tmp_path))


def test_a_port_in_use_is_one_line(address: str, tmp_path: Path) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(UserError, match=r"cannot listen on 127\.0\.0\.1:.*choose another --port"):
        serve(Site(str(tmp_path)), "127.0.0.1", port)


def test_without_the_dashboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UserError, match=r"pip install 'netwright\[ui\]'"):
        Site(str(tmp_path))


