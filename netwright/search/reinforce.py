"""REINFORCE (Williams 1992) over decisions, as NAS-Bench-201's baseline has it (Dong and Yang 2020, appendix)."""

from __future__ import annotations

from netwright.search.controller import Controller


class Reinforce(Controller):
    """A step up the policy's gradient after every result."""

    name = "reinforce"

    def learn(self, decisions: dict[str, int], advantage: float) -> None:
        """log p of the candidate, weighed by its advantage."""
        self.ascend({address: self.gradient(address, place, advantage) for address, place in decisions.items()})


strategy = Reinforce
