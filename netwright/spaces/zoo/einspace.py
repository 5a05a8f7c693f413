"""einspace: everything that a grammar over tensor operations derives (Ericsson et al. 2024)."""

from __future__ import annotations

from functools import partial
from typing import Any

from netwright.errors import UserError
from netwright.graph import Type
from netwright.spaces.einspace import COMPUTATION, build, grammar
from netwright.spaces.regrown import RegrownSpace
from netwright.spaces.space import Build


def space(shape: tuple[int, int, int] = (3, 28, 28), max_size: int = 1_024, max_depth: int = 100,
          max_nodes: int = 1_024, max_params: int = 20_000_000, max_elements: int = 2**20,
          computation: float = COMPUTATION) -> RegrownSpace:
    """The space for images [C, H, W].

    max_size      productions applied in one derivation (a convolution is 6)
    max_depth     of their nesting
    max_nodes     operations of the network, all copies counted
    max_params    parameters without the head
    max_elements  of the largest intermediate tensor, one sample
    computation   the probability of a computation where there is a choice; below 0.3077 derivations grow until the
                  budget stops them

    A sample is drawn by the prior unless another way is asked for: by decision, derivations would do the same.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(f"einspace needs images [C, H, W], not {list(shape)}")
    tree = {"network": grammar(tuple(shape), max_size, max_depth, max_nodes, max_params, max_elements, computation)}
    about = "a grammar of tensor operations: ResNets, transformers, mixers"
    return RegrownSpace("einspace", tree, partial(_built, tuple(shape)), about=about)


def _built(shape: tuple[int, ...], structure: Any, x: Type, y: Type) -> Build:
    if x.shape[1:] != shape:
        raise UserError(f"this einspace is for inputs {list(shape)}, not {list(x.shape[1:])}; make one for those: "
                        f'spaces.get("einspace", shape={x.shape[1:]})')
    return build(structure, x, y)
