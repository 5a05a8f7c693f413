"""Small helpers for HTML: escaping, numbers, tables, tags."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

MODELLED = '<span class="tag">modelled</span>'
MEASURED = '<span class="tag measured">measured</span>'


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, body: str) -> str:
    """A self-contained page without scripts: its heading and what follows, HTML already."""
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="color-scheme" content="light dark"><title>{title} · netwright</title>\n'
        f"<style>\n{style}</style></head>\n<body><main>\n<h1>{title}</h1>\n{body}</main></body></html>\n"
    )


def text(value: Any) -> str:
    """Anything as text that is safe in content and in quoted attributes; control characters become spaces."""
    clean = "".join(c if c.isprintable() or c == "\n" else " " for c in str(value))
    return html.escape(clean, quote=True)


def bytes_(count: float) -> str:
    """`4,096 B`, with a space that does not break."""
    return f"{round(count):,}\u00a0B"


def ms(value: float) -> str:
    """Milliseconds to three figures or so; the caller says beside it that they are modelled."""
    return f"{value:,.{3 if value < 10 else 2 if value < 100 else 1}f}\u00a0ms"


def percent(share: float, places: int = 2) -> str:
    return f"{100 * share:.{places}f}\u00a0%"


def short(value: float) -> str:
    """A number on an axis: 1,200 or 0.05 or 1.2e-05."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def section(title: str, body: str, about: str = "") -> str:
    """A numbered part of the page (CSS counts). `title` and `about` are HTML already."""
    lead = f'<p class="about">{about}</p>' if about else ""
    return f"<section><h2>{title}</h2>{lead}{body}</section>\n"


def figure(body: str, caption: str = "", kind: str = "") -> str:
    """A figure with its caption, both HTML already."""
    words = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="{kind}">{body}{words}</figure>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), kind: str = "") -> str:
    """A table that scrolls sideways where it must. Cells are HTML already; columns in `numbers` are right-aligned."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if i in numbers else ''}>{cell}</{tag}>" for i, cell in enumerate(row))

    head = f"<thead><tr>{cells('th', columns)}</tr></thead>" if any(columns) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{kind}">{head}<tbody>{body}</tbody></table></div>'


def bar(share: float, label: str) -> str:
    """A number over a thin bar; share in 0..1."""
    return f'<span class="bar" style="--share:{100 * min(1.0, max(0.0, share)):.2f}%">{label}</span>'


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """A list of names and values, values HTML already."""
    return '<dl class="pairs">' + "".join(f"<div><dt>{text(k)}</dt><dd>{v}</dd></div>" for k, v in rows) + "</dl>"


def legend(*keys: tuple[str, str]) -> str:
    """Keys to a chart's marks: (CSS classes of the mark, words)."""
    items = "".join(f'<span class="item"><i class="{mark}"></i>{text(words)}</span>' for mark, words in keys)
    return f'<span class="legend">{items}</span>'
