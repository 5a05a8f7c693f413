"""Taking part in a study that another process began."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from netwright.devices import Device
from netwright.errors import UserError
from netwright.search import Told
from netwright.tasks import Task

from .job import STOP, Listener, Settings, prepare

_WAIT_S = 60.0  # for the process that begins the study; it looks for a network that fits first
_LOOK_S = 0.2


@dataclass(frozen=True)
class Joined:
    """What a worker saw of a search that it took part in: the study's folder and every trial, of all workers."""

    folder: Path
    told: list[Told]


def join(
    task: str | Task,
    device: str | Device,
    *,
    ram: str | int | None = None,
    flash: str | int | None = None,
    latency: str | float | None = None,
    clock: str | float | None = None,
    out: str | Path | None = None,
    storage: str | None = None,
    listener: Listener | None = None,
    **settings: Any,
) -> Joined:
    """Evaluate trials of a search that `fit` runs in another process, over the same `out` (on a disk that both see) or
    `storage`, until it ends; what comes behind the search is left to that process. Everything else as `fit` was given
    it, settings that differ are refused; how many evaluations there are is that process's to say.

    Raises UserError when no study begins there within a minute.
    """
    own = {f.name: settings.pop(f.name) for f in fields(Settings) if f.name in settings}
    own["recipe"] = dict(own.get("recipe") or {})
    limits = {"ram": ram, "flash": flash, "latency": latency, "clock": clock}
    job, folder = prepare(task, device, limits, Settings(**own), settings, out, listener)
    record = job.record(folder, storage)
    deadline = time.monotonic() + _WAIT_S
    while (stop := record.noted(STOP)) is None:
        if time.monotonic() > deadline:
            raise UserError(f"no study to join in {storage or folder}: begin it with the same command without --join")
        job.tell("check", 0.0, "waiting for the study to begin")
        time.sleep(_LOOK_S)
    job.evaluations = json.loads(stop)
    return Joined(folder, job.searched(folder, record, True))
