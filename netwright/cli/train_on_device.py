"""netwright train-on-device"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Clock, DeviceName, Flash, Json, Model, Out, Ram, load_model

EXAMPLES = """Examples:

netwright train-on-device model.tflite --data mine.npz --device cortex-m7 --ram 256KB -o build/

netwright train-on-device netwright-out/digits-cortex-m4 --data mine.npz --ram 32KB --steps 500 --rate 0.02

netwright train-on-device model.tflite --data photos/ --ram 128KB --last 6 --seed 1 --json
"""


def command(
    model: Model,
    data: Annotated[
        str,
        typer.Option(help="What to learn: an .npz with x and y, or another task of `fit`, of as many classes."),
    ],
    device: DeviceName = "cortex-m7",
    ram: Ram = None,
    flash: Flash = None,
    clock: Clock = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps on the emulated core, one sample each.")] = 100,
    rate: Annotated[float, typer.Option(help="Learning rate, as for the float network.")] = 0.01,
    last: Annotated[
        int | None, typer.Option(min=1, help="Update nothing but the last so many layers; all when left out.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Test set of the same kind; without one 20 % is held out.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Order of the samples, and of the search for the scheme.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Fine-tune an int8 network on the device: choose what to update in the RAM, compile, run the steps."""
    from netwright import devices, tasks
    from netwright.compile.training import body
    from netwright.errors import UserError
    from netwright.study.on_device import given, preprocessing, train_on_device

    from . import printing

    if not 0 < rate < float("inf"):
        raise UserError(f"--rate {rate:g}: it must be a positive number")
    graph = load_model(model, None)
    chosen = devices.get(device, ram=ram, flash=flash, clock=clock)
    task = tasks.load(data, test=test, seed=seed)
    train, held = given(task, body(graph), preprocessing(model))
    with printing.progress(as_json) as listener:
        found = train_on_device(
            graph,
            train,
            held,
            chosen,
            steps=steps,
            rate=rate,
            last=last,
            seed=seed,
            folder=out or f"{graph.name}-trains-on-{chosen.name}",
            tell=listener or (lambda stage, share, words: None),
        )
    if as_json:
        printing.as_json({"model": model, "data": task.name, "device": chosen.name, **found})
    else:
        _show(graph.name, chosen.name, found)
    if found["violations"]:
        raise typer.Exit(1)


def _show(model: str, device: str, found: dict[str, Any]) -> None:
    from . import printing

    scheme, sizes, profile = found["scheme"], found["memory"], found["profile"]
    rows = [(f"{w['layer']}", w["name"], w["kind"], f"{w['ratio']:g}", f"{w['channels']}") for w in scheme["layers"]]
    title = f"{model}: biases of the last {scheme['biases']} layers, and these weights"
    printing.table(title, ("layer", "name", "kind", "share", "input channels"), rows, right=(0, 3, 4))
    parts = {
        "updated weights": "weights", "their residues": "residues", "updated biases": "biases",
        "activations kept": "activations", "clip masks": "masks", "gradients at most": "gradients",
        "arena of a step": "arena",
    }  # fmt: skip
    ram, limit = profile["ram_bytes"], found["ram_limit"]
    lines = [(name, printing.size(sizes[part])) for name, part in parts.items()]
    lines += [("stack (measured)", printing.size(ram["stack"])), ("other static data", printing.size(ram["static"]))]
    lines.append(("RAM (measured), of " + printing.size(limit), printing.size(sum(ram.values()))))
    printing.table(f"RAM of a training step on {device}", ("", "bytes"), lines, right=(1,))
    loss, right = found["loss"], found["accuracy"]
    said = [
        f"{found['steps']} steps at rate {found['rate']:g}: loss {loss['first']:.3f} at first, {loss['last']:.3f} at "
        f"last (means of {loss['mean_of']})",
        f"accuracy on {right['samples']:,} test samples: {right['before']:.1%} before, {right['after']:.1%} after",
        f"weights on the emulated core equal to the host's after {found['steps_byte_equal']} of {found['steps']} steps",
        f"{profile['instructions']:,} instructions a step",
        *(f"broken: {violation}" for violation in found["violations"]),
        f"written to {found['out']}",
    ]
    for line in said:
        printing.out.print(line, markup=False, soft_wrap=True)
