"""einspace: networks as derivations of a grammar over tensor operations (Ericsson et al. 2024).

`rules.py` is the grammar with its shapes, `network.py` makes the network of a derivation, `seeds.py` writes known
networks as derivations. A feature is an image [C, H, W] (mode `im`) or a table of tokens [S, D] (mode `col`), without
the batch.
"""

from __future__ import annotations

from netwright.spaces.einspace.network import build
from netwright.spaces.einspace.rules import COMPUTATION, Rules, State, grammar

__all__ = ["COMPUTATION", "Rules", "State", "build", "grammar"]
