"""netwright bench"""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json

EXAMPLES = """Examples:

netwright bench ane kernels --profile m4max-orion

netwright bench ane inference stories260K.bin --prompt 32 --tokens 16 --save-baseline before.json

netwright bench ane inference stories260K.bin --prompt 32 --tokens 16 --baseline before.json

netwright bench ane kernels model-folder/ --json
"""
DEVICES = ("ane",)


def command(
    device: Annotated[str, typer.Argument(help="ane.")],
    what: Annotated[str, typer.Argument(help="kernels (programs of one layer) or inference (prompt and tokens).")],
    model: Annotated[
        str | None, typer.Argument(help="A language model's file or folder; a random GPT-2 of 124M without.")
    ] = None,
    profile: Annotated[str, typer.Option(help="The Neural Engine's profile (`netwright devices`).")] = "strict",
    engine: Annotated[
        str, typer.Option(help="simulator; or macos: the engine of this Mac, which is not verified on hardware.")
    ] = "simulator",
    prompt: Annotated[int, typer.Option(help="Tokens of the prompt.")] = 64,
    tokens: Annotated[int, typer.Option(help="Tokens decoded after it.")] = 8,
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median counts.")] = 3,
    save_baseline: Annotated[str | None, typer.Option(help="Write the figures into this file.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Warn of what takes over 15 % more than in this file; status 1.")
    ] = None,
    as_json: Json = False,
) -> None:
    """How long a language model's programs take: measured here, modelled for the device."""
    from netwright.errors import UserError, nearest

    if device not in DEVICES:
        raise UserError(f"no device {device!r} to bench{nearest(device, DEVICES)}")
    from netwright.devices.ane.bench import BENCHES, Result, Settings, random_gpt2
    from netwright.models.files import load

    from . import printing

    if what not in BENCHES:
        raise UserError(f"bench ane runs no {what!r}{nearest(what, BENCHES)}")
    settings = Settings(profile, engine, prompt, tokens, rounds)
    before = Result.read(baseline) if baseline else None
    with printing.working(f"timing {what}", as_json):
        found = BENCHES[what](load(model) if model else random_gpt2(), settings)
    slower = found.slower_than(before) if before else []
    if save_baseline:
        found.write(save_baseline)
    here = "this machine's executor and processor" if engine == "simulator" else "an engine that is not verified"
    if as_json:
        printing.as_json({**found.to_json(), "measured_on": here, "slower": slower})
    else:
        modelled = ["-" if r.modelled_ms is None else f"{r.modelled_ms:.3f}" for r in found.rows]
        rows = [(r.name, f"{r.measured_s:.5f}", ms) for r, ms in zip(found.rows, modelled)]
        printing.table(f"{found.model}, {what}", ("", "measured s", "modelled ms"), rows, right=(1, 2))
        words = f"measured: {here} ({found.machine}); modelled: the engine's calls by the latency model of {profile}"
        printing.out.print(words, markup=False, soft_wrap=True)
    for line in slower:
        printing.err.print(f"slower: {line}", markup=False, soft_wrap=True)
    if slower:
        raise typer.Exit(1)
