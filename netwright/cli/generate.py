"""netwright generate"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json

if TYPE_CHECKING:
    from netwright.models.generate import Runner
    from netwright.models.model import Model

EXAMPLES = """Examples:

netwright generate stories260K.bin --prompt "Once upon a time" --max-tokens 200

netwright generate model.gguf --prompt "The sea" --temperature 0.8 --top-p 0.95 --seed 1

netwright generate stories260K.bin --prompt "Once upon a time" --mode ane --profile m4max-orion

netwright generate model-folder/ --prompt "Hello" --repetition-penalty 1.1 --json
"""


def command(
    model: Annotated[
        str,
        typer.Argument(help="A .gguf file, a .bin of llama2.c, or a folder with config.json and .safetensors."),
    ],
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="The text to go on from.")] = "",
    max_tokens: Annotated[int, typer.Option(help="New tokens at most.")] = 128,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token; higher draws more freely.")] = 0.0,
    top_k: Annotated[int, typer.Option(help="Draw among so many likeliest tokens; 0: all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw among the likeliest that hold this share of probability.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1 avoids tokens that were there before.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed draws the same text.")] = 0,
    context: Annotated[int | None, typer.Option(help="Tokens that fit, prompt included.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="The tokenizer's file or folder, if elsewhere.")] = None,
    special: Annotated[bool, typer.Option("--special", help="The prompt may spell control tokens.")] = False,
    mode: Annotated[
        str,
        typer.Option(help="Where it runs: cpu; ane: on the Neural Engine, simulated; ane-prefill: the prompt there."),
    ] = "cpu",
    profile: Annotated[str, typer.Option(help="The Neural Engine's profile (`netwright devices`).")] = "strict",
    engine: Annotated[
        str, typer.Option(help="simulator; or macos: the engine of this Mac, which is not verified on hardware.")
    ] = "simulator",
    as_json: Json = False,
) -> None:
    """Write text with a language model on this machine."""
    import sys

    from netwright.errors import UserError, nearest
    from netwright.models.files import load
    from netwright.models.generate import Generator
    from netwright.models.sampling import Sampler

    from . import printing

    if mode not in MODES:
        raise UserError(f"no mode {mode!r}{nearest(mode, MODES)}")
    if mode == "cpu" and engine != "simulator":
        raise UserError(f"--engine {engine} needs --mode ane or ane-prefill")
    sampler = Sampler(temperature, top_k, top_p, repetition_penalty, seed)
    with printing.working(f"reading {model}", as_json):
        loaded = load(model, tokenizer=tokenizer)
        if loaded.tokenizer is None:
            raise UserError(f"{model}: no tokenizer in it or beside it; name one with --tokenizer")
        generator = Generator(_runner(loaded, mode, context, profile, engine), loaded.tokenizer)
        if engine == "macos":
            from netwright.devices.ane.macos import LABEL

            printing.err.print(LABEL, markup=False)
    text = ""
    for piece in generator.stream(prompt, sampler, max_tokens=max_tokens, special=special):
        text += piece
        if not as_json:
            sys.stdout.write(piece)
            sys.stdout.flush()
    stats = generator.stats
    if as_json:
        printing.as_json(
            {
                "model": loaded.name, "mode": mode, "prompt": prompt, "text": text, "tokens": generator.tokens,
                "prompt_tokens": stats.prompt_tokens, "new_tokens": stats.tokens, "stopped": stats.stopped,
                "prefill_s": stats.prefill_s, "decode_s": stats.decode_s,
                "prefill_tokens_s": stats.prefill_tokens_s, "decode_tokens_s": stats.decode_tokens_s,
            }
        )  # fmt: skip
        return
    sys.stdout.write("\n")
    printing.err.print(
        f"{stats.prompt_tokens} prompt tokens in {stats.prefill_s:.2f} s ({stats.prefill_tokens_s:,.1f} tokens/s); "
        f"{stats.tokens} new, {stats.decode_tokens_s:,.1f} tokens/s; stopped at the {STOPPED[stats.stopped]}",
        markup=False,
        soft_wrap=True,
    )


def _runner(model: Model, mode: str, context: int | None, profile: str, engine: str) -> Runner:
    if mode == "cpu":
        from netwright.devices.host.products import Products
        from netwright.models.generate import CpuRunner

        return CpuRunner(model, context=context, products=Products(model))
    from netwright.devices.ane.decoder import AneRunner

    return AneRunner(model, context=context, mode=mode, profile=profile, engine=engine)


MODES = ("cpu", "ane-prefill", "ane")
STOPPED = {"end": "network's own end", "length": "count asked for", "context": "end of the context"}
