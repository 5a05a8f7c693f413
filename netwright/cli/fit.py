"""netwright fit"""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Clock, DeviceName, Flash, Json, Latency, Out, Ram, assigned

EXAMPLES = """Examples:

netwright fit digits --device cortex-m4 --ram 4KB --flash 32KB --latency 20ms

netwright fit photos/ --device cortex-m7 --ram 256KB --flash 512KB --budget 30min

netwright fit photos/ --space mobilenet --narrow --estimator supernet --device cortex-m4 --ram 64KB --flash 256KB

netwright fit sensor.csv --label activity --window 64 --stride 32 --group person --device cortex-m4

netwright fit news.csv.gz --label class --device host --strategy adaptive-mutation --evaluations 24

netwright fit photos/ --device cortex-m7 --out /nfs/photos --join

netwright fit train.npz --test test.npz --device board.toml --evaluations 50 --seed 1 --json
"""


def command(
    task: Annotated[
        str,
        typer.Argument(
            help="A built-in task (digits), a folder of class subfolders of images or wav files, an .npz with x and y, "
            "or a .csv (.csv.gz) of numbers or texts with --label."
        ),
    ],
    device: DeviceName = "cortex-m4",
    ram: Ram = None,
    flash: Flash = None,
    latency: Latency = None,
    clock: Clock = None,
    test: Annotated[
        str | None, typer.Option(help="Test set of the same kind; without one a stratified 20 % is held out.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Label column of a .csv.")] = None,
    window: Annotated[int | None, typer.Option(help="Rows of a time-series window (.csv).")] = None,
    stride: Annotated[int | None, typer.Option(help="Rows from one window to the next.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Column that no window may straddle, such as a person or a run.")
    ] = None,
    space: Annotated[str, typer.Option(help="Search space (see `netwright spaces`).")] = "auto",
    strategy: Annotated[str, typer.Option(help="Search strategy (see `netwright strategies`).")] = "auto",
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="loss, accuracy, latency_ms, ram_bytes, flash_bytes, macs; several times for a Pareto search."
        ),
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(min=1, help="Candidates to train: reproducible to the bit with one worker.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Time for everything: 15min, 2h.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that evaluate at once; 1, or one a core with --budget.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
    recipe: Annotated[
        list[str] | None, typer.Option(help="A recipe field, as rate=0.01 or epochs=40; several times.")
    ] = None,
    patches: Annotated[
        str,
        typer.Option(help="auto: candidates over the RAM compute their first layers band by band; or none."),
    ] = "none",
    narrow: Annotated[
        bool,
        typer.Option(
            "--narrow",
            help="First decide the space's scales (resolution and width of mobilenet) by what fits, without training.",
        ),
    ] = False,
    estimator: Annotated[
        str,
        typer.Option(
            help="What judges candidates: short-training; supernet, trained once, whose weights they inherit; or a "
            "training-free score (capacity, macs, parameters, synflow, zen)."
        ),
    ] = "short-training",
    out: Out = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL (postgresql, mysql, sqlite) instead of a journal file.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Evaluate on a Ray cluster: host:port, auto, or local."),
    ] = None,
    join: Annotated[
        bool, typer.Option("--join", help="Help the search along that the same command without --join began.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the study in --out.")] = False,
    as_json: Json = False,
) -> None:
    """Search, train, quantise, compile and run: a network for a task that provably runs on a device."""
    from netwright import study as studies
    from netwright.devices.quantities import time_s
    from netwright.errors import UserError
    from netwright.report import write_report

    from . import printing

    if join and (resume or overwrite):
        raise UserError("--join goes with neither --resume nor --overwrite")
    given = {
        "ram": ram,
        "flash": flash,
        "latency": latency,
        "clock": clock,
        "space": space,
        "strategy": strategy,
        "objectives": tuple(objective or ("loss",)),
        "evaluations": evaluations,
        "budget_s": time_s(budget) if budget else None,
        "workers": workers,
        "seed": seed,
        "out": out,
        "storage": storage,
        "recipe": assigned(recipe or [], "--recipe"),
        "patches": patches,
        "narrow": narrow,
        "estimator": estimator,
        "ray": ray,
        "test": test,
        "label": label,
        "window": window,
        "stride": stride,
        "group": group,
    }
    with printing.progress(as_json) as listener:
        if join:
            joined = studies.join(task, device, listener=listener, **given)  # type: ignore[arg-type]
        else:
            study = studies.fit(task, device, resume=resume, overwrite=overwrite, listener=listener, **given)  # type: ignore[arg-type]
    if join:
        counted = {"out": str(joined.folder), "evaluations": len(joined.told)}
        if as_json:
            printing.as_json(counted)
        else:
            printing.out.print(f"the search is over: {len(joined.told)} trials by all workers in {joined.folder}")
        return
    report = write_report(study.folder)
    study.result["report"] = str(report)
    if as_json:
        printing.as_json(study.result)
    else:
        _print(study.result)
    if study.result["violations"] or not study.result["byte_equal"]:
        raise typer.Exit(1)


def _print(result: dict[str, object]) -> None:
    from . import printing

    accuracy, profile, device, task = (result[k] for k in ("accuracy", "profile", "device", "task"))
    assert (
        isinstance(accuracy, dict) and isinstance(profile, dict) and isinstance(device, dict) and isinstance(task, dict)
    )
    ram, flash = sum(profile["ram_bytes"].values()), sum(profile["flash_bytes"].values())

    def limit(key: str, form: str) -> str:
        return form.format(device[key]) if device.get(key) is not None else "-"

    parts = ", ".join(f"{k} {v:,}" for k, v in profile["ram_bytes"].items())
    sections = ", ".join(f"{k} {v:,}" for k, v in profile["flash_bytes"].items())
    printing.table(
        f"{task['name']} on {device['name']}",
        ("", "measured", "limit", ""),
        [
            ("accuracy on the device", f"{accuracy['device']:.2%}", "", f"int8; float {accuracy['float']:.2%}"),
            ("test set", f"{result['samples']:,} samples", "", task["held_out"]),
            ("byte-equal", "yes" if result["byte_equal"] else "NO", "", "device, host C and NumPy reference"),
            ("RAM", f"{ram:,} B", limit("ram_bytes", "{:,} B"), parts),
            ("Flash", f"{flash:,} B", limit("flash_bytes", "{:,} B"), sections),
            ("instructions", f"{profile['instructions']:,}", "", f"{profile['macs']:,} MACs; {profile['compiler']}"),
            (
                "latency (modelled)",
                f"{profile['latency_ms_modelled']:.3f} ms",
                limit("latency_ms", "{:g} ms"),
                f"{profile['cycles_modelled']:,} cycles (modelled) at {device['clock_hz'] / 1e6:g} MHz",
            ),
            (
                "search",
                f"{result['evaluations']} networks",
                "",
                f"{result['strategy']} over {result['space']}, {result['seconds']:.0f} s in all",
            ),
        ],
        right=(1, 2),
    )
    for violation in result["violations"]:  # type: ignore[attr-defined]
        printing.out.print(f"broken: {violation}", markup=False)
    printing.out.print(f"everything: {result['out']}\nreport:     {result['report']}", markup=False, soft_wrap=True)
