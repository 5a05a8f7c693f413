"""The machine at hand: the same generated C as a shared library, called through ctypes.

`native/` has loops of language models in C; `products.Products` multiplies the weights of one, packed as in its file.
"""

from __future__ import annotations

from .device import Host
from .device import HostProgram as open_program

DEVICES = {"host": Host}

__all__ = ["DEVICES", "Host", "open_program"]
