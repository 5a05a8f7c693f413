"""GGUF, llama.cpp's format: settings with names and types, tensors with names and places, aligned bytes.

Tensors are F32, F16, BF16, or blocks of 32 numbers: Q8_0 (a scale), Q4_0 (a scale, 8 is zero), Q4_1 (scale, least).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

from .. import gpt2, llama
from ..model import Model, gather_parameters
from ..reading import Mapped, fields
from ..rotary import halves
from ..tokenizers import ByteLevel, Tokenizer
from ..tokenizers.read import score_merge

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_F32, _F16, _Q4_0, _Q4_1, _Q8_0, _BF16 = 0, 1, 2, 3, 8, 30
_BLOCKS = {  # numbers in a block, its bytes
    _F32: (1, 4), _F16: (1, 2), _BF16: (1, 2), _Q4_0: (32, 18), _Q4_1: (32, 20), _Q8_0: (32, 34),
}  # fmt: skip
_CONTROL, _UNKNOWN = 3, 2  # types of tokens
_WORDS = {"default": "gpt2", "gpt-2": "gpt2", "smollm": "smollm", "llama-bpe": "llama3", "llama3": "llama3"}
_PARTS = {
    "attention_norm": "attn_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output",
    "ffn_norm": "ffn_norm", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
}  # fmt: skip
_ENDS = {"embed": "token_embd", "position": "position_embd", "norm": "output_norm", "head": "output"}


def matches(path: Path, first: bytes) -> bool:
    """By its mark."""
    return first.startswith(b"GGUF") or path.suffix == ".gguf"


def read(path: Path) -> Model:
    """The model, its weights as float32 (F32 tensors stay in the file), with the tokenizer inside.

    Raises UserError for a network that is neither GPT-2 nor Llama, a type of tensor not listed above, or damage.
    """
    file = Mapped(path)
    settings, tensors = _contents(file)
    kind = settings.get("general.architecture")
    if kind not in ("llama", "gpt2"):
        raise file.fail(f"its architecture {str(kind)[:40]!r} is not read here (llama, gpt2)")
    try:
        config = _config(file, str(kind), settings, tensors)
    except ValueError as error:
        raise file.fail(str(error)) from None

    def tensor(name: str) -> np.ndarray:
        if name not in tensors:
            raise file.fail(f"no tensor {name!r}, which its settings ask for")
        return tensors[name]()

    def parameter(name: str) -> np.ndarray:
        *layer, part, end = name.split(".")
        if not layer:
            return tensor(f"{_ENDS[part]}.{end}")
        start = f"blk.{layer[1]}"
        if kind == "gpt2" and part in ("q", "k", "v"):
            at = "qkv".index(part) * config.width
            return tensor(f"{start}.attn_qkv.{end}")[at : at + config.width]
        array = tensor(f"{start}.{_PARTS[part]}.{end}")
        counts = {"q": config.heads, "k": config.kv_heads}
        if kind == "llama" and part in counts and array.ndim == 2 and len(array) == counts[part] * config.head_width:
            return halves(array, counts[part])
        return array

    store = gather_parameters(str(kind), config, parameter)
    name = settings.get("general.name")
    return Model(name if isinstance(name, str) else path.stem, str(kind), config, store, _tokenizer(file, settings))


def _config(file: Mapped, kind: str, settings: dict[str, Any], tensors: Any) -> Any:
    whole = {
        "width": f"{kind}.embedding_length", "layers": f"{kind}.block_count", "heads": f"{kind}.attention.head_count",
        "hidden": f"{kind}.feed_forward_length", "context": f"{kind}.context_length",
    }  # fmt: skip
    sizes = fields(file.path, settings, whole, int)
    tokens = settings.get("tokenizer.ggml.tokens")
    sizes["vocabulary"] = len(tokens) if isinstance(tokens, list) else 0
    if not sizes["vocabulary"]:
        sizes |= fields(file.path, settings, {"vocabulary": f"{kind}.vocab_size"}, int)
    tied = "output.weight" not in tensors
    if kind == "gpt2":
        sizes |= fields(file.path, settings, {"epsilon": "gpt2.attention.layer_norm_epsilon"}, float)
        return gpt2.Config(**sizes, tied=tied)
    given = {"llama.attention.head_count_kv": sizes["heads"], "llama.rope.freq_base": 10000.0} | settings
    if given.get("llama.rope.scaling.type", "none") != "none" or "rope_freqs.weight" in tensors:
        raise file.fail("scaled rotary positions are not supported")
    if "llama.expert_count" in given:
        raise file.fail("mixtures of experts are not supported")
    sizes |= fields(file.path, given, {"kv_heads": "llama.attention.head_count_kv"}, int)
    real = {"epsilon": "llama.attention.layer_norm_rms_epsilon", "rope_base": "llama.rope.freq_base"}
    if "llama.attention.key_length" in given:
        sizes |= fields(file.path, given, {"head_width": "llama.attention.key_length"}, int)
    config = llama.Config(**sizes, **fields(file.path, given, real, float), tied=tied)
    rotated = given.get("llama.rope.dimension_count", config.head_width)
    if rotated != config.head_width:
        raise file.fail(f"it rotates {rotated} of {config.head_width} channels of a head; only all are supported")
    return config


def _contents(file: Mapped) -> tuple[dict[str, Any], dict[str, Callable[[], np.ndarray]]]:
    """Settings by name, and for each tensor what reads it."""
    mark, version, count, pairs = file.unpack("4sIQQ", "its header")
    if mark != b"GGUF":
        raise file.fail("not a GGUF file: it does not begin with GGUF")
    if version not in (2, 3):
        raise file.fail(f"GGUF version {version}; 2 and 3 are read")
    settings: dict[str, Any] = {}
    for _ in range(pairs):
        name = _text(file)
        (kind,) = file.unpack("I", f"the type of {name[:80]!r}")
        settings[name] = _value(file, kind, name[:80])
    places = []
    for index in range(count):
        name = _text(file)
        (rank,) = file.unpack("I", f"tensor {index}")
        if rank > 8:
            raise file.fail(f"tensor {name[:80]!r} has {rank} dimensions")
        *sizes, kind, offset = file.unpack(f"{rank}QIQ", f"tensor {name[:80]!r}")
        places.append((name, tuple(reversed(sizes)), kind, offset))
    align = settings.get("general.alignment", 32)
    if type(align) is not int or align < 1:
        raise file.fail(f"an alignment of {str(align)[:20]}")
    data = -(-file.at // align) * align
    return settings, {name: _tensor(file, name, shape, kind, data + at) for name, shape, kind, at in places}


def _text(file: Mapped) -> str:
    (length,) = file.unpack("Q", "a name or text")
    return file.take(length, "a name or text").decode("utf-8", errors="replace")


def _value(file: Mapped, kind: int, name: str) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind in _SCALARS:
        return file.unpack(_SCALARS[kind], name)[0]
    if kind != _ARRAY:
        raise file.fail(f"{name!r} has the unknown type {kind}")
    inner, count = file.unpack("IQ", name)
    if inner in _SCALARS:
        return list(file.unpack(f"{_bounded(file, count, name)}{_SCALARS[inner]}", name))
    if inner != _TEXT:
        raise file.fail(f"{name!r} is an array of the unknown type {inner}")
    return [_text(file) for _ in range(_bounded(file, count, name))]


def _bounded(file: Mapped, count: int, name: str) -> int:
    """A count of things of at least one byte each, which the rest of the file must have room for."""
    if count > file.size - file.at:
        raise file.fail(f"ends within {name!r}, which should have {count:,} elements")
    return count


def _tensor(file: Mapped, name: str, shape: tuple[int, ...], kind: int, offset: int) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        if kind not in _BLOCKS:
            raise file.fail(f"tensor {name[:80]!r} has the type {kind}; F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are read")
        numbers, size = _BLOCKS[kind]
        count = math.prod(shape)
        if shape and shape[-1] % numbers:
            raise file.fail(f"tensor {name[:80]!r} of shape {list(shape)} is not made of blocks of {numbers}")
        if kind in (_F32, _F16):
            array = file.array(offset, count, f"f{size}", name)
            return (array if kind == _F32 else array.astype(np.float32)).reshape(shape)
        if kind == _BF16:
            wide = file.array(offset, count, "u2", name).astype(np.uint32) << 16
            return wide.view(np.float32).reshape(shape)
        blocks = file.array(offset, count // numbers * size, "u1", name).reshape(-1, size)
        with np.errstate(invalid="ignore", over="ignore"):  # a damaged scale may be anything
            return dequantised(blocks, kind).reshape(shape)

    return read


def dequantised(blocks: np.ndarray, kind: int) -> np.ndarray:
    """Blocks as bytes [n, size] -> float32 [n, 32]. Low halves of bytes are the first 16 numbers."""
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    if kind == _Q8_0:
        return scale * blocks[:, 2:].view(np.int8)
    packed = blocks[:, 2:] if kind == _Q4_0 else blocks[:, 4:]
    levels = np.concatenate((packed & 15, packed >> 4), axis=1).astype(np.float32)
    if kind == _Q4_0:
        return (levels - 8) * scale
    return levels * scale + blocks[:, 2:4].copy().view("<f2").astype(np.float32)


def _tokenizer(file: Mapped, settings: dict[str, Any]) -> Tokenizer | None:
    start = "tokenizer.ggml"
    tokens, kind = settings.get(f"{start}.tokens"), settings.get(f"{start}.model")
    if tokens is None:
        return None
    types = settings.get(f"{start}.token_type") or [1] * len(tokens)
    if not all(isinstance(t, str) for t in tokens) or len(types) != len(tokens):
        raise file.fail("its tokens should be texts, each with a type")
    controls = {i for i, type in enumerate(types) if type in (_CONTROL, _UNKNOWN)}
    begin, *ends = (settings.get(f"{start}.{name}_token_id") for name in ("bos", "eos", "eot"))
    if not settings.get(f"{start}.add_bos_token", kind == "llama"):
        begin = None
    end = tuple(dict.fromkeys(e for e in ends if type(e) is int))
    try:
        if kind == "llama":
            scores, prefix = settings.get(f"{start}.scores") or [], settings.get(f"{start}.add_space_prefix", True)
            return score_merge(tokens, scores, controls, prefix=bool(prefix), begin=begin, end=end)
        words = settings.get(f"{start}.pre", "default")
        if kind != "gpt2" or words not in _WORDS:
            raise UserError(f"tokenizer {str(kind)[:20]!r} with words as in {str(words)[:40]!r} is not known")
        merges = [tuple(str(m).split(" ", 1)) for m in settings.get(f"{start}.merges") or ()]
        if any(len(m) != 2 for m in merges):
            raise UserError("a merge of its tokenizer is not two pieces")
        special = {tokens[i]: i for i in controls}
        return ByteLevel(tokens, merges, words=_WORDS[words], begin=begin, end=end, special=special)  # type: ignore[arg-type]
    except (ValueError, UserError) as error:
        raise file.fail(str(error)) from None
