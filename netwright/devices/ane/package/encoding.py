"""Names that the protobuf and the text use for one thing."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from netwright.errors import MissingExtra

MANIFEST = "Manifest.json"
WEIGHTS = "weights/weight.bin"

# element type -> its number in the protobuf's enumeration DataType, and the field that holds such elements
DATA_TYPES: dict[str, tuple[int, str]] = {
    "bool": (1, "bools"),
    "string": (2, "strings"),
    "fp16": (10, "bytes"),
    "fp32": (11, "floats"),
    "fp64": (12, "doubles"),
    "int8": (21, "bytes"),
    "int16": (22, "bytes"),
    "int32": (23, "ints"),
    "int64": (24, "longInts"),
    "uint8": (31, "bytes"),
    "uint16": (32, "bytes"),
    "uint32": (33, "bytes"),
    "uint64": (34, "bytes"),
}

# opset of the text -> opset of the protobuf, and version of the model's specification
OPSETS: dict[str, tuple[str, int]] = {
    "ios15": ("CoreML5", 6),
    "ios16": ("CoreML6", 7),
    "ios17": ("CoreML7", 8),
    "ios18": ("CoreML8", 9),
    "ios26": ("CoreML9", 10),
}


def core_ml_tools(module: str) -> Any:
    """A module of Core ML tools. Raises MissingExtra when they are not installed."""
    log = logging.getLogger("coremltools")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of parts that only macOS has, and of versions
    try:
        return importlib.import_module(f"coremltools.{module}")
    except ImportError:
        raise MissingExtra("coremltools", "ane") from None
    finally:
        log.setLevel(level)
