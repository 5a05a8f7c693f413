"""The main job: a task and a device in, a network that provably runs there out.

Search (short trainings of candidates that the device accepts), promote (the best few, trained longer), measure (compile
the structure: what does not fit the real artefact is out before the long training), train, quantise, compile, and run
the whole test set three ways.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import netwright
from netwright import spaces, tasks
from netwright.compile import fake_quantise
from netwright.compress import quantise
from netwright.compress.quantise import prepared
from netwright.devices import Device, Profile, Program
from netwright.devices import get as get_device
from netwright.devices.quantities import cores
from netwright.errors import UserError
from netwright.graph import Graph, save
from netwright.graph.files import write_text
from netwright.search import Told, Trial
from netwright.search import get as get_strategy
from netwright.spaces import Candidate
from netwright.tasks import Task
from netwright.train import Recipe, default_recipe, evaluate, train

from . import facts
from .cluster import Cluster
from .defaults import default_strategy, space_for
from .deploy import deploy
from .evaluate import SHARED, SMALL, TRAINED, Evaluator, quantised_inputs, ranges, with_front_end
from .feasible import require_a_fit
from .given import objectives_of, writable
from .parallel import Processes, Serial, Workers
from .record import Record
from .search import Stop, run, settled
from .shared import WARMUP, supernet

EVALUATIONS = {TRAINED: 24, SHARED: 100}  # of a search that was given neither --evaluations nor --budget
STOP = "evaluations"  # noted in the study, for those that join
RATED = 500  # of one that trains nothing, in any case
PROMOTED = 3
PROMOTION = 4.0  # times the samples of a short training
CALIBRATION = 512
SUPERNET_SHARE = 0.25  # of a time budget, at which the training of a supernet ends
# of a time budget, at which a search ends; the rest is for promotion, the final training and the test set
SEARCH_SHARES = {TRAINED: 0.4, SHARED: 0.33}
RATING_SHARE = 0.4  # the same for one that trains nothing
PROMOTION_ENDS = 0.5  # no longer judgement begins after this share
TRAINING_SHARE = 0.25  # the final training gets at least this much, whatever was spent before
SPARE = 160  # bytes of Flash that trained constants may take beyond random ones: the compiler makes code for them
LONGER = 3.0  # times the epochs of a final training that a time budget may fill
EMULATED_PER_SECOND = 150e6  # instructions on one core, with room to spare; reserves time for the test set
TEST_SHARE = 0.15  # of a time budget that running the test set may take, where no latency limit bounds it
LOST = 0.005  # accuracy that post-training quantisation may cost before quantisation-aware training mends it
TUNING = 0.1  # of the final training's epochs, for that
Listener = Callable[[str, float, str], None]  # stage, share done (0..1), words


@dataclass
class Study:
    """What `fit` made: `result` is what `--json` prints; `told` every trial of the search."""

    folder: Path
    result: dict[str, Any]
    graph: Graph  # int8, with weights
    float_graph: Graph
    program: Program
    told: list[Told] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """How a study is run: everything but the task and the device; the arguments of `fit` of the same names."""

    space: str = "auto"
    strategy: str = "auto"
    objectives: tuple[str, ...] = ("loss",)
    evaluations: int | None = None
    budget_s: float | None = None
    workers: int | None = None
    seed: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)
    patches: str = "none"
    narrow: bool = False
    estimator: str = TRAINED
    ray: str | None = None


def fit(
    task: str | Task,
    device: str | Device,
    *,
    ram: str | int | None = None,
    flash: str | int | None = None,
    latency: str | float | None = None,
    clock: str | float | None = None,
    space: str = "auto",
    strategy: str = "auto",
    objectives: tuple[str, ...] = ("loss",),
    evaluations: int | None = None,
    budget_s: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    storage: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    recipe: Mapping[str, Any] | None = None,
    patches: str = "none",
    narrow: bool = False,
    estimator: str = TRAINED,
    ray: str | None = None,
    listener: Listener | None = None,
    **source: Any,
) -> Study:
    """Search, train, quantise, compile and run; see the module. `source` goes to `tasks.load` (test=, label=, ...).

    patches: `auto` lets candidates whose largest tensors are over the RAM compute their first layers band by band.
    narrow: first decide the space's scales by what fits, without training (`spaces.narrow`).
    estimator: what judges candidates: `short-training`; `supernet`, trained first, whose weights they inherit, in the
        final training too; or a training-free score (`netwright.estimate.scores`).
    ray: address of a Ray cluster that the evaluations fan out over (`netwright.study.cluster`).
    Raises UserError in one line for bad input, an unreachable budget (with the nearest) or an unwritable `out`.
    """
    settings = Settings(
        space, strategy, objectives, evaluations, budget_s, workers, seed, dict(recipe or {}), patches, narrow,
        estimator, ray,
    )
    limits = {"ram": ram, "flash": flash, "latency": latency, "clock": clock}
    job, folder = prepare(task, device, limits, settings, source, out, listener)
    record = job.record(folder, storage)
    if record.exists() and not resume:
        if not overwrite:
            raise UserError(
                f"{folder} already holds a study: continue it with --resume, replace it with --overwrite, "
                "or choose another --out"
            )
        if storage is not None:
            raise UserError("--overwrite does not delete from a database: choose another --out")
        (folder / "study.journal").unlink()
        record = job.record(folder, None)
    return job.run(folder, record, resume and record.exists())


def prepare(
    task: str | Task,
    device: str | Device,
    limits: dict[str, Any],
    settings: Settings,
    source: dict[str, Any],
    out: str | Path | None,
    listener: Listener | None,
) -> tuple[Job, Path]:
    """A job and its folder, which can be written to; everything as `fit` takes it."""
    started = time.monotonic()
    given = {
        "task": task if isinstance(task, str) else task.name,
        "device": device if isinstance(device, str) else device.name,
        **limits,
        **asdict(settings),
        **{k: v if isinstance(v, (int, float, type(None))) else str(v) for k, v in source.items()},
    }
    job = Job(
        tasks.load(task, seed=settings.seed, **source) if isinstance(task, str) else task,
        get_device(device, **limits) if isinstance(device, str) else device,
        settings,
        given,
        listener or (lambda stage, share, words: None),
        started,
    )
    folder = Path(out) if out is not None else Path("netwright-out") / f"{job.task.name}-{job.device.name}"
    writable(folder)
    return job, folder


class Job:
    """One call of `fit` or `join`, step by step."""

    def __init__(
        self, task: Task, device: Device, settings: Settings, given: dict[str, Any], tell: Listener, started: float
    ) -> None:
        self.started = started
        self.task, self.device, self.given, self.tell = task, device, given, tell
        self.seed, self.budget_s = settings.seed, settings.budget_s
        self.space = space_for(task, settings.space)
        self.objectives = objectives_of(settings.objectives, settings.estimator)
        automatic = settings.strategy == "auto"
        self.strategy_name = default_strategy(len(self.objectives)) if automatic else settings.strategy
        timed = self.budget_s is not None
        usual = RATED if settings.estimator not in EVALUATIONS else None if timed else EVALUATIONS[settings.estimator]
        self.evaluations = settings.evaluations or usual
        self.ray = settings.ray
        self.workers = settings.workers or (min(8, cores()) if timed else 1)
        self.asked_workers = settings.workers
        self.drawn: dict[str, int | None] = {}
        self.told: list[Told] = []
        self.recipe: Recipe = default_recipe(task.kind, task.x.shape, len(task.train.y)).changed(settings.recipe)
        if settings.narrow and not self.space.scales:
            others = ", ".join(n for n in spaces.names() if spaces.get(n).scales)
            raise UserError(f"the space {self.space.name!r} has no scales to decide first (those that have: {others})")
        self.narrow, self.parts = settings.narrow, list[spaces.Part]()
        if settings.patches not in ("auto", "none"):
            raise UserError(f"patches of a search are auto or none, not {settings.patches!r}")
        options = {"patches": "auto"} if settings.patches == "auto" else {}
        self.evaluator = Evaluator(self.space, task, device, self.recipe, self.seed, options, settings.estimator)
        if self.budget_s is not None and device.limits.latency_ms is None:
            seconds = TEST_SHARE * self.budget_s
            self.evaluator.most_instructions = seconds * EMULATED_PER_SECOND * cores() / len(task.test.y)

    def header(self) -> dict[str, Any]:
        """What has to agree for a study to be continued."""
        limits = self.device.limits
        return {
            "task": f"{self.task.name} {self.task.digest[:16]}",
            "space": self.space.name,
            "strategy": self.strategy_name,
            "seed": self.seed,
            "device": self.device.name,
            "ram": limits.ram_bytes,
            "flash": limits.flash_bytes,
            "latency": limits.latency_ms,
            "clock": limits.clock_hz,
            "recipe": self.recipe.to_json(),
            "objectives": [o.name for o in self.objectives],
            **self.evaluator.options,
            **({"narrow": True} if self.narrow else {}),
            **({"estimator": self.evaluator.estimator} if self.evaluator.estimator != TRAINED else {}),
        }

    def record(self, folder: Path, storage: str | None) -> Record:
        """The log of the search: the folder's journal file, or by the folder's name in a database."""
        name = "search" if storage is None else str(folder)
        return Record(storage or folder / "study.journal", name, self.space, self.objectives)

    def searched(self, folder: Path, record: Record, resume: bool) -> list[Told]:
        """The search, with what comes before it; goes on with the record's when it is to `resume`."""
        before = record.resume(self.header()) if resume else []  # refuses another study's before anything is trained
        self.tell("check", 0.0, "is there a network that fits?")
        require_a_fit(self.evaluator, self.seed)
        if self.narrow:
            self.decide_scales()
        if self.evaluator.estimator == SHARED:
            self.share_weights(folder, resume)
        if not resume:
            record.create(self.header())
        record.note(STOP, self.evaluations)
        return self.search(record, before)

    def run(self, folder: Path, record: Record, resume: bool) -> Study:
        self.told = self.searched(folder, record, resume)
        candidate, shell = self.measured(self.promote(self.told))
        trained, graph = self.quantised(self.train(candidate, shell))
        return self.write(folder, record, candidate, trained, graph)

    def decide_scales(self) -> None:
        """Search only the part of the space whose fitting networks compute most."""

        def macs(candidate: Candidate) -> float:
            return self.evaluator.build(candidate).graph.macs

        def tell(share: float) -> None:
            self.tell("narrow", share, f"{' and '.join(self.space.scales)}, without training")

        with settled():
            found = spaces.narrow(self.space, self.evaluator.fits, macs, seed=self.seed, tell=tell)
        self.space = self.evaluator.space = found.space
        self.parts = found.parts
        best = self.parts[0]
        scales = ", ".join(f"{name} {value}" for name, value in best.scales.items())
        self.tell("narrow", 1.0, f"{scales}: best of {len(self.parts)} parts, {best.macs / 1e3:,.0f} k MACs")

    def share_weights(self, folder: Path, resume: bool) -> None:
        """Train the supernet whose weights candidates inherit."""

        def tell(share: float, words: str) -> None:
            self.tell("supernet", share, words)

        deadline = self.started + SUPERNET_SHARE * self.budget_s if self.budget_s is not None else None
        shared = supernet(self.evaluator, folder, seed=self.seed, tell=tell, deadline=deadline, resume=resume)
        self.evaluator.supernet = shared
        self.tell("supernet", 1.0, f"{shared.size:,} shared weights")

    def search(self, record: Record, before: list[Any]) -> list[Told]:
        """Trials until the count or the search's share of the time."""
        settings: dict[str, Any] = {"accept": self.evaluator.fits}
        if self.strategy_name == "regularised-evolution":
            expected = self.evaluations or 60
            settings.update(population=max(6, expected // 4), sample=4, score=self.evaluator.capacity, pool=4)
        elif self.strategy_name == "nsga2":
            settings.update(population=max(8, (self.evaluations or 60) // 5))
        elif self.strategy_name == "early-exit":
            settings.update(population=max(8, (self.evaluations or 60) // 5), **self.evaluator.early_exit(self.seed))
        elif self.strategy_name == "adaptive-mutation":
            settings.update(first=min(10, max(2, (self.evaluations or 60) // 4)))
        # how many first trials are drawn at random (None: all), each the best of `pool` draws by the strategy's score
        self.drawn = {
            "random": settings.get("population", settings.get("first", 0)) if self.strategy_name != "random" else None,
            "pool": settings.get("pool", 1),
        }
        strategy = get_strategy(self.strategy_name)(self.space, self.objectives, seed=self.seed, **settings)
        share = SEARCH_SHARES.get(self.evaluator.estimator, RATING_SHARE)
        deadline = self.started + share * self.budget_s if self.budget_s is not None else None
        pool: Workers
        if self.ray is not None:
            pool = Cluster(self.evaluator, self.ray, self.asked_workers)
        else:
            pool = Processes(self.evaluator, self.workers) if self.workers > 1 else Serial(self.evaluator)

        def report(trial: Trial, metrics: dict[str, float], failure: str) -> None:
            judged = ", ".join(f"{n} {metrics[n]:.4f}" for n in ("accuracy", "loss") if n in metrics)
            words = failure or f"{judged or self.evaluator.estimator}, {metrics['macs'] / 1e3:,.0f} k MACs"
            self.tell("search", self._share(strategy.asked, deadline), f"trial {trial.number}: {words}")

        self.tell("search", self._share(len(before), deadline), f"{self.strategy_name} over {self.space.name}")
        try:
            told = run(strategy, pool, record, Stop(self.evaluations, deadline), before=before, report=report)
        finally:
            pool.close()
        if not any(t.status == "ok" for t in told):
            raise UserError("every evaluation failed; lower the learning rate (--recipe rate=...) or look at the data")
        return told

    def _share(self, asked: int, deadline: float | None) -> float:
        shares = []
        if self.evaluations is not None:
            shares.append(asked / self.evaluations)
        if deadline is not None:
            shares.append((time.monotonic() - self.started) / max(1e-9, deadline - self.started))
        return min(1.0, max(shares, default=0.0))

    def promote(self, told: list[Told]) -> list[Candidate]:
        """Candidates from best to worst; the first few judged again by a longer training where data are plenty."""
        ranked = sorted((t for t in told if t.status == "ok"), key=Told.standing)
        first, rest = ranked[:PROMOTED], ranked[PROMOTED:]
        if self.evaluator.estimator == TRAINED and len(self.task.train.y) > SMALL and len(first) > 1:
            longer = []
            for index, t in enumerate(first):
                if self.budget_s is not None and time.monotonic() > self.started + PROMOTION_ENDS * self.budget_s:
                    longer.append((math.inf, t))
                    continue
                self.tell("promote", index / len(first), f"trial {t.trial.number}, {PROMOTION:g} times longer")
                metrics = self.evaluator(Trial(t.trial.number, t.trial.candidate, PROMOTION))
                longer.append((metrics["loss"], t))
            first = [t for _, t in sorted(longer, key=lambda pair: pair[0])]
        self.tell("promote", 1.0, f"best is trial {first[0].trial.number}")
        return [t.trial.candidate for t in (*first, *rest)]

    def measured(self, finalists: list[Candidate]) -> tuple[Candidate, Profile]:
        """The first finalist whose artefact, with random weights, keeps every limit when it is really run, with SPARE
        Flash."""
        limits = self.device.limits
        last = ""
        for candidate in finalists:
            build = self.evaluator.build(candidate)
            self.tell("measure", 0.0, "compile the structure and run it once")
            graph = build.graph.with_store(build.graph.store.initialise(build.graph, self.seed))
            samples = self.task.inputs(self.task.train.x[:4], graph.inputs[0].shape)
            try:
                whole = with_front_end(self.task, self.int8(graph, samples))
                profile = self.device.compile(whole, self.evaluator.compiled(build)).profile()
            except UserError as error:  # the linker, or a stack that grew into the arena
                last = str(error)
                continue
            flash = {**profile.flash_bytes, "rodata": profile.flash_bytes["rodata"] + SPARE}
            last = replace(profile, flash_bytes=flash).broken(limits)
            if not last:
                return candidate, profile
        raise UserError(f"no finalist keeps the limits when measured: {last}; raise that limit a little")

    def train(self, candidate: Candidate, shell: Profile) -> Graph:
        """The long training, on everything but the test set; a time budget ends it in time to run the test set."""
        build = self.evaluator.build(candidate)
        split = self.task.train
        x = self.task.inputs(split.x, build.graph.inputs[0].shape)
        recipe = self.recipe.changed(build.recipe)
        deadline = None
        if self.budget_s is not None:
            emulated = shell.instructions / EMULATED_PER_SECOND / cores()
            reserve = 10 + len(self.task.test.y) * (emulated + 0.002)
            least = time.monotonic() + TRAINING_SHARE * self.budget_s
            deadline = max(least, self.started + self.budget_s - reserve)
            recipe = replace(recipe, epochs=recipe.epochs * LONGER)

        def progress(share: float, numbers: dict[str, float]) -> None:
            self.tell("train", share, f"loss {numbers['loss']:.4f}")

        graph = self.evaluator.initial(build.graph)
        if graph is not build.graph:
            recipe = replace(recipe, warmup=WARMUP)  # at the whole rate: 2 points better than half of it, on CIFAR-10
        return train(graph, x, split.y, recipe, seed=self.seed, progress=progress, deadline=deadline).graph

    def quantised(self, trained: Graph) -> tuple[Graph, Graph]:
        """(float, int8 behind its front end): post-training quantisation, and quantisation-aware training where that
        loses too much. Judged on training samples: the test set chooses nothing.
        """
        shape = trained.inputs[0].shape
        self.tell("quantise", 0.0, "post-training, int8")
        rows = np.linspace(0, len(self.task.train.y) - 1, min(1000, len(self.task.train.y))).astype(int)
        x, y = self.task.inputs(self.task.train.x[rows], shape), self.task.train.y[rows]
        calibration = x[:: max(1, len(x) // CALIBRATION)]

        def accuracy(graph: Graph) -> float:
            return float((graph.run(quantised_inputs(graph, x))[0].argmax(1) == y).mean())

        graph = self.int8(trained, calibration)
        lost = evaluate(trained, x, y)["accuracy"] - accuracy(graph)
        if lost > LOST:
            self.tell("quantise", 0.3, f"{100 * lost:.1f} points lost on training samples: quantisation-aware training")
            folded = prepared(trained)
            fake = fake_quantise.insert(folded, ranges(self.task, folded, calibration))
            base = self.recipe
            recipe = replace(base, epochs=base.epochs * TUNING, rate=base.rate / 20, ema=0.0, precision="float32")
            inputs = self.task.inputs(self.task.train.x, shape)
            tuned = fake_quantise.remove(train(fake, inputs, self.task.train.y, recipe, seed=self.seed).graph)
            better = self.int8(tuned, calibration)
            if accuracy(better) > accuracy(graph):
                trained, graph = tuned, better
        return trained, replace(with_front_end(self.task, graph), name=self.task.name)

    def int8(self, graph: Graph, samples: np.ndarray) -> Graph:
        """Post-training int8, calibrated on inputs [n, ...]."""
        ready = prepared(graph)
        return quantise(ready, ranges=ranges(self.task, ready, samples))

    def preprocessing(self) -> dict[str, Any] | None:
        """What the user's own code has to do before the program: nothing where it has a front end."""
        if self.task.front_end is not None:
            return None
        words = {"words": self.task.words.describe()} if self.task.words is not None else {}
        return {"offset": np.asarray(self.task.offset).tolist(), "scale": np.asarray(self.task.scale).tolist(), **words}

    def write(self, folder: Path, record: Record, candidate: Candidate, trained: Graph, graph: Graph) -> Study:
        """Deploy the network and write everything down."""
        build = self.evaluator.build(candidate)
        options = self.evaluator.compiled(build)
        program, found = deploy(self.task, self.device, trained, graph, options, folder, self.tell)
        rows = list(record.rows())
        save(trained, folder / "float")
        result = {
            "netwright": netwright.__version__,
            **found,
            "evaluations": len(self.told),
            "seconds": round(time.monotonic() - self.started, 2),
            "out": str(folder),
            "task": self.task.describe(),
            "device": self.device.to_json(),
            "space": self.space.name,
            "strategy": self.strategy_name,
            "seed": self.seed,
            "candidate": json.loads(candidate.to_json()),
            "recipe": self.recipe.to_json(),
            "input": str(graph.inputs[0].type),
            "preprocessing": self.preprocessing(),
            "search": {
                "objectives": [{"name": o.name, "direction": o.direction} for o in self.objectives],
                "drawn": self.drawn,
                "parts": [part._asdict() for part in self.parts],
                "chosen": next((row.trial.number for row in rows if row.trial.candidate == candidate), None),
            },
            "settings": self.given,
            "versions": facts.versions(),
        }
        write_text(folder / "trials.json", json.dumps(facts.trials(rows)))
        write_text(folder / "result.json", json.dumps(result, indent=1))
        self.tell("done", 1.0, str(folder))
        return Study(folder, result, graph, trained, program, self.told)


__all__ = ["Study", "fit"]
