"""Writing small models in every format, for tests."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from netwright.graph import Store
from netwright.models import gpt2, llama

LLAMA = llama.Config(50, 64, 2, 4, 2, 96, 32)
GPT2 = gpt2.Config(50, 64, 2, 4, 96, 32)


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows for the pairs (2i, 2i + 1), out of rows for (i, i + D/2)."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def write_llama2c(path: Path, c: Any, store: Store) -> None:
    def layers(name: str, heads: int = 0) -> np.ndarray:
        each = [store[f"layers.{i}.{name}.weight"] for i in range(c.layers)]
        return np.stack([interleaved(w, heads) for w in each] if heads else each)

    arrays = [
        store["embed.weight"], layers("attention_norm"), layers("q", c.heads), layers("k", c.kv_heads), layers("v"),
        layers("o"), layers("ffn_norm"), layers("gate"), layers("down"), layers("up"), store["norm.weight"],
        *llama.angles(c, c.context), *([] if c.tied else [store["head.weight"]]),
    ]  # fmt: skip
    sizes = (c.width, c.hidden, c.layers, c.heads, c.kv_heads, c.vocabulary if c.tied else -c.vocabulary, c.context)
    path.write_bytes(struct.pack("<7i", *sizes) + b"".join(np.ascontiguousarray(a, "<f4").tobytes() for a in arrays))


def write_safetensors(folder: Path, c: Any, store: Store, dtype: str = "float32") -> None:
    folder.mkdir(exist_ok=True)
    made = {}
    for name in store:
        *layer, part, kind = name.split(".")
        if isinstance(c, llama.Config):
            ends = {"embed": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
            parts = {
                "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
                "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
                "attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
            }  # fmt: skip
            made[f"model.layers.{layer[1]}.{parts[part]}.{kind}" if layer else f"{ends[part]}.{kind}"] = store[name]
            continue
        parts = {"o": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj", "attention_norm": "ln_1", "ffn_norm": "ln_2"}
        if not layer:
            made[{"embed": "wte", "position": "wpe", "norm": "ln_f"}[part] + f".{kind}"] = store[name]
        elif part == "q":
            joined = np.concatenate([store[f"layers.{layer[1]}.{p}.{kind}"] for p in "qkv"])
            made[f"h.{layer[1]}.attn.c_attn.{kind}"] = joined.T
        elif part not in "kv":
            array = store[name]
            made[f"h.{layer[1]}.{parts[part]}.{kind}"] = array.T if "norm" not in part else array
    if dtype == "bfloat16":
        _save_bfloat16(folder / "model.safetensors", made)
    else:
        save_file({k: np.ascontiguousarray(v, dtype) for k, v in made.items()}, folder / "model.safetensors")
    if isinstance(c, llama.Config):
        settings: dict[str, Any] = {
            "model_type": "llama", "vocab_size": c.vocabulary, "hidden_size": c.width, "num_hidden_layers": c.layers,
            "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads, "intermediate_size": c.hidden,
            "max_position_embeddings": c.context, "rms_norm_eps": c.epsilon, "rope_theta": c.rope_base,
            "tie_word_embeddings": c.tied, "rope_scaling": None, "head_dim": None,
        }  # fmt: skip
    else:
        settings = {
            "model_type": "gpt2", "vocab_size": c.vocabulary, "n_embd": c.width, "n_layer": c.layers,
            "n_head": c.heads, "n_inner": c.hidden, "n_positions": c.context, "layer_norm_epsilon": c.epsilon,
        }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings))


def _save_bfloat16(path: Path, arrays: dict[str, np.ndarray]) -> None:
    header, data = {}, b""
    for name, array in arrays.items():
        packed = (np.ascontiguousarray(array, "<f4").view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def quantised(array: np.ndarray, kind: int) -> tuple[bytes, np.ndarray]:
    """Blocks of 32 as a GGUF file has them, and the numbers they stand for, one block at a time."""
    out, real = b"", []
    for block in np.ascontiguousarray(array, np.float32).reshape(-1, 32):
        low = np.float16(block.min()) if kind == 3 else np.float16(0)
        if kind == 8:
            scale = np.float16(np.abs(block).max() / 127)
            levels = np.rint(block / np.float32(scale)).clip(-127, 127)
            out += scale.tobytes() + levels.astype(np.int8).tobytes()
            real.append(levels * np.float32(scale))
            continue
        scale = np.float16((block.max() - np.float32(low)) / 15) if kind == 3 else np.float16(np.abs(block).max() / 7)
        offset = np.float32(low) if kind == 3 else -8 * np.float32(scale)
        levels = np.rint((block - offset) / np.float32(scale)).clip(0, 15)
        packed = (levels[:16].astype(np.uint8) | levels[16:].astype(np.uint8) << 4).tobytes()
        out += scale.tobytes() + (low.tobytes() if kind == 3 else b"") + packed
        real.append(levels * np.float32(scale) + offset)
    return out, np.array(real, np.float32).reshape(array.shape)


def write_gguf(path: Path, c: Any, store: Store, kind: int = 0) -> Store:
    """Matrices in `kind` (0 F32, 1 F16, 2 Q4_0, 3 Q4_1, 8 Q8_0), the rest F32; returns the weights written."""
    family = "llama" if isinstance(c, llama.Config) else "gpt2"
    norm = "attention.layer_norm_rms_epsilon" if family == "llama" else "attention.layer_norm_epsilon"
    settings: list[tuple[str, int, Any]] = [
        ("general.architecture", 8, family), (f"{family}.embedding_length", 4, c.width),
        (f"{family}.block_count", 4, c.layers), (f"{family}.attention.head_count", 4, c.heads),
        (f"{family}.feed_forward_length", 4, c.hidden), (f"{family}.context_length", 4, c.context),
        (f"{family}.attention.head_count_kv", 4, c.kv_heads), (f"{family}.{norm}", 6, c.epsilon),
        (f"{family}.vocab_size", 4, c.vocabulary),
    ]  # fmt: skip
    parts = {
        "attention_norm": "attn_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output",
        "ffn_norm": "ffn_norm", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
    }  # fmt: skip
    ends = {"embed": "token_embd", "position": "position_embd", "norm": "output_norm", "head": "output"}
    written, tensors = Store(), {}
    for name in store:
        *layer, part, end = name.split(".")
        array, chosen = store[name], kind if store[name].ndim == 2 else 0
        data, written[name] = array.tobytes(), array
        turned = interleaved(array, c.heads if part == "q" else c.kv_heads) if part in "qk" and family == "llama" else array
        if chosen == 1:
            data, written[name] = turned.astype("<f2").tobytes(), array.astype("<f2").astype(np.float32)
        elif chosen:
            data, real = quantised(turned, chosen)
            back = real.reshape(turned.shape)
            if turned is not array:
                heads = c.heads if part == "q" else c.kv_heads
                back = back.reshape(heads, -1, 2, c.width).swapaxes(1, 2).reshape(array.shape)
            written[name] = back
        else:
            data = np.ascontiguousarray(turned).tobytes()
        tensors[f"blk.{layer[1]}.{parts[part]}.{end}" if layer else f"{ends[part]}.{end}"] = (array.shape, chosen, data)
    for i in range(c.layers if family == "gpt2" else 0):
        for end in ("weight", "bias"):
            each = [tensors.pop(f"blk.{i}.attn_{p}.{end}") for p in "qkv"]
            shape = (3 * c.width, *each[0][0][1:])
            tensors[f"blk.{i}.attn_qkv.{end}"] = (shape, each[0][1], b"".join(data for *_, data in each))

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(settings))
    for name, type, value in settings:
        packed = text(value) if type == 8 else struct.pack("<I" if type == 4 else "<f", value)
        head += text(name) + struct.pack("<I", type) + packed
    data = b""
    for name, (shape, type, content) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), type, len(data))
        data += content + bytes(-len(content) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return written
