"""netwright lora"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Json, Out

EXAMPLES = """Examples:

netwright lora train verses.txt --model run/model --rank 8 --targets q,v --steps 100 -o verses/

netwright lora swap verses.txt --model run/model --adapter verses/adapter --adapter prose/adapter

netwright lora merge --model run/model --adapter verses/adapter -o merged/
"""


def command(
    action: Annotated[str, typer.Argument(help="train, swap (several in turn, no compile), or merge (into weights).")],
    data: Annotated[str | None, typer.Argument(help="train, swap: a text file (.gz too), or a .bin of tokens.")] = None,
    model: Annotated[str | None, typer.Option(help="The network: a .bin, .gguf or folder.")] = None,
    adapter: Annotated[list[str] | None, typer.Option(help="swap, merge: an adapter's folder. Repeatable.")] = None,
    on: Annotated[str, typer.Option(help="Where the layers run: ane, or ane:PROFILE.")] = "ane",
    tokenizer: Annotated[str | None, typer.Option(help="The tokenizer's file or folder, if elsewhere.")] = None,
    rank: Annotated[int, typer.Option(help="train: rank r of the adapter.")] = 8,
    alpha: Annotated[float, typer.Option(help="train: alpha; the adapter counts alpha / r times.")] = 16.0,
    targets: Annotated[str, typer.Option(help="train: some of q,k,v,o,gate,up,down.")] = "q,v",
    steps: Annotated[int, typer.Option(min=1, help="train: updates of the adapter.")] = 100,
    accumulate: Annotated[int, typer.Option("--accumulate", "--batch", min=1, help="train: windows an update.")] = 4,
    length: Annotated[int, typer.Option(min=1, help="Tokens a window.")] = 128,
    lr: Annotated[float, typer.Option(help="train: peak learning rate.")] = 3e-3,
    warmup: Annotated[int, typer.Option(min=0, help="train: steps up to the peak.")] = 10,
    loss_scale: Annotated[float, typer.Option(help="train: fixed factor on the loss; 0: dynamic.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="train: the adapter's start and the order of the windows.")] = 0,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="train: go on from the folder's checkpoint.")] = False,
    save_every: Annotated[int, typer.Option(min=1, help="train: steps between checkpoints.")] = 50,
    csv: Annotated[str | None, typer.Option(help="train: the log of steps, if not steps.csv in the folder.")] = None,
    as_json: Json = False,
) -> None:
    """Low-rank adapters of a language model on the Apple Neural Engine: trained, swapped without compiling, merged."""
    from netwright.devices.ane.training import Recipe, profile_of
    from netwright.devices.ane.training.adapters import Settings
    from netwright.devices.ane.training.lora import train_adapter
    from netwright.errors import UserError, nearest
    from netwright.models.files import load

    from . import printing
    from .train import show

    actions = ("train", "swap", "merge")
    if action not in actions:
        raise UserError(f"no action is called {action!r}{nearest(action, actions)}")
    if model is None:
        raise UserError("name the network with --model")
    if data is None and action != "merge":
        raise UserError(f"lora {action} needs a text: netwright lora {action} story.txt --model ...")
    loaded = load(model, tokenizer=tokenizer)
    if action == "merge":
        _merge(loaded, adapter or [], out, as_json)
        return
    profile = profile_of(on)
    if action == "swap":
        _swap(loaded, str(data), adapter or [], profile, length, as_json)
        return
    settings = Settings(rank, alpha, tuple(targets.split(",")))
    recipe = Recipe(steps, accumulate, length, lr, warmup, 0.0, 1.0, loss_scale, seed)
    with printing.progress(as_json) as listener:
        found = train_adapter(
            loaded, str(data), settings, recipe, profile, out or f"{loaded.name}-adapter", resume=resume,
            save_every=save_every, log=csv, tell=listener,
        )  # fmt: skip
    if as_json:
        printing.as_json({"data": data, "model": model, **found})
    else:
        show(found)


def _swap(model: Any, data: str, folders: list[str], profile: Any, length: int, as_json: bool) -> None:
    import tempfile

    from netwright.devices.ane.training.lora import swap

    from . import printing

    with tempfile.TemporaryDirectory(prefix="netwright-lora-") as place:
        rows = swap(model, data, folders, profile, Path(place), length=length)
    if as_json:
        printing.as_json({"model": model.name, "data": data, "profile": profile.name, "swaps": rows})
        return
    shown = [(r["adapter"], f"{r['loss']:.4f}", r["compiles"], f"{r['ms']:,.1f}") for r in rows]
    columns = ("adapter", "loss", "compiles so far", "first window, ms")
    printing.table(f"{model.name} under {profile.name}", columns, shown, right=(1, 2, 3))


def _merge(model: Any, folders: list[str], out: str | None, as_json: bool) -> None:
    from netwright.devices.ane.training.adapters import load, merged
    from netwright.errors import UserError
    from netwright.models import llama
    from netwright.models.writing import save

    from . import printing

    if not folders:
        raise UserError("name what to merge with --adapter")
    if not isinstance(model.config, llama.Config):
        raise UserError(f"{model.name} is {model.family}; adapters are those of Llama-type networks")
    for folder in folders:
        model = merged(model, load(folder, model.config))
    place = Path(out or f"{model.name}-merged")
    save(model, place)
    if as_json:
        printing.as_json({"model": model.name, "adapters": folders, "out": str(place)})
    else:
        printing.out.print(f"written to {place}", markup=False, soft_wrap=True)
