"""The starter model as the folder MLX reads: the very weights of its file, so that both engines can be compared.

The file's makers reordered the rows of the query and key weights for their own way of rotating; that is undone here.
"""

import json
import struct
from pathlib import Path
from typing import Any

SPECIAL = 3  # a token's type in the file: control
NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def mlx_folder(file: Path, cache: Path) -> Path:
    """The folder made of a Llama-like `file`, in `cache`; made once (270 MB, some seconds)."""
    folder = cache / f"{file.stem}-mlx"
    if (folder / "config.json").is_file():
        return folder
    from gguf import GGUFReader

    folder.mkdir(parents=True, exist_ok=True)
    reader: Any = GGUFReader(file)
    told: dict[str, Any] = {name: field.contents() for name, field in reader.fields.items()}
    _tokenizer(folder, told)
    _weights(folder / "model.safetensors", reader, told)
    # Last: its presence says that the folder is whole.
    (folder / "config.json").write_text(json.dumps(_config(told)), encoding="utf-8")
    return folder


def _config(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": told["llama.embedding_length"],
        "intermediate_size": told["llama.feed_forward_length"],
        "num_hidden_layers": told["llama.block_count"],
        "num_attention_heads": told["llama.attention.head_count"],
        "num_key_value_heads": told["llama.attention.head_count_kv"],
        "rms_norm_eps": told["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": told["llama.rope.freq_base"],
        "max_position_embeddings": told["llama.context_length"],
        "vocab_size": told["llama.vocab_size"],
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "bos_token_id": told["tokenizer.ggml.bos_token_id"],
        "eos_token_id": told["tokenizer.ggml.eos_token_id"],
    }


def _tokenizer(folder: Path, told: dict[str, Any]) -> None:
    tokens: list[str] = told["tokenizer.ggml.tokens"]
    special = [at for at, kind in enumerate(told["tokenizer.ggml.token_type"]) if kind == SPECIAL]
    added = [
        {
            "id": at,
            "content": tokens[at],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for at in special
    ]
    digits = {"type": "Digits", "individual_digits": True}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, bytes_]},
        "decoder": bytes_,
        "model": {
            "type": "BPE",
            "vocab": {token: at for at, token in enumerate(tokens)},
            "merges": told["tokenizer.ggml.merges"],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[told["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[told["tokenizer.ggml.eos_token_id"]],
        "clean_up_tokenization_spaces": False,
        "chat_template": told["tokenizer.chat_template"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _weights(path: Path, reader: Any, told: dict[str, Any]) -> None:
    import numpy as np
    from gguf.quants import dequantize

    heads = {"attn_q": told["llama.attention.head_count"], "attn_k": told["llama.attention.head_count_kv"]}
    header: dict[str, Any] = {}
    at = 0
    with path.with_suffix(".body").open("wb") as body:
        for tensor in reader.tensors:
            part = tensor.name.split(".")[-2]
            whole: Any = dequantize(tensor.data, tensor.tensor_type)
            if part in heads:
                rows, columns = whole.shape
                pairs = whole.reshape(heads[part], rows // heads[part] // 2, 2, columns)
                whole = pairs.swapaxes(1, 2).reshape(rows, columns)
            raw: bytes = np.ascontiguousarray(whole.astype(np.float16)).tobytes()
            header[_name(tensor.name)] = {
                "dtype": "F16",
                "shape": list(whole.shape),
                "data_offsets": [at, at + len(raw)],
            }
            at += len(raw)
            body.write(raw)
    head = json.dumps(header).encode()
    with path.open("wb") as out, path.with_suffix(".body").open("rb") as body:
        out.write(struct.pack("<Q", len(head)) + head)
        while piece := body.read(1 << 24):
            out.write(piece)
    path.with_suffix(".body").unlink()


def _name(name: str) -> str:
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.weight"
