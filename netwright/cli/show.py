"""netwright show"""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Constant, Json, Model, Shape, load_model

EXAMPLES = """Examples:

netwright show model.tflite

netwright show model.onnx --picture model.svg

netwright show netwright-out/digits-cortex-m4 --text
"""


def command(
    model: Model,
    picture: Annotated[str | None, typer.Option("--picture", "-p", help="Draw the graph into this .svg file.")] = None,
    as_text: Annotated[bool, typer.Option("--text", help="The text form instead, which netwright reads back.")] = False,
    shape: Shape = None,
    constant: Constant = None,
    as_json: Json = False,
) -> None:
    """A network layer by layer, and a picture of its graph."""
    from pathlib import Path

    from netwright.graph.files import write_text

    from . import printing

    graph = load_model(model, shape, constant)
    layers = [
        {
            "name": node.name,
            "op": node.op.name,
            "shapes": [list(v.shape) for v in node.outputs],
            "types": [str(v.type) for v in node.outputs],
            "macs": node.macs,
            "weights": sum(v.type.size for v in node.inputs if v is not None and v in graph.param_of),
            "weight_bytes": sum(v.type.bytes for v in node.inputs if v is not None and v in graph.param_of),
        }
        for node in graph.nodes
    ]
    if picture is not None:
        from netwright.report.graph_picture import picture as draw

        write_text(Path(picture), draw(graph))
    if as_json:
        ends = {
            kind: [{"name": v.name, "type": str(v.type)} for v in values]
            for kind, values in (
                ("inputs", graph.inputs),
                ("states", [s.before for s in graph.states]),
                ("outputs", graph.outputs),
            )
        }
        printing.as_json({"name": graph.name, **ends, "macs": graph.macs, "layers": layers, "picture": picture})
        return
    if as_text:
        print(graph, end="")
        return
    rows = [
        (
            layer["name"],
            layer["op"],
            "  ".join("x".join(map(str, s)) for s in layer["shapes"]),  # type: ignore[attr-defined]
            f"{layer['macs']:,}" if layer["macs"] else "",
            f"{layer['weights']:,}" if layer["weights"] else "",
            f"{layer['weight_bytes']:,}" if layer["weight_bytes"] else "",
        )
        for layer in layers
    ]
    weights = sum(p.value.type.size for p in graph.params)
    title = f"{graph.name}: {graph.macs:,} MACs, {weights:,} weights, {len(layers)} nodes"
    columns = ("layer", "op", "result", "MACs", "weights", "bytes")
    printing.table(title, columns, rows, right=(3, 4, 5))
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for value in values:
            printing.out.print(f"{kind} {value!r}", markup=False, soft_wrap=True)
    for state in graph.states:
        start = f"{state.initial:g}" if state.tensor is None else f"the stored {state.tensor}"
        printing.out.print(f"state {state.before!r}, starts at {start}", markup=False, soft_wrap=True)
    if picture is not None:
        printing.out.print(f"drawn: {picture}", markup=False, soft_wrap=True)
