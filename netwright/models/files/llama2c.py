"""llama2.c's first format: seven int32 of sizes, then float32 arrays in a fixed order, layer after layer in each."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from ..llama import Config
from ..model import Model, gather_parameters
from ..reading import Mapped
from ..rotary import halves
from ..tokenizers import load as load_tokenizer

_LATER = b"24ka"  # the mark of versions 1 and 2


def matches(path: Path, first: bytes) -> bool:
    """By name: the format has no mark."""
    return path.suffix == ".bin" and len(first) >= 28


def read(path: Path) -> Model:
    """The model; its arrays stay in the file but for queries and keys, whose rows are reordered.

    The tokenizer is `tokenizer.bin` or `tok<vocabulary>.bin` beside it. Raises UserError where sizes and bytes differ.
    """
    file = Mapped(path)
    if file.data[:4] == _LATER:
        raise file.fail("a later version of llama2.c's format; only version 0 is read")
    width, hidden, layers, heads, kv_heads, vocabulary, context = struct.unpack("<7i", file.take(28, "its sizes"))
    try:
        config = Config(
            abs(vocabulary), width, layers, heads, kv_heads, hidden, context, tied=vocabulary > 0
        )
    except ValueError as error:
        raise file.fail(f"not llama2.c's format, or damaged: {error}") from None
    c, query, key = config, heads * config.head_width, kv_heads * config.head_width
    layout: dict[str, tuple[int, ...]] = {
        "embed": (c.vocabulary, width), "attention_norm": (layers, width), "q": (layers, query, width),
        "k": (layers, key, width), "v": (layers, key, width), "o": (layers, width, query), "ffn_norm": (layers, width),
        "gate": (layers, hidden, width), "down": (layers, width, hidden), "up": (layers, hidden, width),
        "norm": (width,), "cosine": (context, c.head_width // 2), "sine": (context, c.head_width // 2),
    }  # fmt: skip
    if not c.tied:
        layout["head"] = (c.vocabulary, width)
    wanted = 28 + 4 * sum(map(math.prod, layout.values()))
    if wanted != file.size:
        raise file.fail(f"its sizes ask for {wanted:,} bytes and it has {file.size:,}: damaged, or another format")
    arrays, at = {}, 28
    for name, shape in layout.items():
        arrays[name] = file.array(at, math.prod(shape), "f4", name).reshape(shape)
        at += 4 * math.prod(shape)

    def parameter(name: str) -> np.ndarray:
        layer, part = name.split(".")[-3:-1] if name.startswith("layers.") else ("", name.split(".")[0])
        array = arrays[part][int(layer)] if layer else arrays[part]
        counts = {"q": heads, "k": kv_heads}
        return halves(array, counts[part]) if part in counts else array

    store = gather_parameters("llama", config, parameter)
    beside = [path.with_name(name) for name in ("tokenizer.bin", f"tok{c.vocabulary}.bin")]
    found = next((p for p in beside if p.is_file()), None)
    tokenizer = load_tokenizer(found) if found else None
    if tokenizer is not None and len(tokenizer) != c.vocabulary:
        raise file.fail(f"{c.vocabulary} tokens, and {found} beside it has {len(tokenizer)}")
    return Model(path.stem, "llama", config, store, tokenizer)
