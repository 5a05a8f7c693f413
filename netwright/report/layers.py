"""The deployed network, layer by layer."""

from __future__ import annotations

from typing import Any

from netwright.graph import Graph, Node

from .families import family, kind
from .html import MODELLED, bar, bytes_, figure, percent, table, text
from .html import section as part
from .material import Material


def node_family(node: Node) -> str:
    """The kind of a node of a graph."""
    weights = node.inputs[1].shape if len(node.inputs) > 1 and node.inputs[1] is not None else ()
    return family(node.op.name, weights, int(getattr(node.op, "groups", 1)))


def numbers(graph: Graph | None) -> dict[str, int]:
    """Node name -> its step, counted from 1, as the memory map counts."""
    return {node.name: index for index, node in enumerate(graph.nodes, 1)} if graph is not None else {}


def section(material: Material) -> str:
    """A table. Empty when the layers were not written down."""
    modelled = material.result.get("modelled", {})
    layers: list[dict[str, Any]] = modelled.get("layers") or []
    if not layers:
        return ""
    steps = numbers(material.graph)
    families = {n.name: node_family(n) for n in material.graph.nodes} if material.graph is not None else {}
    cycles = max(1.0, float(modelled["cycles_modelled"]))
    most = {
        key: max(1.0, *(float(layer[key]) for layer in layers), 0.0) for key in ("macs", "ram_bytes", "flash_bytes")
    }
    rows = []
    for index, layer in enumerate(layers, 1):
        colour = kind(families.get(layer["name"], family(layer["op"])))
        share = layer["cycles"] / cycles
        rows.append(
            (
                str(steps.get(layer["name"], index)),
                f'<i class="key {colour}"></i>{text(layer["name"])}',
                text(layer["op"]),
                "×".join(str(d) for d in layer["shape"]),
                bar(layer["macs"] / most["macs"], f"{layer['macs']:,}"),
                bar(layer["ram_bytes"] / most["ram_bytes"], f"{layer['ram_bytes']:,}"),
                bar(layer["flash_bytes"] / most["flash_bytes"], f"{layer['flash_bytes']:,}"),
                bar(share, percent(share, 1)),
            )
        )
    rest = 1 - sum(layer["cycles"] for layer in layers) / cycles
    if rest > 0.0005:
        rows.append(("", "around the layers", "", "", "", "", "", bar(rest, percent(rest, 1))))
    total = [sum(layer[key] for layer in layers) for key in ("macs", "flash_bytes")]
    peak = max(layer["ram_bytes"] for layer in layers)
    rows.append(
        (
            "",
            "<b>whole network</b>",
            "",
            "",
            f"<b>{total[0]:,}</b>",
            f"<b>{peak:,}</b>",
            f"<b>{total[1]:,}</b>",
            f"<b>{percent(1, 1)}</b>",
        )
    )
    columns = ("", "layer", "op", "output", "MACs", "RAM alive, B", "Flash, B", f"time {MODELLED}")
    return part(
        "The network, layer by layer",
        figure(table(columns, rows, (0, 4, 5, 6, 7), "layers"), _caption(material, modelled) + _decisions(material)),
    )


def _caption(material: Material, modelled: dict[str, Any]) -> str:
    profile = material.result["profile"]
    ratio = modelled["cycles_modelled"] / max(1, profile["cycles_modelled"])
    return (
        "RAM alive is the part of the arena that tensors and working memory hold while the layer runs; Flash is the "
        "layer's constants, without code. Shares of time come from the device's cost model (modelled): "
        f"it gives {modelled['cycles_modelled']:,} cycles (modelled) for the whole network, {ratio:.2f} times the "
        f"{profile['cycles_modelled']:,} cycles (modelled) that follow from the instructions counted in a run. "
        f"Code (.text) is {bytes_(profile['flash_bytes'].get('text', 0))}."
    )


def _decisions(material: Material) -> str:
    candidate = material.result.get("candidate") or {}
    if not candidate:
        return ""
    items = "".join(f'<span class="choice">{text(k)} <b>{text(v)}</b></span> ' for k, v in candidate.items())
    summary = f"<summary>The {len(candidate)} decisions of this architecture</summary>"
    return f'<details>{summary}<p class="choices">{items}</p></details>'
