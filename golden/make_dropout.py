"""What models compute where their dropout drops everything: python golden/make_dropout.py golden/models golden/dropout

Needs torch, transformers 5 and safetensors. For each field of dropout of each checkpoint: that field is 1, all others are 0, the model
is in training mode, and its logits say what was dropped and what was not. Everything runs in float64.
"""
import json
import math
import os
import sys

import torch
import transformers
from safetensors.torch import save_file

FIELDS = ["attention_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "hidden_dropout_prob", "attention_probs_dropout_prob",
          "classifier_dropout", "dropout", "activation_dropout", "dropout_rate", "seq_classif_dropout", "cls_dropout", "pooler_dropout"]
CASES = {
    "llama_tied": ["attention_dropout"], "mistral_sliding": ["attention_dropout"], "qwen2": ["attention_dropout"],
    "qwen3": ["attention_dropout"], "gemma2": ["attention_dropout"], "gemma3": ["attention_dropout"], "olmo2": ["attention_dropout"],
    "mixtral": ["attention_dropout"], "qwen2_moe": ["attention_dropout"], "phi3": ["attention_dropout", "resid_pdrop"],
    "gpt2": ["embd_pdrop", "attn_pdrop", "resid_pdrop"],
    "bert_cls": ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"],
    "bert_mlm": ["hidden_dropout_prob", "attention_probs_dropout_prob"],
    "roberta_cls": ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"],
    "distilbert_cls": ["dropout", "attention_dropout", "seq_classif_dropout"], "distilbert_mlm": ["dropout", "attention_dropout"],
    "deberta_v2": ["hidden_dropout_prob", "attention_probs_dropout_prob"],
    "bart": ["dropout", "attention_dropout", "activation_dropout"], "t5": ["dropout_rate"], "t5_v1_1": ["dropout_rate"],
    "whisper": ["dropout", "attention_dropout", "activation_dropout"],
    "vit": ["hidden_dropout_prob", "attention_probs_dropout_prob"], "ast": ["hidden_dropout_prob", "attention_probs_dropout_prob"],
}
ROWS, TIME = 2, 5


def ids(vocabulary, offset):
    """Token t of row b is (7 b + 3 t + offset) mod (V - 3) + 3: beside padding and most special tokens."""
    b, t = torch.meshgrid(torch.arange(ROWS), torch.arange(TIME), indexing="ij")
    return (7 * b + 3 * t + offset) % (vocabulary - 3) + 3


def waves(*shape):
    """Element i is sin(0.1 i)."""
    return torch.sin(0.1 * torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


def inputs(config):
    kind = config.model_type
    if kind == "whisper":
        return {"input_features": waves(ROWS, config.num_mel_bins, 2 * config.max_source_positions),
                "decoder_input_ids": ids(config.vocab_size, 1)}
    if kind == "vit":
        return {"pixel_values": waves(ROWS, config.num_channels, config.image_size, config.image_size)}
    if kind == "audio-spectrogram-transformer":
        return {"input_values": waves(ROWS, config.max_length, config.num_mel_bins)}
    if config.is_encoder_decoder:
        return {"input_ids": ids(config.vocab_size, 0), "decoder_input_ids": ids(config.vocab_size, 1)}
    return {"input_ids": ids(config.vocab_size, 0)}


def main(models, target):
    os.makedirs(target, exist_ok=True)
    for case, fields in CASES.items():
        folder = os.path.join(models, case)
        published = json.load(open(os.path.join(folder, "config.json")))
        cls = getattr(transformers, published["architectures"][0])
        out = {}
        for field in fields:
            config = transformers.AutoConfig.from_pretrained(folder)
            for f in FIELDS:
                if hasattr(config, f):
                    setattr(config, f, 1.0 if f == field else 0.0)
            config._attn_implementation = config._experts_implementation = "eager"
            model = cls.from_pretrained(folder, config=config, torch_dtype=torch.float64).train()
            with torch.no_grad():
                y = model(**inputs(config))
            out[field] = y.logits if hasattr(y, "logits") else y.last_hidden_state
        save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(target, case + ".safetensors"))
        print(case, {k: list(v.shape) for k, v in out.items()})


main(sys.argv[1], sys.argv[2])
