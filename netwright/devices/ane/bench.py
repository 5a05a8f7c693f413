"""How long programs of a language model take: measured on what runs them here, modelled for the profile's chip.

    found = kernels(random_gpt2(), Settings(profile="m4max-orion"))
    found.rows[0].measured_s, found.rows[0].modelled_ms
    found.slower_than(Result.read("before.json"))       # one line for each row that takes over 15 % more

Seconds are those of this machine: of its executor, unless the engine is a Mac's. Milliseconds are the latency model's
(Orion 2026, section 13), of the engine's calls alone. Neither says anything about the other.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.graph.files import write_text
from netwright.models import Model, gpt2
from netwright.models.generate import CpuRunner, Runner
from netwright.models.model import gather_parameters

from ..host.products import Products
from .cache import DECODE, bucket
from .decoder import AneRunner
from .programs import Programs

REGRESSION = 0.15  # of what it was: more is a regression (Orion 2026, bench)


@dataclass(frozen=True)
class Settings:
    """What is run. Raises UserError for a prompt that no bucket takes, and for less than one token or round.

    Attributes:
        prompt: tokens of the prompt; `kernels` takes its bucket.
        tokens: decoded after it.
        rounds: of which the median counts; one before them is not counted.
    """

    profile: str = "strict"
    engine: str = "simulator"
    prompt: int = 64
    tokens: int = 8
    rounds: int = 3

    def __post_init__(self) -> None:
        bucket(self.prompt)
        if min(self.tokens, self.rounds) < 1:
            raise UserError(f"{self.tokens} tokens in {self.rounds} rounds: at least 1 of each")


@dataclass(frozen=True)
class Row:
    """One thing that was timed.

    Attributes:
        measured_s: median seconds here, of one call or one token.
        modelled_ms: of the engine's calls in it under the profile; None where the engine has no part.
    """

    name: str
    measured_s: float
    modelled_ms: float | None


@dataclass(frozen=True)
class Result:
    """Rows with what they were measured under; JSON and back."""

    what: str
    model: str
    machine: str
    settings: Settings
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def write(self, path: str | Path) -> None:
        """Into a file, whole or not at all. Raises UserError where it cannot be written."""
        try:
            write_text(Path(path), json.dumps(self.to_json(), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from None

    @classmethod
    def read(cls, path: str | Path) -> Result:
        """What `write` wrote. Raises UserError, naming the file."""
        try:
            held = json.loads(Path(path).read_text(encoding="utf-8"))
            read = [(str(r["name"]), float(r["measured_s"]), r["modelled_ms"]) for r in held["rows"]]
            rows = tuple(Row(name, seconds, None if ms is None else float(ms)) for name, seconds, ms in read)
            found = cls(held["what"], held["model"], held["machine"], Settings(**held["settings"]), rows)
            if not all(r.measured_s > 0 for r in rows):
                raise ValueError("a time that is not above 0")
            return found
        except OSError as error:
            raise UserError(f"{path}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a baseline of `netwright bench ane` ({error})") from None

    def slower_than(self, before: Result) -> list[str]:
        """One line for each row that takes over 15 % more than it did, measured or modelled.

        Raises UserError where the two are not of one kind: another model, machine or setting.
        """
        for name in ("what", "model", "machine", "settings"):
            was, now = getattr(before, name), getattr(self, name)
            if was != now:
                raise UserError(f"the baseline cannot be compared: {name} was {was}, is {now}")
        known, lines = {r.name: r for r in before.rows}, []
        for row in self.rows:
            old = known.get(row.name)
            for kind, unit in (("measured_s", "s measured"), ("modelled_ms", "ms modelled")):
                now, was = getattr(row, kind), getattr(old, kind, None)
                if now is not None and was is not None and now > was * (1 + REGRESSION):
                    lines.append(f"{row.name}: {now:.4g} {unit}, {was:.4g} in the baseline: +{now / was - 1:.0%}")
        return lines


def random_gpt2(seed: int = 0) -> Model:
    """GPT-2 124M's shape with random weights: most tensors look into one of 154 MB, each from a place of its own."""
    config = gpt2.Config()
    shapes = gpt2.parameters(config)
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    starts = {name: start for start, name in enumerate(shapes)}
    block = np.random.default_rng(seed).standard_normal(max(sizes.values()) + len(sizes), np.float32)
    block *= np.float32(0.02)

    def read(name: str) -> np.ndarray:
        return block[starts[name] : starts[name] + sizes[name]].reshape(shapes[name])

    store = gather_parameters("gpt2", config, read)
    return Model("gpt2-124m-random", "gpt2", config, store)


def kernels(model: Model, settings: Settings) -> Result:
    """The programs of one layer: two over the prompt's bucket, two of a decode step; seconds a call."""
    size = bucket(settings.prompt)
    wanted = [("attention", size), ("feed_forward", size), ("project", DECODE), ("feed_forward", DECODE)]
    rows = []
    with TemporaryDirectory(prefix="netwright-bench-") as place:
        programs = Programs(model, settings.profile, folder=place, engine=settings.engine)
        for kind, positions in wanted:
            kernel = programs.kernel(kind, 0, positions)
            x = np.random.default_rng(0).standard_normal((positions, model.config.width)).astype(np.float32)
            seconds = _median(lambda run=kernel.run, x=x: run(x), settings.rounds)  # type: ignore[misc]
            rows.append(Row(f"{kind} over {positions}", seconds, kernel.latency_ms_modelled))
        programs.cache.clear()
    return Result("kernels", model.name, _machine(), settings, tuple(rows))


def inference(model: Model, settings: Settings) -> Result:
    """A prompt and tokens after it, all on the engine and all on the processor; seconds a prompt and a token.

    Raises UserError where prompt and tokens do not fit the network's context.
    """
    rng = np.random.default_rng(0)
    prompt, tokens = (
        [int(t) for t in rng.integers(0, model.config.vocabulary, n)] for n in (settings.prompt, settings.tokens)
    )
    context = len(prompt) + len(tokens)
    rows: list[Row] = []
    with TemporaryDirectory(prefix="netwright-bench-") as place:
        programs = Programs(model, settings.profile, folder=place, engine=settings.engine)
        runners: list[tuple[str, Runner, Any]] = [
            ("ane", AneRunner(model, context=context, programs=programs), programs.simulator),
            ("cpu", CpuRunner(model, context=context, products=Products(model)), None),
        ]
        for name, runner, engine in runners:
            rows += _generation(name, runner, engine, prompt, tokens, settings.rounds)
        programs.cache.clear()
    return Result("inference", model.name, _machine(), settings, tuple(rows))


def _generation(
    name: str, runner: Runner, engine: Any, prompt: list[int], tokens: list[int], rounds: int
) -> list[Row]:
    def modelled() -> float:
        return float(engine.elapsed_ms) if engine is not None else 0.0

    found: list[tuple[float, float, float, float]] = []
    for _ in range(rounds + 1):
        runner.reset()
        start, before = time.perf_counter(), modelled()
        runner.prefill(prompt)
        middle, between = time.perf_counter(), modelled()
        for token in tokens:
            runner.step(token)
        end, after = time.perf_counter(), modelled()
        count = len(tokens)
        found.append((middle - start, between - before, (end - middle) / count, (after - between) / count))
    medians = [statistics.median(column) for column in zip(*found[1:])]
    rows = []
    for what, (seconds, ms) in ((f"prompt of {len(prompt)}", medians[:2]), ("token", medians[2:])):
        rows.append(Row(f"{what} on {name}", seconds, ms if engine is not None else None))
    return rows


def _median(call: Callable[[], Any], rounds: int) -> float:
    """Median seconds of a call, after one that is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _machine() -> str:
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, OMP_NUM_THREADS {threads}"


BENCHES: dict[str, Callable[[Model, Settings], Result]] = {"kernels": kernels, "inference": inference}
