"""Charts as inline SVG: scales, ticks, axes, marks. Colours are CSS classes: one drawing serves light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .html import text


@dataclass(frozen=True)
class Scale:
    """Data to pixels, linear or logarithmic: `low` < `high` in data to `start` and `stop` in pixels, either way."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (
            (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (at - low) / ((high - low) or 1.0) * (self.stop - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values inside the scale."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7)):
                found = [s * 10.0**d for d in decades for s in steps if self.low <= s * 10.0**d <= self.high]
                if len(found) >= about - 2:
                    return found
        width = self.high - self.low
        step = 10.0 ** math.floor(math.log10(width / about))
        step *= next(m for m in (1, 2, 5, 10) if width / (step * m) <= about + 0.5)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def span(values: Sequence[float], *, zero: bool = False, log: bool = False, room: float = 0.06) -> tuple[float, float]:
    """Ends of an axis that holds `values` with some room; never empty."""
    low, high = min(values), max(values)
    if log:
        low, high = math.log10(low), math.log10(high)
        gap = (high - low) * room or 0.1
        return float(10 ** (low - gap)), float(10 ** (high + gap))
    if zero:
        return 0.0, high * (1 + room) or 1.0
    gap = (high - low) * room or abs(high) * 0.1 or 1.0
    return low - gap, high + gap


@dataclass
class Chart:
    """A drawing of `width` x `height` pixels with a plot area inside `left`, `top`, `right`, `bottom` margins."""

    width: float
    height: float
    about: str  # what it shows, for those who cannot see it
    left: float = 52
    right: float = 10
    top: float = 14
    bottom: float = 40
    parts: list[str] = field(default_factory=list)

    def x(self, low: float, high: float, log: bool = False) -> Scale:
        return Scale(low, high, self.left, self.width - self.right, log)

    def y(self, low: float, high: float, log: bool = False) -> Scale:
        return Scale(low, high, self.height - self.bottom, self.top, log)

    def add(self, markup: str, title: str = "") -> None:
        """One element given as `<circle .../>`; with a title it becomes a mark that can be asked for its numbers."""
        if title:
            tag = markup[1:].split(" ", 1)[0]
            markup = f"{markup[:-2]}><title>{text(title)}</title></{tag}>"
        self.parts.append(markup)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str, title: str = "") -> None:
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>', title)

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        if points:
            self.add(f'<path d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}" class="{kind}"/>')

    def rect(
        self, x: float, y: float, width: float, height: float, kind: str, title: str = "", style: str = ""
    ) -> None:
        given = f' style="{style}"' if style else ""
        self.add(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"{given}/>', title
        )

    def dot(self, x: float, y: float, radius: float, kind: str, title: str = "") -> None:
        self.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}"/>', title)

    def cross(self, x: float, y: float, kind: str, title: str = "") -> None:
        self.add(f'<path d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6" class="{kind}"/>', title)

    def words(self, x: float, y: float, what: str, anchor: str = "start", kind: str = "", turn: float = 0) -> None:
        turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}"{turned}>{text(what)}</text>'
        )

    def axes(
        self,
        x: Scale,
        y: Scale,
        x_name: str,
        y_name: str,
        form: Callable[[float], str],
        x_form: Callable[[float], str] | None = None,
        x_ticks: Sequence[float] | None = None,
        about: int = 5,
    ) -> None:
        """Hairlines across for y, small marks below for x, names of both."""
        floor, end = self.height - self.bottom, self.width - self.right
        for value in y.ticks(5):
            self.line(self.left, y(value), end, y(value), "grid")
            self.words(self.left - 6, y(value) + 3.5, form(value), "end", "tick")
        self.line(self.left, floor, end, floor, "axis")
        for value in x.ticks(about) if x_ticks is None else x_ticks:
            self.line(x(value), floor, x(value), floor + 4, "axis")
            self.words(x(value), floor + 16, (x_form or form)(value), "middle", "tick")
        self.words((self.left + end) / 2, self.height - 5, x_name, "middle", "name")
        if y_name:
            self.words(11, (self.top + floor) / 2, y_name, "middle", "name", turn=-90)

    def __str__(self) -> str:
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{text(self.about)}">'
            f"{''.join(self.parts)}</svg>"
        )


def both(draw: Callable[[float], Chart]) -> str:
    """A chart drawn twice, for wide and for narrow screens, so that its letters keep their size."""
    return f'<div class="wide">{draw(1040)}</div><div class="narrow">{draw(400)}</div>'
