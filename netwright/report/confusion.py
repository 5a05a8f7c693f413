"""The confusion matrix of the test set, on the device."""

from __future__ import annotations

import numpy as np

from .html import figure, percent, table, text
from .html import section as part
from .material import Material
from .svg import Chart

_COUNTED = 30  # up to so many classes the cells show their counts
_WORST = 10


def section(material: Material) -> str:
    """Heat map, the pairs most often confused, and recall by class. Empty without test samples."""
    counts = np.asarray(material.result["confusion"], dtype=int)
    classes = [str(c) for c in material.result["classes"]]
    if counts.ndim != 2 or counts.shape != (len(classes),) * 2 or counts.sum() == 0:
        return ""
    wrong = int(counts.sum() - np.trace(counts))
    caption = (
        f"Test samples by true class (rows) and by what the network on the device said (columns): "
        f"{counts.sum():,} samples, {wrong:,} wrong. Shade is the share of the row; blue is right, orange is wrong."
    )
    small = " small" if len(classes) <= 12 else ""
    body = (
        f'<div class="beside"><div class="matrix scroll{small}">{_matrix(counts, classes)}</div>'
        f'<div class="lists"><div>{_worst(counts, classes)}</div><div>{_recall(counts, classes)}</div></div></div>'
    )
    return part("Confusion matrix", figure(body, caption))


def _matrix(counts: np.ndarray, classes: list[str]) -> str:
    n = len(classes)
    cell = 36.0 if n <= 12 else 27.0 if n <= _COUNTED else max(3.0, 720 / n)
    longest = min(16, max(len(c) for c in classes))
    room = 30 + 6.4 * longest if cell >= 9 else 26.0
    steep = longest > 3
    top = 30 + (5.0 * longest if steep else 8) if cell >= 9 else 26.0
    chart = Chart(
        room + n * cell + (5.0 * longest if steep else 4), top + n * cell + 4, f"confusion matrix of {n} classes"
    )
    chart.words(room + n * cell / 2, 12, "predicted", "middle", "name")
    chart.words(11, top + n * cell / 2, "true", "middle", "name", turn=-90)
    if n > _COUNTED:
        chart.rect(room, top, n * cell - 1, n * cell - 1, "ground")
    rows = counts.sum(1)
    for i in range(n):
        if cell >= 9:
            short = _cut(classes[i], 16)
            chart.words(room - 7, top + (i + 0.5) * cell + 4, short, "end", "tick")
            at = room + (i + 0.5) * cell
            if steep:
                chart.words(at, top - 7, short, "start", "tick", turn=-40)
            else:
                chart.words(at, top - 7, short, "middle", "tick")
        for j in range(n):
            count = int(counts[i, j])
            if not count and n > _COUNTED:
                continue
            share = count / max(1, int(rows[i]))
            strength = 0.0 if not count else (0.12 + 0.88 * share if i == j else min(1.0, 0.16 + 2.2 * share))
            title = f"true {classes[i]}, predicted {classes[j]}: {count:,} of {int(rows[i]):,} ({100 * share:.1f} %)"
            chart.rect(
                room + j * cell,
                top + i * cell,
                cell - 1,
                cell - 1,
                "cell " + ("right" if i == j else "wrong"),
                title,
                f"--strength:{strength:.3f}",
            )
            if count and n <= _COUNTED:
                dark = " strong" if strength > 0.55 else ""
                chart.words(
                    room + (j + 0.5) * cell - 0.5, top + (i + 0.5) * cell + 3.5, f"{count:,}", "middle", "count" + dark
                )
    markup = str(chart)
    return markup.replace("<svg ", f'<svg style="width:{chart.width:.0f}px" ', 1)


def _worst(counts: np.ndarray, classes: list[str]) -> str:
    off = counts - np.diag(np.diag(counts))
    order = [k for k in np.argsort(-off, axis=None, kind="stable")[:_WORST] if off.flat[k] > 0]
    if not order:
        return "<p>No test sample is taken for another class.</p>"
    rows = []
    for k in order:
        i, j = divmod(int(k), len(classes))
        rows.append(
            (
                text(_cut(classes[i], 28)),
                text(_cut(classes[j], 28)),
                f"{off[i, j]:,}",
                percent(off[i, j] / counts[i].sum(), 1),
            )
        )
    return "<h3>Most often confused</h3>" + table(("true", "taken for", "times", "of class"), rows, (2, 3))


def _recall(counts: np.ndarray, classes: list[str]) -> str:
    rows = counts.sum(1)
    seen = [i for i in range(len(classes)) if rows[i]]
    recall = {i: counts[i, i] / rows[i] for i in seen}
    low = sorted(seen, key=lambda i: recall[i])[:5]
    head = "<h3>Lowest recall</h3>" if len(seen) > 5 else "<h3>Recall</h3>"
    return head + table(
        ("class", "right", "of", "recall"),
        [(text(_cut(classes[i], 28)), f"{counts[i, i]:,}", f"{rows[i]:,}", percent(recall[i], 1)) for i in low],
        (1, 2, 3),
    )


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
