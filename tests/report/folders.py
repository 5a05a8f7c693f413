"""Synthetic folders, as `fit` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from netwright.compile import int8
from netwright.devices import get
from netwright.graph import Builder, Graph, Store, Type, save
from netwright.graph.ops import Conv, Linear, Relu, Reshape


def network(name: str = "net", channels: int = 4, classes: int = 3) -> Graph:
    """A small int8 network with weights."""
    b = Builder(name)
    x = b.input("x", Type((1, 1, 8, 8)))
    y = b(Relu(), b(Conv(padding=(1, 1, 1, 1)), x, b.param("a.weight", (channels, 1, 3, 3)), name="a.conv"))
    y = b(Conv(stride=(2, 2)), y, b.param("b.weight", (channels, channels, 3, 3)), name="b.conv")
    flat = b(Reshape(shape=(0, -1)), y, name="flat")
    b.output(b(Linear(), flat, b.param("c.weight", (classes, 9 * channels)), name="classifier"))
    graph = int8.lower(b.graph())
    return graph.with_store(Store({p.tensor: np.zeros(p.stored_type.shape, p.stored_type.dtype) for p in graph.params}))


def trial(number: int, loss: float | None, status: str = "ok", **candidate: Any) -> dict[str, Any]:
    metrics = (
        {}
        if loss is None
        else {
            "loss": loss,
            "accuracy": 1 - loss / 4,
            "latency_ms": 3 + number % 7,
            "ram_bytes": 900.0 + 31 * (number % 5),
            "flash_bytes": 4000.0 + 210 * (number % 9),
            "macs": 20000.0,
            "instructions": 41000.0,
            "parameters": 300.0,
        }
    )
    return {
        "number": number,
        "candidate": {"width": 8 + number, **candidate},
        "metrics": metrics,
        "status": status,
        "fidelity": None,
        "told": number,
    }


def write(
    folder: Path,
    trials: list[dict[str, Any]],
    classes: list[str] | None = None,
    confusion: Any = None,
    graph: Graph | None = None,
    **changes: Any,
) -> Path:
    """A folder; `changes` replace keys of result.json."""
    names = ["one", "two", "three"] if classes is None else classes
    counts = np.eye(len(names), dtype=int) * 9 + 1 if confusion is None else np.asarray(confusion)
    graph = network(classes=len(names)) if graph is None else graph
    device = get("cortex-m4", ram="4KB", flash="32KB", latency="20ms")
    cost = device.cost(graph)
    layers = [{**layer._asdict(), "shape": list(layer.shape)} for layer in cost.layers]
    right = float(np.trace(counts) / max(1, counts.sum()))
    result: dict[str, Any] = {
        "netwright": "0.0",
        "accuracy": {"float": right, "int8": right, "device": right},
        "byte_equal": True,
        "profile": {**cost.to_json(), "measured": True},
        "samples": int(counts.sum()),
        "evaluations": len(trials),
        "seconds": 12.5,
        "out": str(folder),
        "device": device.to_json(),
        "space": "conv-small",
        "strategy": "regularised-evolution",
        "seed": 3,
        "candidate": {"width": 8},
        "violations": [],
        "recipe": {"epochs": 2},
        "task": {
            "name": "shapes",
            "shape": [1, 8, 8],
            "dtype": "uint8",
            "held_out": "the last 30",
            "digest": "ab",
            "samples": {"train": 90, "test": 30},
        },
        "confusion": counts.tolist(),
        "classes": names,
        "preprocessing": {"offset": 0.0, "scale": [0.5] * 12},
        "modelled": {**cost.to_json(), "layers": layers},
        "search": {
            "objectives": [{"name": "loss", "direction": "min"}],
            "drawn": {"random": 4, "pool": 4},
            "chosen": trials[-1]["number"] if trials else None,
        },
        "settings": {
            "task": "my shapes.npz",
            "device": "cortex-m4",
            "ram": "4KB",
            "evaluations": len(trials),
            "seed": 3,
            "space": "auto",
            "objectives": ["loss"],
            "recipe": {"epochs": 2},
            "test": None,
        },
        "versions": {"python": "3"},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save(graph, folder)
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "trials.json").write_text(json.dumps(trials))
    return folder


def search(count: int = 12) -> list[dict[str, Any]]:
    """Trials that get better, the third one failed."""
    return [trial(i, None, "failed") if i == 2 else trial(i, 1.0 / (1 + i) + 0.1) for i in range(count)]
