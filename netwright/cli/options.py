"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Ram = Annotated[str | None, typer.Option(help="RAM the network may use, stack included: 4KB, 65536.")]
Flash = Annotated[str | None, typer.Option(help="Flash for code and weights: 32KB, 1MB.")]
Latency = Annotated[str | None, typer.Option(help="Longest time of one inference (modelled): 20ms.")]
Clock = Annotated[str | None, typer.Option(help="Clock instead of the device's own: 80MHz.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")]
Out = Annotated[str | None, typer.Option("--out", "-o", help="Folder for everything that is written.")]
DeviceName = Annotated[str, typer.Option("--device", "-d", help="A device (see `netwright devices`) or a board.toml.")]
