"""netwright mil"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Json

EXAMPLES = """Examples:

netwright mil lint model.mil --profile m4max-orion

netwright mil diff by-hand.mil build/

netwright mil run build/ --input x=x.npy --output y=y.npy
"""


def command(
    action: Annotated[str, typer.Argument(help="lint (broken rules), diff (of two programs), or run.")],
    files: Annotated[list[str], typer.Argument(help="MIL text, a folder with model.mil, or an .mlpackage; diff: two.")],
    profile: Annotated[str, typer.Option(help="Device and tool chain whose rules and arithmetic apply.")] = "strict",
    input: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="run: NAME=FILE.npy, in the program's own shape.")
    ] = None,
    output: Annotated[list[str] | None, typer.Option("--output", "-o", help="run: NAME=FILE.npy to write.")] = None,
    as_json: Json = False,
) -> None:
    """Look at programs of the Apple Neural Engine: which restrictions they break, how two differ, what they compute."""
    from netwright.errors import UserError, nearest

    actions: dict[str, Any] = {"lint": _lint, "diff": _diff, "run": _run}
    if action not in actions:
        raise UserError(f"no action is called {action!r}{nearest(action, actions)}")
    wanted = 2 if action == "diff" else 1
    if len(files) != wanted:
        raise UserError(f"mil {action} takes {wanted} file{'s' if wanted > 1 else ''}, {len(files)} given")
    actions[action](files, profile, input or [], output or [], as_json)


def _lint(files: list[str], profile: str, inputs: list[str], outputs: list[str], as_json: bool) -> None:
    from netwright.devices.ane.rules import lint

    from . import printing

    found = lint(files[0], profile)
    serious = [f for f in found if f.serious]
    if as_json:
        rows = [
            {"rule": f.rule.id, "where": f.where, "message": f.message, "symptom": f.rule.symptom, "state": f.state,
             "fix": f.rule.advice, "source": f.rule.source, "by_host": f.rule.by_host, "serious": f.serious}
            for f in found
        ]  # fmt: skip
        printing.as_json({"profile": profile, "findings": rows})
    else:
        for finding in sorted(found, key=lambda f: not f.serious):
            mark = "broken  " if finding.serious else "note    "
            printing.out.print(mark + str(finding), markup=False, soft_wrap=True)
        count = f"{len(serious)} broken, {len(found) - len(serious)} notes"
        printing.out.print(f"{files[0]} under {profile}: {count}", markup=False, soft_wrap=True)
    if serious:
        raise typer.Exit(1)


def _diff(files: list[str], profile: str, inputs: list[str], outputs: list[str], as_json: bool) -> None:
    from netwright.devices.ane.files import diff

    from . import printing

    found = diff(files[0], files[1])
    if as_json:
        printing.as_json({"differences": list(found.lines)})
    else:
        printing.out.print(str(found), markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)


def _run(files: list[str], profile: str, inputs: list[str], outputs: list[str], as_json: bool) -> None:
    import numpy as np

    from netwright.devices.ane import files as programs
    from netwright.devices.ane.profile import load
    from netwright.errors import UserError, nearest

    from . import printing
    from .run import read, write

    ready = programs.load(files[0], load(profile).numerics)
    given = {name: read(path) for name, path in (_pair(text, "--input") for text in inputs)}
    results = ready.run(given)
    wanted = dict(_pair(text, "--output") for text in outputs)
    for name, path in wanted.items():
        if name not in results:
            raise UserError(f"the program has no output {name!r}{nearest(name, results)}")
        write(path, results[name])
    rows = {
        name: {"type": f"{a.dtype}{list(a.shape)}", "least": float(np.min(a)), "largest": float(np.max(a)),
               "written": wanted.get(name, "")}
        for name, a in results.items()
    }  # fmt: skip
    if as_json:
        printing.as_json({"outputs": rows})
    else:
        printing.table("", ("output", "type", "least", "largest", "written"),
                       [(n, r["type"], f"{r['least']:g}", f"{r['largest']:g}", r["written"]) for n, r in rows.items()])


def _pair(text: str, option: str) -> tuple[str, str]:
    from netwright.errors import UserError

    name, equals, path = text.partition("=")
    if not (equals and name and path):
        raise UserError(f"{option} {text!r} is not NAME=FILE.npy")
    return name, path
