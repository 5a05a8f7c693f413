"""netwright train"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Json, Out

EXAMPLES = """Examples:

netwright train --on ane:m4max-orion story.txt --config dim=192,layers=4,heads=6,hidden=512 --steps 300 -o run/

netwright train --on ane:m4max-orion story.txt --model model-folder/ --steps 100 --lr 3e-4 --accumulate 4 -o run/

netwright train --on ane:m4max-orion story.txt --config dim=192,layers=4,heads=6,hidden=512 --steps 300 -o run/ --resume
"""


def command(
    data: Annotated[str, typer.Argument(help="A text file (.gz too), or a flat .bin of token numbers.")],
    on: Annotated[
        str, typer.Option(help="Where the layers run: ane, or ane:PROFILE; ane is ane:m4max-orion here.")
    ] = "ane",
    model: Annotated[str | None, typer.Option(help="Start from this network: a .bin, .gguf or folder.")] = None,
    config: Annotated[str | None, typer.Option(help="Or from a fresh one: dim=..,layers=..,heads=..,hidden=..")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="The tokenizer's file or folder, if elsewhere.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = 300,
    accumulate: Annotated[int, typer.Option("--accumulate", "--batch", min=1, help="Windows an update.")] = 4,
    length: Annotated[int, typer.Option(min=1, help="Tokens a window.")] = 128,
    lr: Annotated[float, typer.Option(help="Peak learning rate; a cosine takes it to a tenth.")] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps up to the peak.")] = 20,
    decay: Annotated[float, typer.Option(help="Weight decay of matrices.")] = 0.1,
    clip: Annotated[float, typer.Option(help="Largest norm of the gradients; 0: any.")] = 1.0,
    loss_scale: Annotated[float, typer.Option(help="Fixed factor on the loss, such as 256; 0: dynamic.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Fresh weights and the order of the windows.")] = 0,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 50,
    csv: Annotated[str | None, typer.Option(help="The log of steps; steps.csv in the folder when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Train a language model on the Apple Neural Engine (simulated): forward and backward there, AdamW here."""
    from netwright.devices.ane import budget
    from netwright.devices.ane.training import Recipe, fresh, profile_of, train
    from netwright.errors import UserError
    from netwright.models.files import load

    from . import printing

    if (model is None) == (config is None):
        raise UserError("name either a network to start from with --model, or the sizes of a fresh one with --config")
    profile = profile_of(on)
    recipe = Recipe(steps, accumulate, length, lr, warmup, decay, clip, loss_scale, seed)
    with printing.progress(as_json) as listener:
        start = load(model, tokenizer=tokenizer) if model is not None else fresh(str(config), seed)
        found = train(
            start, data, recipe, profile, out or f"{start.name}-trained", resume=resume, save_every=save_every, log=csv,
            tell=listener, restart=lambda step: budget.restart(["--resume"], step),
        )  # fmt: skip
    if as_json:
        printing.as_json({"data": data, "model": model or config, **found})
    else:
        show(found)


def show(found: dict[str, Any]) -> None:
    """What a run came to, for people."""
    from . import printing

    clamps = ", ".join(f"{name} {count}" for name, count in found["clamps"].items())
    said = [f"{found['steps']} steps ({found['updates']} updates) under {found['profile']}"]
    if found["loss_last"] is not None:
        said += [
            f"loss {found['loss_first']:.4f} at first, {found['loss_last']:.4f} at last; "
            f"{found['unigram_entropy']:.4f} for knowing only how frequent each token is",
            f"{found['ms_a_step']:,.0f} ms a step on this machine, the engine simulated",
        ]
    said += [
        f"{found['compiles']} programs compiled in this process",
        f"clamped or not a number: {clamps}",
        f"{found['skipped_steps']} steps left out for that; loss scale {found['loss_scale']:g}",
        f"written to {found['out']}",
    ]
    for line in said:
        printing.out.print(line, markup=False, soft_wrap=True)
