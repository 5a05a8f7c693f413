"""GGUF, llama.cpp's format: settings with names and types, tensors with names and places, aligned bytes.

Tensors are F32, F16, BF16, or blocks of 32 numbers: Q8_0, Q4_0, Q4_1 (see `blocks.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

from .. import gpt2, llama
from ..blocks import BYTES, NUMBERS, Blocks
from ..model import Model, gather_parameters
from ..reading import Mapped, fields
from ..rotary import halves
from ..tokenizers import ByteLevel, Tokenizer
from ..tokenizers.read import score_merge

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_F32, _F16, _Q4_0, _Q4_1, _Q8_0, _BF16 = 0, 1, 2, 3, 8, 30
_PLAIN = {_F32: 4, _F16: 2, _BF16: 2}  # bytes of a number
_PACKED = {_Q4_0: "q4_0", _Q4_1: "q4_1", _Q8_0: "q8_0"}
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

    packed: dict[str, Blocks] = {}

    def tensor(name: str) -> np.ndarray | Blocks:
        if name not in tensors:
            raise file.fail(f"no tensor {name!r}, which its settings ask for")
        return tensors[name]()

    def parameter(name: str) -> np.ndarray:
        *layer, part, end = name.split(".")
        found = tensor(f"blk.{layer[1]}.{_source(part)}.{end}" if layer else f"{_ENDS[part]}.{end}")
        if not isinstance(found, Blocks):
            return arranged(part if layer else "", found)
        packed[name] = found._replace(rows=arranged(part if layer else "", found.rows))
        return packed[name].dequantised()

    def _source(part: str) -> str:
        return "attn_qkv" if kind == "gpt2" and part in ("q", "k", "v") else _PARTS[part]

    def arranged(part: str, array: np.ndarray) -> np.ndarray:
        """The rows of a parameter out of those of its tensor, in the order of the network."""
        if kind == "gpt2" and part in ("q", "k", "v"):
            at = "qkv".index(part) * config.width
            return array[at : at + config.width]
        counts = {"q": config.heads, "k": config.kv_heads}
        if kind == "llama" and part in counts and array.ndim == 2 and len(array) == counts[part] * config.head_width:
            return halves(array, counts[part])
        return array

    store = gather_parameters(str(kind), config, parameter)
    name = settings.get("general.name")
    title = name if isinstance(name, str) else path.stem
    return Model(title, str(kind), config, store, _tokenizer(file, settings), packed)


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


def _contents(file: Mapped) -> tuple[dict[str, Any], dict[str, Callable[[], np.ndarray | Blocks]]]:
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


def _tensor(
    file: Mapped, name: str, shape: tuple[int, ...], kind: int, offset: int
) -> Callable[[], np.ndarray | Blocks]:
    def read() -> np.ndarray | Blocks:
        count = math.prod(shape)
        if kind in _PACKED:
            if not shape or shape[-1] % NUMBERS:
                raise file.fail(f"tensor {name[:80]!r} of shape {list(shape)} is not made of blocks of {NUMBERS}")
            rows = file.array(offset, count // NUMBERS * BYTES[_PACKED[kind]], "u1", name)
            blocks = Blocks(_PACKED[kind], rows.reshape(math.prod(shape[:-1]), -1))
            return blocks if len(shape) == 2 else blocks.dequantised().reshape(shape)
        if kind not in _PLAIN:
            raise file.fail(f"tensor {name[:80]!r} has the type {kind}; F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are read")
        if kind == _BF16:
            wide = file.array(offset, count, "u2", name).astype(np.uint32) << 16
            return wide.view(np.float32).reshape(shape)
        array = file.array(offset, count, f"f{_PLAIN[kind]}", name)
        return (array if kind == _F32 else array.astype(np.float32)).reshape(shape)

    return read


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
