"""netwright ablate"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceName, Flash, Json, Ram, assigned

EXAMPLES = """Examples:

netwright ablate digits --device cortex-m4 --ram 16KB --flash 64KB

netwright ablate photos/ --space mobilenet --architectures 8 --seeds 3 --out page.html
"""


def command(
    task: Annotated[
        str, typer.Argument(help="A built-in task (digits), a folder of images or wav files, an .npz, or a .csv.")
    ],
    device: DeviceName = "cortex-m4",
    ram: Ram = None,
    flash: Flash = None,
    label: Annotated[str | None, typer.Option(help="Label column of a .csv.")] = None,
    space: Annotated[str, typer.Option(help="Search space (see `netwright spaces`).")] = "auto",
    architectures: Annotated[int, typer.Option(min=3, help="Random architectures that the device accepts.")] = 8,
    seeds: Annotated[int, typer.Option(min=2, help="Trainings of each under each recipe.")] = 2,
    recipe: Annotated[
        list[str] | None, typer.Option(help="A field of the whole recipe, as rate=0.01; several times.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the architectures.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the page with its chart here (HTML).")] = None,
    as_json: Json = False,
) -> None:
    """How much of an accuracy is the recipe's, how much the architecture's, how much the seed's.

    Trains the same random architectures under the task's recipe taken apart, one trick more each time.
    """
    from netwright import tasks
    from netwright.devices import get
    from netwright.study.contributions import contributions

    from . import printing

    with printing.working("training", as_json) as status:

        def tell(share: float, words: str) -> None:
            if status is not None:
                status.update(f"{share:4.0%} {words}")

        found = contributions(
            tasks.load(task, seed=seed, label=label), get(device, ram=ram, flash=flash), space=space,
            architectures=architectures, seeds=seeds, recipe=assigned(recipe or [], "--recipe"), seed=seed, tell=tell,
        ).to_json()  # fmt: skip
    if out is not None:
        from netwright.graph.files import write_text
        from netwright.report.contributions import page

        write_text(out, page(found))
    if as_json:
        printing.as_json(found)
        return
    printing.table(
        f"{found['task']}, {architectures} random architectures of {found['space']}, {seeds} seeds; "
        "validation accuracy, %",
        ("recipe", "mean", "adds", "(95 %)", "± nets", "± seeds", "rank"),
        [
            (r["recipe"], f"{100 * r['mean']:.2f}",
             "" if r["gain"] is None else f"{100 * r['gain']:+.2f}",
             "" if r["gain"] is None else f"{100 * r['gain_low']:+.2f} to {100 * r['gain_high']:+.2f}",
             f"{100 * r['between_architectures']:.2f}", f"{100 * r['between_seeds']:.2f}",
             "-" if r["rank_with_last"] is None else f"{r['rank_with_last']:.2f}")
            for r in found["rows"]
        ],
        right=(1, 2, 3, 4, 5, 6),
    )  # fmt: skip
    printing.out.print("±: deviation between architectures and between seeds; rank: Spearman with the last recipe's")
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found["shares_of_variance"].items())
    printing.out.print(f"of the variance: {shares}")
    ranks = found["rank_correlation_between_seeds"]
    printing.out.print(f"ranks between two seeds: {'all alike' if ranks is None else f'Spearman {ranks:.2f}'}")
    if out is not None:
        printing.out.print(f"page: {out}")
