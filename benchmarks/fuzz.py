"""Damaged model files, read: python -m benchmarks.fuzz [--count 10000] [--seed 0] [--only tflite] [--json].

Each file is damaged by seed and number (`benchmarks.damage`), written to a temporary file, and given to
`netwright.load`; what loads is printed as text and checked against devices, as `netwright check` does. It must be read
or refused in one line, within 5 s and 1 GB. A worker process does this; its hang, crash or blow-up is recorded, another
takes over. Exit status 1 if any file was handled worse; `--keep DIR` keeps those files.

Recorded data are found in --data, NETWRIGHT_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .damage import Base, corpus, damaged

SECONDS = 5.0
GRACE = 3.0  # for a worker that does not answer its alarm
BYTES = 1 << 30
A_WORKER = 400  # files, so that what caches keep is not counted as what a file takes
LONGEST_LINE = 1200
DEVICES = ("cortex-m4", "host")


class TooLongError(BaseException):
    """The alarm; no `except Exception` stops it."""


@dataclass(frozen=True)
class Answer:
    """How one file was handled: loaded, refused, or a failure with its reason."""

    number: int
    verdict: str  # loaded | refused | traceback | hang | memory | crash
    seconds: float = 0.0
    bytes: int = 0
    reason: str = ""


@dataclass
class Row:
    """What is printed of one kind of file."""

    verdicts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    peak: int = 0


def read(path: Path, devices: Sequence[Any]) -> str:
    """The refusal's line, or nothing for a file that loads and can be checked. Raises whatever should not be raised."""
    import netwright
    from netwright.errors import UserError

    try:
        graph = netwright.load(path)
        str(graph)
    except UserError as error:
        return _refusal(error)
    for device in devices:
        try:
            broken = device.check(graph)
            [str(violation) for violation in broken]
            if not any(violation.rule in ("M1", "H1") for violation in broken):
                device.cost(graph).to_json()
        except UserError as error:
            _refusal(error)
    return ""


def _refusal(error: BaseException) -> str:
    line = str(error)
    if not line or "\n" in line or len(line) > LONGEST_LINE:
        raise AssertionError(f"not one clear line: {line[:200]!r}")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise cause
        cause = cause.__cause__ or cause.__context__
    return line


def peak() -> int:
    """The most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _alarm(*_: Any) -> None:
    raise TooLongError


def handled(number: int, data: bytes, kind: str, folder: Path, devices: Sequence[Any]) -> Answer:
    """Read one file under the alarm."""
    path = folder / f"damaged.{kind}"
    path.write_bytes(data)
    before, start = peak(), time.perf_counter()
    verdict, reason = "loaded", ""
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            reason = read(path, devices)
            verdict = "refused" if reason else "loaded"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except TooLongError:
        verdict, reason = "hang", _where()
    except MemoryError:
        verdict, reason = "memory", _where()
    except Exception as error:
        verdict, reason = "traceback", f"{type(error).__name__}: {str(error)[:200]} [{_where()}]"
    taken = max(0, peak() - before)
    if taken > BYTES and verdict in ("loaded", "refused"):
        verdict, reason = "memory", f"{taken >> 20} MB"
    return Answer(number, verdict, time.perf_counter() - start, taken, reason)


def _where() -> str:
    frames = traceback.extract_tb(sys.exc_info()[2])
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))


def work(pipe: Any, bases: dict[str, list[Base]], kinds: tuple[str, ...], seed: int) -> None:
    """Answer numbers with Answers until there are no more."""
    import netwright

    signal.signal(signal.SIGALRM, _alarm)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("error", RuntimeWarning)  # NumPy's, which would be printed beside the one clear line
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2 * BYTES,) * 2)
    devices = [netwright.device(name) for name in DEVICES]
    with tempfile.TemporaryDirectory() as folder:
        while (number := pipe.recv()) is not None:
            kind = kinds[number % len(kinds)]
            _, data = damaged(bases[kind], seed, number)
            pipe.send(handled(number, data, kind, Path(folder), devices))


class Worker:
    """A process that reads files; killed where it does not answer."""

    def __init__(self, *given: Any) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, *given), daemon=True)
        self.process.start()
        theirs.close()
        self.done = 0

    def ask(self, number: int) -> Answer:
        self.done += 1
        try:
            self.pipe.send(number)
            if self.pipe.poll(SECONDS + GRACE):
                return self.pipe.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            self.process.join(GRACE)
            return Answer(number, "crash", reason=f"exit status {self.process.exitcode}")
        return Answer(number, "hang", SECONDS + GRACE, reason="not stopped by the alarm")

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(0.5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def run(
    bases: dict[str, list[Base]], count: int, seed: int, keep: Path | None = None, first: int = 0, quiet: bool = False
) -> tuple[dict[str, Row], list[tuple[str, str, Answer]]]:
    """Rows by kind, and the failures: kind, what the file was made of, how it was handled."""
    import netwright.graph.onnx.importer  # so that workers are born with them
    import netwright.graph.tflite  # noqa: F401

    kinds = tuple(bases)
    rows = {kind: Row() for kind in kinds}
    failures = []
    worker = Worker(bases, kinds, seed)
    try:
        for number in range(first, first + count):
            if worker.done >= A_WORKER or not worker.process.is_alive():
                worker.stop()
                worker = Worker(bases, kinds, seed)
            kind = kinds[number % len(kinds)]
            answer = worker.ask(number)
            row = rows[kind]
            row.verdicts[answer.verdict] += 1
            row.slowest, row.peak = max(row.slowest, answer.seconds), max(row.peak, answer.bytes)
            row.seconds += answer.seconds
            if answer.verdict not in ("loaded", "refused"):
                base, data = damaged(bases[kind], seed, number)
                failures.append((kind, base.name, answer))
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{number}-{answer.verdict}.{kind}").write_bytes(data)
                if answer.verdict in ("hang", "memory", "crash"):
                    worker.process.kill()
                    worker.process.join()
            if not quiet and (number - first) % 100 == 99:
                print(f"\r{number - first + 1:,} of {count:,}, {len(failures)} failures", end="", file=sys.stderr)
    finally:
        worker.stop()
        if not quiet:
            print(file=sys.stderr)
    return rows, failures


BAD = ("traceback", "hang", "memory", "crash")


def table(rows: dict[str, Row]) -> list[dict[str, Any]]:
    """Rows as plain data."""
    return [
        {
            "kind": kind,
            "files": sum(row.verdicts.values()),
            "loaded": row.verdicts["loaded"],
            "refused": row.verdicts["refused"],
            **{verdict: row.verdicts[verdict] for verdict in BAD},
            "slowest_ms": round(row.slowest * 1e3),
            "peak_mb": round(row.peak / 2**20),
            "files_per_s": round(sum(row.verdicts.values()) / max(row.seconds, 1e-9)),
        }
        for kind, row in rows.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file, to repeat one")
    parser.add_argument("--only", choices=("tflite", "onnx"))
    parser.add_argument("--data")
    parser.add_argument("--keep", help="folder for the files that were handled badly")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from .recorded import root

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kinds = (options.only,) if options.only else ("tflite", "onnx")
    bases = corpus(root(options.data), kinds)
    keep = Path(options.keep) if options.keep else None
    rows, failures = run(bases, options.count, options.seed, keep, options.first)
    shown = table(rows)
    listed = [{"kind": kind, "base": base, **vars(answer)} for kind, base, answer in failures]
    if options.json:
        print(json.dumps({"seed": options.seed, "rows": shown, "failures": listed}, indent=1))
    else:
        print("  ".join(f"{name:>11}" for name in shown[0]))
        for row in shown:
            print("  ".join(f"{value:>11,}" if isinstance(value, int) else f"{value:>11}" for value in row.values()))
        for failure in listed:
            what = f"{failure['kind']} {failure['number']} ({failure['base']})"
            print(f"{what}: {failure['verdict']}: {failure['reason']}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
