"""A Study: a recorded, resumable search.

    study = fit("digits", "cortex-m4", ram="4KB", flash="32KB", latency="20ms")    # the whole job
    study.result["accuracy"], study.program, study.graph

Underneath is an Optuna study (its journal file by default), so its dashboard and plots work on it. Each trial's trace
is one attribute; the decisions are its parameters. Killing the process loses at most the evaluations in flight.
`join`, with the arguments of `fit`, helps a study along from another process or machine.
"""

from __future__ import annotations

from .job import Study, fit
from .joining import Joined, join
from .record import Record

__all__ = ["Joined", "Record", "Study", "fit", "join"]
