"""Language models built as Graphs, one flat file a family, and what it takes to read and run them.

    from netwright.models import load

    model = load("model.gguf")                                   # files/: GGUF, llama2.c, safetensors
    graph = model.builders.full(model.config, 256, store=model.store)      # tokens [256] -> logits [256, V]
    step = model.builders.decode(model.config, 1024, store=model.store)    # a token and its position, with a cache

`gpt2` and `llama` have the same functions: `full`, `decode`, and the pieces of a layer for accelerators (`attention`,
`feed_forward`, `project`, `attend`, `embed`, `head`). `tokenizers/` turns text into tokens, `sampling` chooses the
next one, `generate` writes text with anything that has `prefill` and `step`, `writing` puts a Llama-type network into a
folder.
"""

from __future__ import annotations

from .files import load
from .model import Model

__all__ = ["Model", "load"]
