"""Training a Llama-type network with its layers on the Neural Engine (Orion 2026, section 9).

    profile = profile_of("ane:m4max-orion")
    found = train(fresh("dim=192,layers=4,heads=6,hidden=512"), "story.txt", Recipe(steps=300), profile, "run/")

`blocks` cuts the network into four programs a layer, derived from its own graphs; `network` runs them and computes the
rest (embedding, norms backwards, classifier, weight gradients) in float32; `trainer` steps, clips, updates and reloads;
`checkpoint` keeps a run, `session` is a run in a folder. `guard` counts every number that fp16 cannot hold.
Programs are compiled once: updates reach them by reload, so a profile whose reload does nothing cannot train weights.
"""

from __future__ import annotations

from netwright.errors import UserError

from ..profile import AneProfile
from ..profile import load as load_profile
from .engine import Engine
from .guard import Guard
from .network import Network
from .session import fresh, train
from .trainer import Recipe, Row, Trainer

TRAINS = "m4max-orion"  # the profile of the machine that the published training ran on


def profile_of(on: str) -> AneProfile:
    """The profile of `ane` or `ane:PROFILE`. Raises UserError for another device or an unknown profile."""
    device, _, profile = on.partition(":")
    if device != "ane":
        raise UserError(f"training on {on!r}: it runs on ane, or ane:PROFILE such as ane:{TRAINS}")
    return load_profile(profile or TRAINS)


__all__ = [
    "Engine", "Guard", "Network", "Recipe", "Row", "Trainer", "fresh", "profile_of", "train",
]  # fmt: skip
