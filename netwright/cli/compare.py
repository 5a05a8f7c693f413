"""netwright compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Json, assigned

EXAMPLES = (
    "Example: netwright compare nb201 --strategy regularised-evolution,population=10,sample=3 --strategy local-search "
    "--seconds 12000 --seeds 50 --data DIR"
)


def command(
    benchmarks: Annotated[list[str] | None, typer.Argument(help="Recorded benchmarks: nb201, zc-tnb101, ...")] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="A strategy, with settings after commas: nsga2,population=20. Repeatable.")
    ] = None,
    signal: Annotated[str | None, typer.Option(help="What a search sees; else the first validation signal.")] = None,
    queries: Annotated[list[int] | None, typer.Option(min=1, help="Budget in queries. Repeatable.")] = None,
    seconds: Annotated[list[float] | None, typer.Option(help="Budget in recorded seconds. Repeatable.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    pool: Annotated[
        int, typer.Option(min=1, help="Candidates that strategies over pools (robot, scored) choose from, a seed.")
    ] = 4_000,
    score_seconds: Annotated[
        float, typer.Option(min=0, help="Charged for each of them before the first query: the cost of its scores.")
    ] = 0.0,
    table: Annotated[
        Path | None, typer.Option(help="A table of your own: parquet or CSV, columns validation:NAME, test:NAME, ...")
    ] = None,
    space_file: Annotated[
        Path | None, typer.Option(help="A Python file that defines `space`, for --table; it is executed.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Folder of recorded data; else NETWRIGHT_DATA.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the page with curves here (HTML).")] = None,
    as_json: Json = False,
) -> None:
    """Compare search strategies on recorded benchmarks; random search at the same budget is always among them."""
    from netwright.errors import UserError
    from netwright.estimate import tables
    from netwright.estimate.tables.own import own
    from netwright.study.compare import Budget, compare

    from . import printing

    found = [tables.get(name, data) for name in benchmarks or ()]
    if table is not None:
        found.append(own(table, _space(space_file) if space_file else None))
    if not found:
        raise UserError(f"name a benchmark ({', '.join(tables.names())}) or give a --table")
    budgets = [Budget(seconds=s) for s in seconds or ()] + [Budget(queries=q) for q in queries or ()]
    asked = dict(_asked(text) for text in strategy or ("regularised-evolution", "local-search"))
    wanted = signal or next(s.name for s in found[0].signals.values() if s.split == "validation")
    with printing.working("comparing", as_json) as status:

        def tell(share: float, words: str) -> None:
            if status is not None:
                status.update(f"{share:4.0%} {words}")

        made = compare(
            found, asked, budgets or [Budget(queries=100)], signal=wanted, seeds=seeds, seed=seed, pooled=pool,
            score_seconds=score_seconds, tell=tell,
        )  # fmt: skip
    result = made.to_json()
    if out is not None:
        from netwright.graph.files import write_text
        from netwright.report.comparison import page

        write_text(out, page(result))
    if as_json:
        printing.as_json(result)
        return
    for benchmark, budget in dict.fromkeys((r["benchmark"], r["budget"]) for r in result["rows"]):
        printing.table(
            f"{benchmark}, {budget}, {seeds} seeds; searches see {wanted}; random search draws by decision",
            ("strategy", "judged by", "mean", "over random", "over average", "regret", "p"),
            [
                (r["strategy"], r["signal"], f"{r['mean']:.4g} ± {r['high'] - r['mean']:.2g}",
                 f"{r['over_random_percent']:+.2f} %", f"{r['over_average_percent']:+.1f} %", f"{r['regret']:.3f}",
                 "" if r["p"] is None else f"{r['p']:.2g}")
                for r in result["rows"] if (r["benchmark"], r["budget"]) == (benchmark, budget)
            ],
            right=(2, 3, 4, 5, 6),
        )  # fmt: skip
    charges = {(r["strategy"], r["benchmark"]): r["score_seconds"] for r in result["rows"] if r["score_seconds"]}
    for (name, where), charged in charges.items():
        printing.out.print(f"{name} on {where} was charged {charged:,.0f} s for scores before its first query")
    for r in result["correlations"]:
        within = "-" if (top := r["within_top_1_percent"]) is None else f"{top:.3f}"
        printing.out.print(f"{r['signal']} against {r['against']} of {r['benchmark']}: Spearman {r['spearman']:.3f}, "
                           f"within the best 1 % {within}")
    if out is not None:
        printing.out.print(f"page: {out}")


def _asked(text: str) -> tuple[str, dict[str, Any]]:
    """"nsga2,population=20" -> ("nsga2", {"population": 20})."""
    name, *settings = text.split(",")
    return name, assigned(settings, "--strategy")


def _space(path: Path) -> Any:
    import runpy

    from netwright.errors import UserError
    from netwright.spaces import Space

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    space = runpy.run_path(str(path)).get("space")
    if not isinstance(space, Space):
        raise UserError(f"{path}: defines no `space`")
    return space
