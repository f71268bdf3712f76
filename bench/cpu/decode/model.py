"""Writes one decoder of the 135M-parameter Llama shape with random weights, in the forms that each engine reads.

  python model.py DIR     -> DIR/hf (safetensors, BF16), DIR/model-bf16.gguf, DIR/model-q8_0.gguf, DIR/model-q4_0.gguf

The numbers of all files are those of the BF16 weights, rounded on where a format says so.
Needs torch, transformers, tokenizers.
"""
import json, os, struct, sys
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import LlamaConfig, LlamaForCausalLM

out = sys.argv[1]
hf = os.path.join(out, "hf")
os.makedirs(hf, exist_ok=True)
torch.manual_seed(0)
c = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                num_key_value_heads=3, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
                rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
m = LlamaForCausalLM(c).to(torch.bfloat16).eval()
m.save_pretrained(hf)
# Jlama reads rope_theta where transformers 4 had it.
config = json.load(open(os.path.join(hf, "config.json")))
config["rope_theta"] = 10000.0
config["torch_dtype"] = "bfloat16"
json.dump(config, open(os.path.join(hf, "config.json"), "w"), indent=1)
# Jlama wants a tokenizer beside the weights; none of the engines is given text.
t = Tokenizer(models.BPE(vocab={**{f"<{i}>": i for i in range(3)}, **{ch: i + 3 for i, ch in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}}, merges=[]))
t.pre_tokenizer = pre_tokenizers.ByteLevel()
t.decoder = decoders.ByteLevel()
t.save(os.path.join(hf, "tokenizer.json"))
json.dump({"bos_token": "<1>", "eos_token": "<2>", "tokenizer_class": "PreTrainedTokenizerFast"}, open(os.path.join(hf, "tokenizer_config.json"), "w"))


def interleaved(w, heads):
    """GGUF's Llama turns neighbouring features: rows of queries and keys in another order."""
    n = w.shape[0] // heads // 2
    return w.reshape(heads, 2, n, w.shape[1]).transpose(1, 2).reshape(w.shape)


def q8_0(w):
    x = w.float().reshape(-1, 32)
    d = (x.abs().amax(1, keepdim=True) / 127)
    q = torch.round(x / torch.where(d == 0, 1, d)).to(torch.int8)
    return torch.cat([d.half().view(torch.int8).reshape(-1, 2), q], 1).numpy().tobytes()


def q4_0(w):
    x = w.float().reshape(-1, 32)
    far = x.gather(1, x.abs().argmax(1, keepdim=True))
    d = far / -8
    q = torch.clamp(x / torch.where(d == 0, 1, d) + 8.5, 0, 15).to(torch.uint8)
    return torch.cat([d.half().view(torch.uint8).reshape(-1, 2), q[:, :16] | q[:, 16:] << 4], 1).numpy().tobytes()


FORMS = {"bf16": (30, lambda w: w.contiguous().view(torch.int16).numpy().tobytes()), "q8_0": (8, q8_0), "q4_0": (2, q4_0)}


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(v):
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, list):
        kind, packed = (8, b"".join(text(s) for s in v)) if isinstance(v[0], str) else (5, b"".join(struct.pack("<i", i) for i in v))
        return struct.pack("<IIQ", 9, kind, len(v)) + packed
    return struct.pack("<II", 4, v)


def gguf(form):
    number, encode = FORMS[form]
    # One merge, because readers want at least one; what it makes is a token.
    tokens = [f"<{i}>" for i in range(c.vocab_size - 1)] + ["<0><1>"]
    meta = {"general.architecture": "llama", "general.name": "random " + form, "llama.embedding_length": c.hidden_size,
            "llama.feed_forward_length": c.intermediate_size, "llama.block_count": c.num_hidden_layers,
            "llama.attention.head_count": c.num_attention_heads, "llama.attention.head_count_kv": c.num_key_value_heads,
            "llama.context_length": c.max_position_embeddings, "llama.attention.layer_norm_rms_epsilon": float(c.rms_norm_eps),
            "llama.rope.freq_base": 10000.0, "llama.rope.dimension_count": 64, "llama.vocab_size": c.vocab_size,
            "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [1] * c.vocab_size, "tokenizer.ggml.merges": ["<0> <1>"],
            "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2}
    s = m.state_dict()
    tensors = [("token_embd.weight", s["model.embed_tokens.weight"]), ("output_norm.weight", s["model.norm.weight"])]
    names = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj"}
    for i in range(c.num_hidden_layers):
        for to, of in names.items():
            w = s[f"model.layers.{i}.{of}.weight"]
            heads = {"attn_q": c.num_attention_heads, "attn_k": c.num_key_value_heads}.get(to)
            tensors.append((f"blk.{i}.{to}.weight", interleaved(w, heads) if heads else w))
    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(meta))
    head += b"".join(text(k) + value(v) for k, v in meta.items())
    infos, data, at = b"", [], 0
    for name, w in tensors:
        kind, packed = (0, w.float().numpy().tobytes()) if w.dim() == 1 else (number, encode(w))
        infos += text(name) + struct.pack("<I", w.dim()) + b"".join(struct.pack("<Q", n) for n in reversed(w.shape)) + struct.pack("<IQ", kind, at)
        packed += b"\0" * (-len(packed) % 32)
        data.append(packed)
        at += len(packed)
    with open(os.path.join(out, f"model-{form}.gguf"), "wb") as f:
        f.write(head + infos)
        f.write(b"\0" * (-f.tell() % 32))
        f.writelines(data)


with torch.no_grad():
    for form in FORMS:
        gguf(form)
