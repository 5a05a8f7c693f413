"""A Llama-type network as a folder that `files.load`, and others, read: config.json, model.safetensors, tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

from netwright.errors import UserError
from netwright.graph import Store
from netwright.graph.files import write_text

from . import llama
from .model import Model
from .tokenizers import ByteLevel
from .tokenizers.byte_level import spelled_bytes

_NAMES = {
    "attention_norm": "input_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
    "o": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
    "down": "mlp.down_proj", "embed": "embed_tokens",
}  # fmt: skip


def bytes_tokenizer() -> ByteLevel:
    """The tokenizer of a fresh network: 256 tokens, token i is byte i."""
    return ByteLevel(_bytes(), [])


def save(model: Model, folder: Path) -> None:
    """Write `model` with Hugging Face's names; each file appears whole or not at all.

    The tokenizer is written where it is that of bytes; otherwise the folder has none. Raises UserError for a network
    that is no Llama, and when a file cannot be written.
    """
    c = model.config
    if not isinstance(c, llama.Config):
        raise UserError(f"{model.name}: only Llama-type networks are written, this is {model.family}")
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": c.vocabulary,
        "hidden_size": c.width, "num_hidden_layers": c.layers, "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads, "head_dim": c.head_width, "intermediate_size": c.hidden,
        "max_position_embeddings": c.context, "rms_norm_eps": c.epsilon, "rope_theta": c.rope_base,
        "tie_word_embeddings": c.tied, "hidden_act": "silu", "torch_dtype": "float32",
    }  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Store({_theirs(name): model.store[name] for name in llama.parameters(c)}).save(folder / "model.safetensors")
        write_text(folder / "config.json", json.dumps(config, indent=1))
        if model.tokenizer is not None and model.tokenizer.pieces == bytes_tokenizer().pieces:
            write_text(folder / "vocab.json", json.dumps({token: i for i, token in enumerate(_bytes())}))
            write_text(folder / "merges.txt", "#version: 0.2\n")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from None


def _theirs(name: str) -> str:
    *layer, part, kind = name.split(".")
    if part == "head":
        return f"lm_head.{kind}"
    return ".".join(("model", *layer, _NAMES.get(part, part), kind))


def _bytes() -> list[str]:
    table = spelled_bytes()
    return sorted(table, key=table.__getitem__)
