"""netwright ui"""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = """Examples:

netwright ui netwright-out/digits-cortex-m4

netwright ui postgresql://netwright@host/studies --port 8081 --no-open
"""


def command(
    study: Annotated[
        str, typer.Argument(help="A folder that `fit` wrote or is writing, a journal file, or a storage URL.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")] = False,
) -> None:
    """Look at a study in a browser: the Optuna dashboard, with the report beside it. Ctrl-C ends it."""
    import webbrowser

    from netwright.report.site import PLACE, Site, serve

    from . import printing

    with serve(Site(study), host, port) as server:
        address = f"http://{host}:{server.server_port}"
        printing.out.print(f"dashboard: {address}/dashboard\nreport:    {address}{PLACE}", markup=False, soft_wrap=True)
        if not no_open:
            webbrowser.open(f"{address}{PLACE}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            printing.out.print("ended")
