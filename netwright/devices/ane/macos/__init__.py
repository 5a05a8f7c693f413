"""The Neural Engine itself, on a Mac, by its private classes. Not verified on hardware.

    engine = Macos(profile.load("m4max-orion"))     # UserError anywhere but on a Mac with Apple silicon
    Kernel.of(engine, lowered).run(x)               # the same host as on the simulator

`engine.py` says which calls are made in which order and with what (Orion 2026, section 7); it is tested against a
recorder. `objc.py` makes the calls. The engine's classes and selectors are private to Apple and may change; all of them
stand in `engine.py`.
"""

from __future__ import annotations

from .engine import LABEL, Macos

__all__ = ["LABEL", "Macos"]
