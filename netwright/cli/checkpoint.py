"""netwright checkpoint"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Json

EXAMPLES = """Examples:

netwright checkpoint run/

netwright checkpoint run/checkpoint.safetensors --json
"""


def command(
    path: Annotated[str, typer.Argument(help="A checkpoint of `train` or `lora train`, or the run's folder.")],
    as_json: Json = False,
) -> None:
    """Look into a checkpoint of a training run: how far it is, of what network, with which recipe."""
    from pathlib import Path

    from netwright.devices.ane.training import checkpoint
    from netwright.devices.ane.training.session import CHECKPOINT

    from . import printing

    place = Path(path)
    header, tensors = checkpoint.read(place / CHECKPOINT if place.is_dir() else place)
    elements = sum(a.size for name, a in tensors.items() if name.startswith("weights/"))
    if as_json:
        printing.as_json({**header, "parameters": elements})
        return
    flat: dict[str, Any] = {"parameters": f"{elements:,}"}
    for name, value in header.items():
        inner = value if isinstance(value, dict) else {"": value}
        flat |= {f"{name} {key}".strip(): v for key, v in inner.items()}
    printing.table(str(place), ("", ""), [(name, value) for name, value in flat.items()])
