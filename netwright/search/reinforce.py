"""REINFORCE (Williams 1992) over decisions, as NAS-Bench-201's baseline has it (Dong and Yang 2020, appendix)."""

from __future__ import annotations

from typing import Any

from netwright.search.controller import Logits


class Reinforce(Logits):
    """A step up the policy's gradient after every result."""

    name = "reinforce"

    def learn(self, candidate: Any, advantage: float) -> None:
        """log p of the candidate, weighed by its advantage."""
        places = self.places(candidate)
        self.ascend({address: self.gradient(address, place, advantage) for address, place in places.items()})


strategy = Reinforce
