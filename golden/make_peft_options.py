"""Adapters with options that are rarely used together: python golden/make_peft_options.py golden golden/peft_options

Needs torch, transformers 5, peft 0.21 and safetensors. Each case is an adapter that PEFT attaches, moves by noise, saves and loads again,
over a base model of golden/peft or golden/models, with the logits that it gives for the ids below. The logits are computed in float64 on
the stored float32 numbers; the tolerance is ten times what float32 misses, at least 1e-5. Two runs give the same bytes.
"""
import contextlib
import json
import logging
import os
import shutil
import sys
import warnings

import torch
import transformers
from peft import (AdaLoraConfig, AdaptionPromptConfig, IA3Config, LoraConfig, OFTConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig,
                  PromptTuningConfig, ShiraConfig, VeraConfig, get_peft_model)
from safetensors.torch import save_file

ROWS, TIME = 2, 5
BASES = {
    "llama": ("peft/base/llama", "AutoModelForCausalLM"), "gpt2": ("peft/base/gpt2", "AutoModelForCausalLM"),
    "moe": ("peft/base/moe", "AutoModelForCausalLM"), "bert": ("peft/base/bert", "AutoModelForSequenceClassification"),
    "t5": ("peft/base/t5", "AutoModelForSeq2SeqLM"), "tied": ("models/llama_tied", "AutoModelForCausalLM"),
    "gemma2": ("models/gemma2", "AutoModelForCausalLM"), "mistral": ("models/mistral_sliding", "AutoModelForCausalLM"),
    "qwen2_moe": ("models/qwen2_moe", "AutoModelForCausalLM"), "bart": ("models/bart", "AutoModelForSeq2SeqLM"),
}
LM, CLS, S2S = "CAUSAL_LM", "SEQ_CLS", "SEQ_2_SEQ_LM"


def lora(**k):
    return LoraConfig(**{"r": 2, "lora_alpha": 3, **k})


def adalora(**k):
    return AdaLoraConfig(**{"init_r": 3, "target_r": 2, "total_step": 50, "tinit": 5, "tfinal": 10, **k})


# name: base, configuration, deviation of the noise, type of the model
CASES = {
    "lora_bert_bias_all": ("bert", lora(task_type=CLS, target_modules=["query"], bias="all", modules_to_save=["pooler"]), 0.3),
    "lora_bert_no_task": ("bert", lora(target_modules=["query", "output.dense"], use_rslora=True), 0.3),
    "lora_gpt2_bias_all_saved": ("gpt2", lora(task_type=LM, target_modules=["c_attn"], bias="all", modules_to_save=["ln_f"]), 0.3),
    "vera_bert_bias_all": ("bert", VeraConfig(task_type=CLS, r=3, target_modules=["query"], bias="all"), 0.3),
    "lora_llama_named_groups": ("llama", lora(task_type=LM, target_modules=r"model\.layers\.\d+\.(?P<the_part>self_attn|mlp)\.[qu]p?_proj"), 0.3),
    "lora_llama_patterns": ("llama", lora(task_type=LM, target_modules=["q_proj", "v_proj", "down_proj"], use_rslora=True,
                                          rank_pattern={"^model.layers.0.self_attn.q_proj": 1, "layers\\.1\\..*proj": 3},
                                          alpha_pattern={"v_proj": 3, "layers.1.mlp.down_proj": 9}), 0.3),
    "lora_llama_tokens_head": ("llama", lora(task_type=LM, target_modules=["q_proj"],
                                             trainable_token_indices={"embed_tokens": [1, 5], "lm_head": [2, 5]}), 0.3),
    "lora_llama_bf16_embedding": ("llama", lora(task_type=LM, target_modules=["embed_tokens"], use_dora=True), 0.3, torch.bfloat16),
    "lora_t5_tokens": ("t5", lora(task_type=S2S, target_modules=["q"], trainable_token_indices=[4, 5, 9]), 0.3),
    "lora_t5_embeddings": ("t5", lora(task_type=S2S, target_modules=["embed_tokens", "q"]), 0.3),
    "dora_bart_embeddings": ("bart", lora(task_type=S2S, target_modules=["encoder.embed_tokens", "fc2"], use_dora=True), 0.3),
    "lora_t5_saved_sides": ("t5", lora(task_type=S2S, target_modules=["q"], modules_to_save=["decoder.embed_tokens"]), 0.3),
    "lora_t5_saved_unread": ("t5", lora(task_type=S2S, target_modules=["q"], modules_to_save=["shared"]), 0.3),
    "lora_tied_pair": ("tied", lora(task_type=LM, target_modules=["embed_tokens", "q_proj"], ensure_weight_tying=True), 0.3),
    "lora_tied_pair_of_head": ("tied", lora(task_type=LM, target_modules=["lm_head", "q_proj"], ensure_weight_tying=True), 0.3),
    "lora_tied_saved": ("tied", lora(task_type=LM, target_modules=["q_proj"], modules_to_save=["embed_tokens"],
                                     ensure_weight_tying=True), 0.3),
    "lora_gpt2_saved_not_tied": ("gpt2", lora(task_type=LM, target_modules=["c_attn"], modules_to_save=["transformer.wte"],
                                              ensure_weight_tying=True), 0.3),
    "lora_tied_other_tokens": ("tied", lora(task_type=LM, target_modules=["q_proj"],
                                            trainable_token_indices={"embed_tokens": [1, 5], "lm_head": [2, 5]}), 0.3),
    "lora_moe_parameters": ("moe", lora(task_type=LM, target_modules=["q_proj"], target_parameters=["experts.gate_up_proj", "experts.down_proj"],
                                        use_rslora=True, rank_pattern={"experts.down_proj": 1}, alpha_pattern={"gate_up_proj": 5}), 0.3),
    "lora_moe_router": ("moe", lora(task_type=LM, target_modules=["q_proj", "gate"]), 0.3),
    "lora_qwen2_moe_all_linear": ("qwen2_moe", lora(task_type=LM, target_modules="all-linear"), 0.3),
    "lora_gpt2_parameters": ("gpt2", lora(task_type=LM, target_modules=[], target_parameters=["c_attn.weight", "wpe.weight"]), 0.3),
    "adalora_llama_unread_fields": ("llama", adalora(task_type=LM, target_modules=["q_proj"], use_rslora=True, alpha_pattern={"q_proj": 20},
                                                     init_lora_weights="gaussian", trainable_token_indices=[3, 8]), 0.3),
    "ia3_bert_no_feedforward": ("bert", IA3Config(task_type=CLS, target_modules="all-linear", feedforward_modules=[]), 0.3),
    "ia3_moe_default": ("moe", IA3Config(task_type=LM), 0.3),
    "oft_t5_embedding": ("t5", OFTConfig(task_type=S2S, target_modules=["encoder.embed_tokens", "q"], oft_block_size=0, r=8, block_share=True,
                                         coft=True, eps=0.3, use_cayley_neumann=False), 0.1),
    "oft_llama_one_term": ("llama", OFTConfig(task_type=LM, target_modules=["q_proj", "down_proj"], oft_block_size=7,
                                              num_cayley_neumann_terms=2), 0.1),
    "shira_llama_head": ("llama", ShiraConfig(task_type=LM, r=1, target_modules=["lm_head", "v_proj"], init_weights=False), 0.3),
    "prefix_mistral_window": ("mistral", PrefixTuningConfig(task_type=LM, num_virtual_tokens=4), 0.3),
    "prefix_gemma2_window": ("gemma2", PrefixTuningConfig(task_type=LM, num_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=5), 0.3),
    "prompt_t5_once": ("t5", PromptTuningConfig(task_type=S2S, num_virtual_tokens=3, num_transformer_submodules=1), 0.3),
    "p_tuning_t5_once": ("t5", PromptEncoderConfig(task_type=S2S, num_virtual_tokens=2, num_transformer_submodules=1, encoder_hidden_size=5,
                                                   encoder_reparameterization_type="LSTM", encoder_num_layers=3), 0.3),
    "adaption_mistral": ("mistral", AdaptionPromptConfig(task_type=LM, adapter_len=2, adapter_layers=1), 0.3),
}


def ids(vocabulary, offset):
    """Token t of row b is (7 b + 3 t + offset) mod (V - 3) + 3."""
    b, t = torch.meshgrid(torch.arange(ROWS), torch.arange(TIME), indexing="ij")
    return (7 * b + 3 * t + offset) % (vocabulary - 3) + 3


@contextlib.contextmanager
def wide():
    """Lifts the casts to float32 within transformers and peft."""
    plain = torch.Tensor.float, torch.Tensor.to, torch.nn.functional.softmax

    def to(self, *a, **k):
        a = tuple(torch.float64 if x is torch.float32 else x for x in a)
        if k.get("dtype") is torch.float32:
            k["dtype"] = torch.float64
        return plain[1](self, *a, **k)

    def softmax(x, dim=None, _stacklevel=3, dtype=None):
        return plain[2](x, dim=dim, dtype=torch.float64 if dtype is torch.float32 else dtype)

    torch.Tensor.float, torch.Tensor.to, torch.nn.functional.softmax = lambda self: self.double(), to, softmax
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.Tensor.float, torch.Tensor.to, torch.nn.functional.softmax = plain
        torch.set_default_dtype(torch.float32)


def load(golden, base, dtype=torch.float32):
    folder, kind = BASES[base]
    experts = {"experts_implementation": "eager"} if "moe" in base else {}
    return getattr(transformers, kind).from_pretrained(os.path.join(golden, folder), dtype=dtype, attn_implementation="eager", **experts).eval()


def logits(model, vocabulary, double):
    given = {"input_ids": ids(vocabulary, 0)}
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    if model.config.is_encoder_decoder:
        given["labels"] = ids(vocabulary, 1)
    with torch.no_grad():
        if not double:
            return model(**given).logits
        model = model.double()
        for m in model.modules():
            if hasattr(m, "inv_freq") and getattr(m, "rope_type", "default") == "default":
                d = 2 * m.inv_freq.shape[0]
                m.inv_freq = 1 / m.config.rope_parameters["rope_theta"] ** (torch.arange(0, d, 2, dtype=torch.float64) / d)
        with wide():
            return model(**given).logits


def tolerance(deviation):
    wanted, power = max(10 * deviation, 1e-5), 1e-5
    while True:
        for f in (1, 2, 5):
            if wanted <= f * power * 1.000001:
                return f * power
        power *= 10


def main(golden, target):
    for name, (base, config, deviation, *dtype) in CASES.items():
        folder = os.path.join(target, name)
        shutil.rmtree(folder, ignore_errors=True)
        torch.manual_seed(sum(map(ord, name)))
        model = load(golden, base, *dtype)
        vocabulary = model.config.vocab_size
        model = get_peft_model(model, config)
        for _, p in model.named_parameters():
            if p.requires_grad:
                p.data.add_((deviation * torch.randn(p.shape)).to(p.dtype))
        model.save_pretrained(folder)
        os.remove(os.path.join(folder, "README.md"))
        config_file = os.path.join(folder, "adapter_config.json")
        with open(config_file) as f:
            written = json.load(f)
        written["base_model_name_or_path"] = BASES[base][0]
        for field in ("target_modules", "modules_to_save", "target_parameters", "feedforward_modules"):
            if isinstance(written.get(field), list):
                written[field] = sorted(written[field])
        with open(config_file, "w") as f:
            json.dump(written, f, indent=1, sort_keys=True)
        narrow = logits(PeftModel.from_pretrained(load(golden, base), folder), vocabulary, False)
        want = logits(PeftModel.from_pretrained(load(golden, base), folder), vocabulary, True)
        plain = logits(load(golden, base), vocabulary, True)
        save_file({"logits": want.float().contiguous()}, os.path.join(folder, "expected.safetensors"))
        end = want[:, -plain.shape[1]:]
        facts = {"base": BASES[base][0], "tolerance": tolerance((narrow - want).abs().max().item()),
                 "change": (end - plain).abs().max().item()}
        with open(os.path.join(folder, "case.json"), "w") as f:
            json.dump(facts, f, indent=1)
        print(name, facts)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    # What PEFT 0.21 looks for on encoder-decoders, and transformers 5.18 no longer has; only generation uses it.
    transformers.PreTrainedModel._prepare_encoder_decoder_kwargs_for_generation = lambda self, *a, **k: None
    main(*sys.argv[1:])
