"""safetensors with Hugging Face's names, config.json beside: a JSON header of names, types and places, then bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

from .. import gpt2, llama
from ..model import Model, gather_parameters
from ..reading import Mapped, fields, read_json
from ..tokenizers import Tokenizer
from ..tokenizers import load as load_tokenizer

_TYPES = {"F32": "f4", "F16": "f2", "BF16": "u2"}
_LARGEST_HEADER = 100 << 20
_LLAMA = {
    "attention_norm": "input_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
    "o": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}  # fmt: skip
_GPT2 = {
    "attention_norm": "ln_1", "o": "attn.c_proj", "ffn_norm": "ln_2", "up": "mlp.c_fc", "down": "mlp.c_proj",
    "q": "attn.c_attn", "k": "attn.c_attn", "v": "attn.c_attn",
}  # fmt: skip
_GPT2_ENDS = {"embed": "wte", "position": "wpe", "norm": "ln_f"}


def matches(path: Path, first: bytes) -> bool:
    """A folder with config.json, or a file of that name."""
    return path.is_dir() or path.suffix == ".safetensors"


def read(path: Path) -> Model:
    """The model. float32 arrays stay in the file; bfloat16 and float16 become float32.

    Raises UserError for a network that is neither GPT-2 nor a plain Llama, and for damaged or missing files.
    """
    folder = path if path.is_dir() else path.parent
    place = folder / "config.json"
    if not place.is_file():
        raise UserError(f"{path}: no config.json beside it, which says what network it is")
    given = read_json(place)
    kind = given.get("model_type") if isinstance(given, dict) else None
    if kind not in ("llama", "gpt2"):
        raise UserError(f"{place}: model_type {kind!r} is not read here (llama, gpt2)")
    tensors = _tensors(path)
    try:
        config = _llama(place, given, tensors) if kind == "llama" else _gpt2(place, given, tensors)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None

    def tensor(name: str) -> np.ndarray:
        if name not in tensors:
            raise UserError(f"{path}: no tensor {name!r}, which {place} asks for")
        return tensors[name]()

    parameter = _llama_parameter(tensor) if kind == "llama" else _gpt2_parameter(tensor, tensors, config.width)
    store = gather_parameters(kind, config, parameter)
    return Model(folder.resolve().name, kind, config, store, _tokenizer(folder, given, config.vocabulary))


def _llama(where: Path, given: dict[str, Any], tensors: Any) -> llama.Config:
    rope = given.get("rope_parameters") or {}
    scaling = given.get("rope_scaling") or {}
    for name, plain in (("attention_bias", False), ("mlp_bias", False), ("hidden_act", "silu")):
        if given.get(name, plain) != plain:
            raise UserError(f"{where}: {name} {given[name]!r} is not supported, only {plain!r}")
    if any(part.get("rope_type", part.get("type", "default")) != "default" for part in (rope, scaling)):
        raise UserError(f"{where}: scaled rotary positions are not supported: {str(scaling or rope)[:80]}")
    filled = {"num_key_value_heads": given.get("num_attention_heads"), "rope_theta": rope.get("rope_theta", 10000.0)}
    given = filled | {"head_dim": 0} | {k: v for k, v in given.items() if v is not None}
    whole = {
        "vocabulary": "vocab_size", "width": "hidden_size", "layers": "num_hidden_layers",
        "heads": "num_attention_heads", "kv_heads": "num_key_value_heads", "head_width": "head_dim",
        "hidden": "intermediate_size", "context": "max_position_embeddings",
    }  # fmt: skip
    real = {"epsilon": "rms_norm_eps", "rope_base": "rope_theta"}
    sizes = fields(where, given, whole, int) | fields(where, given, real, float)
    tied = bool(given.get("tie_word_embeddings", False)) or "lm_head.weight" not in tensors
    return llama.Config(**sizes, tied=tied)


def _gpt2(where: Path, given: dict[str, Any], tensors: Any) -> gpt2.Config:
    if given.get("activation_function", "gelu_new") not in ("gelu_new", "gelu_pytorch_tanh"):
        raise UserError(f"{where}: activation_function {given['activation_function']!r}: only gelu_new is supported")
    whole = {
        "vocabulary": "vocab_size", "width": "n_embd", "layers": "n_layer", "heads": "n_head", "context": "n_positions",
    }  # fmt: skip
    sizes = fields(where, given, whole, int)
    sizes["hidden"] = 4 * sizes["width"]
    if given.get("n_inner") is not None:
        sizes |= fields(where, given, {"hidden": "n_inner"}, int)
    sizes |= fields(where, {"layer_norm_epsilon": 1e-5} | given, {"epsilon": "layer_norm_epsilon"}, float)
    tied = bool(given.get("tie_word_embeddings", True)) or "lm_head.weight" not in tensors
    return gpt2.Config(**sizes, tied=tied)


def _llama_parameter(tensor: Callable[[str], np.ndarray]) -> Callable[[str], np.ndarray]:
    ends = {"embed": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}

    def parameter(name: str) -> np.ndarray:
        *layer, part, kind = name.split(".")
        return tensor(f"model.layers.{layer[1]}.{_LLAMA[part]}.{kind}" if layer else f"{ends[part]}.{kind}")

    return parameter


def _gpt2_parameter(
    tensor: Callable[[str], np.ndarray], tensors: Any, width: int
) -> Callable[[str], np.ndarray]:
    start = "transformer." if "transformer.wte.weight" in tensors else ""

    def parameter(name: str) -> np.ndarray:
        *layer, part, kind = name.split(".")
        if part == "head":
            return tensor("lm_head.weight")
        if not layer:
            return tensor(f"{start}{_GPT2_ENDS[part]}.{kind}")
        array = tensor(f"{start}h.{layer[1]}.{_GPT2[part]}.{kind}")
        if part in ("q", "k", "v"):
            at = "qkv".index(part) * width
            array = array[..., at : at + width]
        return array.T if kind == "weight" and "norm" not in part else array

    return parameter


def _tokenizer(folder: Path, given: dict[str, Any], vocabulary: int) -> Tokenizer | None:
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json", "vocab.json.gz")):
        return None
    ends = given.get("eos_token_id")
    end = tuple(e for e in (ends if isinstance(ends, list) else [ends]) if type(e) is int)
    found = load_tokenizer(folder, end=end)
    if len(found) > vocabulary:
        raise UserError(f"{folder}: its tokenizer has {len(found)} tokens, the network {vocabulary}")
    return found


def _tensors(path: Path) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> what reads it, over all files of the model."""
    if path.is_file():
        return _file_tensors(path)
    index = path / "model.safetensors.index.json"
    if index.is_file():
        places = read_json(index)
        places = places.get("weight_map") if isinstance(places, dict) else None
        names = set(places.values()) if isinstance(places, dict) else {None}
        if not all(isinstance(n, str) and Path(n).name == n for n in names):
            raise UserError(f"{index}: its weight_map should name files beside it")
        files = [path / str(name) for name in sorted(map(str, names))]
    else:
        files = sorted(path.glob("*.safetensors"))
    if not files:
        raise UserError(f"{path}: no .safetensors file there")
    return {name: tensor for file in files for name, tensor in _file_tensors(file).items()}


def _file_tensors(path: Path) -> dict[str, Callable[[], np.ndarray]]:
    file = Mapped(path)
    (length,) = file.unpack("Q", "the length of its header")
    if length > min(_LARGEST_HEADER, file.size):
        raise file.fail(f"not a safetensors file: a header of {length:,} bytes in a file of {file.size:,}")
    try:
        header = json.loads(file.take(length, "its header"))
    except (ValueError, RecursionError):
        raise file.fail("not a safetensors file: its header is no JSON") from None
    if not isinstance(header, dict):
        raise file.fail("not a safetensors file: its header is no JSON object")
    return {
        name: _tensor(file, 8 + length, name, entry) for name, entry in header.items() if name != "__metadata__"
    }


def _tensor(file: Mapped, data: int, name: str, entry: Any) -> Callable[[], np.ndarray]:
    try:
        shape, (first, last), kind = tuple(entry["shape"]), entry["data_offsets"], entry["dtype"]
        sizes = (*shape, first, last)
    except (KeyError, TypeError, ValueError):
        raise file.fail(f"tensor {name[:80]!r} lacks its dtype, shape or data_offsets") from None
    if any(type(n) is not int or n < 0 for n in sizes) or len(shape) > 8 or data + last > file.size:
        raise file.fail(f"tensor {name[:80]!r} lies outside the file: damaged or cut short")

    def read() -> np.ndarray:
        if kind not in _TYPES:
            raise file.fail(f"tensor {name[:80]!r} is {str(kind)[:20]}; {', '.join(_TYPES)} are read")
        if last - first != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
            raise file.fail(f"tensor {name[:80]!r} of shape {list(shape)} has {last - first:,} bytes of {kind}")
        array = file.array(data + first, math.prod(shape), _TYPES[kind], name).reshape(shape)
        if kind == "BF16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array if kind == "F32" else array.astype(np.float32)

    return read
