"""A graph on disk: `graph.txt`, the text form, beside `weights.safetensors`."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UserError
from .graph import Graph
from .store import Store
from .text import parse, to_text

GRAPH_FILE, WEIGHTS_FILE = "graph.txt", "weights.safetensors"


def write_text(path: Path, text: str) -> None:
    """Write a text file beside its place, then rename it there, so that no half-written file is ever seen."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def save(graph: Graph, folder: str | os.PathLike[str]) -> None:
    """Write `graph` into `folder`; only the tensors it names."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    Store({p.tensor: graph.store[p.tensor] for p in graph.params}).save(place / WEIGHTS_FILE)
    write_text(place / GRAPH_FILE, to_text(graph))


def load(folder: str | os.PathLike[str]) -> Graph:
    """Read a folder that `save`, `fit` or `compile` wrote. Raises UserError in one line when it is not one."""
    place = Path(folder)
    for name in (GRAPH_FILE, WEIGHTS_FILE):
        if not (place / name).is_file():
            writers = "`netwright fit` or `netwright compile`"
            raise UserError(f"{place}: no {name} there; give a folder written by {writers}")
    try:
        store = Store.load(place / WEIGHTS_FILE)
        graph = parse((place / GRAPH_FILE).read_text(encoding="utf-8"), store)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{place}: damaged: {error}") from None
    for param in graph.params:
        if not store.has(param):
            raise UserError(f"{place / WEIGHTS_FILE}: no tensor {param.tensor!r}, which the graph needs")
        if store[param.tensor].shape != param.stored_type.shape:
            raise UserError(f"{place / WEIGHTS_FILE}: tensor {param.tensor!r} has another shape than the graph says")
    return graph
