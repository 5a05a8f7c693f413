"""The report: one HTML file that opens offline and shows what `fit` made, and how far each number can be trusted.

    path = write_report("netwright-out/digits-cortex-m4")                  # report.html in that folder
    path = write_report(folder, baseline="netwright-out/digits-random")   # random search from a recorded study

It is drawn from what `fit` wrote (`result.json`, `trials.json`, `graph.txt`) with NumPy alone: no plotting library, no
torch, nothing fetched. Charts are inline SVG; each mark carries its numbers in a `<title>`, which a few lines of
JavaScript turn into a tooltip. What is modelled (cycles, milliseconds, costs of a trial) says so beside each number.

One part of the page is one module with `section(material) -> str`; `page.py` puts them in order.
"""

from __future__ import annotations

from .write import write_report

__all__ = ["write_report"]
