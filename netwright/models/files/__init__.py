"""Language models out of files. Each format is one module with `matches(path, first)` and `read(path)`.

    model = load("SmolLM2-135M-Instruct.Q4_1.gguf")     # or stories260K.bin, or a folder with config.json
    model.config, model.store, model.tokenizer

A file is data: nothing in it is run, and sizes are checked before memory is taken.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path

from netwright.errors import UserError

from ..model import Model
from ..tokenizers import load as load_tokenizer

FORMATS = tuple(importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
_FIRST = 64  # bytes that a format may look at to know its files


def load(path: str | Path, *, tokenizer: str | Path | None = None) -> Model:
    """The model in a file or folder; `tokenizer` names another one's file or folder.

    Raises UserError, in one line, for what cannot be read or is no model of a known family.
    """
    place = Path(path)
    if not place.exists():
        raise UserError(f"{place}: no such file or folder")
    if place.is_dir() and not (place / "config.json").is_file():
        inside = sorted(p for p in place.iterdir() if p.suffix in (".gguf", ".bin") and not p.name.startswith("tok"))
        if len(inside) != 1:
            raise UserError(f"{place}: no config.json (with .safetensors) there, and not just one .gguf or .bin file")
        place = inside[0]
    try:
        first = b""
        if place.is_file():
            with place.open("rb") as file:
                first = file.read(_FIRST)
    except OSError as error:
        raise UserError(f"{place}: {error.strerror or error}") from None
    for form in FORMATS:
        if form.matches(place, first):
            try:
                model: Model = form.read(place)
            except ValueError as error:
                raise UserError(f"{place}: {error}") from None
            if tokenizer is not None:
                model = replace(model, tokenizer=load_tokenizer(tokenizer))
            known = model.config.vocabulary
            if model.tokenizer is not None and len(model.tokenizer) > known:
                whose = place if tokenizer is None else tokenizer
                count = len(model.tokenizer)
                raise UserError(f"{whose}: a tokenizer of {count:,} tokens, and the network has {known:,}")
            return model
    raise UserError(f"{place}: not a language model that netwright reads (.gguf, llama2.c's .bin, .safetensors)")


__all__ = ["FORMATS", "Model", "load"]
