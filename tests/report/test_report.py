"""The report: valid, self-contained, safe, and honest about what is modelled."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from folders import network, search, trial, write

from netwright.errors import UserError
from netwright.report import write_report
from netwright.report.reproduce import command

VOID = {"meta", "br", "input", "link", "img", "hr"}
HOSTILE = '<script>alert("x")</script>&\'"><img src=http://e.example/>'


class Page(HTMLParser):
    """Checks nesting while it collects the elements, their attributes and their text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.titles = 0
        self.words: list[str] = []
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "title" and "svg" in self.open:
            self.titles += 1

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)


def drawn(folder: Path, **options: object) -> tuple[str, Page]:
    path = write_report(folder, **options)  # type: ignore[arg-type]
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    return drawn(write(tmp_path_factory.mktemp("report") / "usual", search()))


def test_page_is_well_formed_and_has_every_part(usual: tuple[str, Page]) -> None:
    text, page = usual
    assert text.startswith("<!doctype html>")
    for part in (
        "Pareto front",
        "Search progress",
        "layer by layer",
        "Memory over time",
        "Confusion matrix",
        "reproduce",
    ):
        assert part in text
    assert sum(tag == "svg" for tag, _ in page.elements) >= 8


def test_page_fetches_nothing(usual: tuple[str, Page]) -> None:
    text, page = usual
    for tag, attributes in page.elements:
        assert tag not in ("img", "link", "iframe", "object", "embed")
        assert not {"src", "href", "xlink:href", "action", "srcset"} & set(attributes)
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttp", text)
    assert "default-src 'none'" in text


def test_marks_carry_their_numbers(usual: tuple[str, Page]) -> None:
    text, page = usual
    assert page.titles > 60
    assert re.search(
        r"<title>trial 5.*?validation loss: 0\.2667.*?latency \(modelled\): 8 ms.*?width = 13", text, re.DOTALL
    )
    assert re.search(r"<title>a\.conv.*?int8 1×8×8×4.*?256 B at \d+.*?alive: steps 1 to 2", text, re.DOTALL)
    assert "true two, predicted one: 1 of 12 (8.3 %)" in text


def test_every_millisecond_and_cycle_is_called_modelled(usual: tuple[str, Page]) -> None:
    text, _ = usual
    body = text[text.index("<body>") : text.index("<script>")]
    found = list(re.finditer(r"\d[\d.,]*[\s\u00a0](ms|cycles)\b", body))
    assert len(found) > 10
    for figure in found:
        around = body[max(0, figure.start() - 150) : figure.end() + 40]
        assert "modelled" in around, around


def test_names_from_data_are_never_markup(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "hostile",
        [trial(0, 0.4, **{HOSTILE: HOSTILE}), trial(1, 0.2)],
        [HOSTILE, "b\x00\u202e", "c"],
        strategy=HOSTILE,
        space=HOSTILE,
        recipe={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        candidate={HOSTILE: HOSTILE},
        violations=[HOSTILE],
        task={"name": HOSTILE, "held_out": HOSTILE, "dtype": HOSTILE, "digest": HOSTILE},
        settings={"task": HOSTILE, "device": HOSTILE, "recipe": {HOSTILE: HOSTILE}},
        search={"objectives": [{"name": "loss", "direction": "min"}], "drawn": {"random": 4, "pool": 1}, "chosen": 1},
    )
    result = json.loads((folder / "result.json").read_text())
    for layer in result["modelled"]["layers"]:
        layer["name"] = layer["op"] = HOSTILE
    result["device"]["name"] = HOSTILE
    result["profile"]["compiler"] = HOSTILE
    result["profile"]["ram_bytes"][HOSTILE] = 3
    (folder / "result.json").write_text(json.dumps(result))
    text, page = drawn(folder)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "img" not in [tag for tag, _ in page.elements]
    assert "<script>alert" not in text and "\x00" not in text and "\u202e" not in text


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [trial(0, 0.5)],
        [trial(0, None, "failed")],
        [trial(0, 0.5), trial(1, 0.5)],
        [trial(0, None, "failed"), trial(1, 0.0)],
    ],
)
def test_any_number_of_trials_can_be_drawn(tmp_path: Path, trials: list[dict[str, object]]) -> None:
    text, _ = drawn(write(tmp_path / "few", trials))
    assert ("Search progress" in text) == any(t["status"] == "ok" for t in trials)
    assert "nan" not in re.sub(r"<title>.*?</title>", "", text.lower().split("<body>")[1].split("<script>")[0])


def test_matrix_with_a_class_that_was_never_seen(tmp_path: Path) -> None:
    text, _ = drawn(write(tmp_path / "zero", search(4), confusion=[[0, 0, 0], [0, 5, 1], [0, 0, 7]]))
    assert "0 of 0" in text and "nan" not in text.split("<section>")[5].lower()
    text, _ = drawn(write(tmp_path / "none", search(4), confusion=np.zeros((3, 3), int)))
    assert "Confusion matrix" not in text


def test_many_classes_are_listed_by_pair(tmp_path: Path) -> None:
    counts = np.eye(40, dtype=int) * 10
    counts[7, 31] = 6
    text, page = drawn(write(tmp_path / "many", search(4), [f"class {i}" for i in range(40)], counts))
    assert "Most often confused" in text and "class 31" in "".join(page.words)
    assert "true class 7, predicted class 31: 6 of 16" in text


def test_recorded_random_study_is_the_baseline(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", search())
    text, _ = drawn(folder)
    assert "the first 3 trials of this study, which were drawn at random, each the largest of 4 random draws" in text
    other = write(tmp_path / "random", search(9), strategy="random")
    text, _ = drawn(folder, baseline=other)
    assert "the 8 trials of the random study in random" in text
    with pytest.raises(UserError, match="not a random search"):
        write_report(folder, baseline=folder)
    foreign = write(tmp_path / "foreign", search(9), strategy="random", task={"name": "other", "digest": "cd"})
    with pytest.raises(UserError, match="other data"):
        write_report(folder, baseline=foreign)


def test_no_random_draws_are_made_up(tmp_path: Path) -> None:
    search_ = {"objectives": [{"name": "loss", "direction": "min"}], "drawn": {"random": 0, "pool": 1}, "chosen": 0}
    text, _ = drawn(write(tmp_path / "a", search(), search=search_))
    assert "Random search is not drawn in" in text and "expected best of" not in text


def test_what_does_not_fit_says_so(tmp_path: Path) -> None:
    text, _ = drawn(
        write(tmp_path / "a", search(), violations=["RAM 5,000 B is over the limit of 4,096 B"], byte_equal=False)
    )
    assert "<b>Does not fit.</b> RAM 5,000 B is over" in text and "not byte-equal" in text


def test_folder_of_something_else_is_refused_in_one_line(tmp_path: Path) -> None:
    for content in (None, "{", "[]", '{"accuracy": 1}'):
        if content is not None:
            (tmp_path / "result.json").write_text(content)
        with pytest.raises(UserError) as refused:
            write_report(tmp_path)
        assert "result.json" in str(refused.value) and "\n" not in str(refused.value)
    assert not list(tmp_path.glob("*.html"))


def test_report_is_the_same_twice_and_leaves_no_other_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", search(), graph=network("deep", 8))
    before = {p.name for p in folder.iterdir()}
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert {p.name for p in folder.iterdir()} == before | {"report.html"}


def test_command_line_repeats_the_settings() -> None:
    settings = {
        "task": "my data/",
        "device": "cortex-m4",
        "ram": 4096,
        "flash": None,
        "latency": "20ms",
        "space": "auto",
        "strategy": "random",
        "objectives": ["loss", "latency_ms"],
        "evaluations": 8,
        "budget_s": 90.0,
        "workers": 1,
        "seed": 0,
        "recipe": {"epochs": 3},
        "label": "a b",
    }
    assert command(settings) == (
        "netwright fit 'my data/' --device cortex-m4 --ram 4096 --latency 20ms --label 'a b' --strategy random --evaluations 8 "
        "--seed 0 --budget 90s --objective loss --objective latency_ms --recipe epochs=3"
    )


def test_drawing_loads_no_heavy_package(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", search())
    code = (
        "import sys; from netwright.report import write_report; write_report(sys.argv[1]);"
        "print([m for m in ('torch', 'optuna', 'scipy', 'onnx', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
