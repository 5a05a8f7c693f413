"""The page: its parts in order, with style and script inside."""

from __future__ import annotations

from pathlib import Path

from . import confusion, header, layers, memory, pareto, progress, reproduce
from .html import text
from .material import Material

PARTS = (header, pareto, progress, layers, memory, confusion, reproduce)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(material: Material) -> str:
    """One self-contained HTML document. The policy in its head forbids the browser to fetch anything at all."""
    here = Path(__file__).parent
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    title = f"{material.result['task'].get('name')} on {material.result['device'].get('name')} · netwright report"
    body = "".join(part.section(material) for part in PARTS)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="color-scheme" content="light dark"><title>{text(title)}</title>\n'
        f"<style>\n{style}</style></head>\n"
        f"<body><main>\n{body}"
        "<footer>Measured: counted or observed in a run of the compiled program. Modelled: cycles, milliseconds, "
        "and the costs of the trials, from documented tables; an emulator counts instructions, not time.</footer>\n"
        "</main>\n"
        f"<script>\n{script}</script></body></html>\n"
    )
