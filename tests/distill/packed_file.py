"""Writes a small GGUF file."""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from tokenizers.pre_tokenizers import ByteLevel


def write_packed(path: Path, positions: int = 64) -> None:
    """A random Llama of two layers with a tokenizer of bytes."""
    words = ["<|end|>", *sorted(ByteLevel.alphabet()), "th", "the"]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(positions)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(48)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3] + [1] * (len(words) - 1))
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (len(words), 32), "output_norm": (32,)}
    for layer in ("blk.0", "blk.1"):
        shapes |= {f"{layer}.attn_{part}": (32, 32) for part in ("q", "k", "v", "output")}
        shapes |= {f"{layer}.attn_norm": (32,), f"{layer}.ffn_norm": (32,)}
        shapes |= {f"{layer}.ffn_gate": (48, 32), f"{layer}.ffn_up": (48, 32), f"{layer}.ffn_down": (32, 48)}
    random = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
