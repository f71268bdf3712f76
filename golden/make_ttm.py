"""Reference numbers of Tiny Time Mixer: python golden/make_ttm.py FOLDER_WITH_CHECKPOINT OUT.safetensors

Needs torch, safetensors and the package granite-tsfm, whose model is the original. Everything runs in float64.
"""
import json
import math
import sys

import torch
from safetensors.torch import load_file, save_file
from tsfm_public.models.tinytimemixer import TinyTimeMixerConfig, TinyTimeMixerForPrediction

WHOLE = ["backbone.encoder.patcher.bias", "decoder.adapter.bias", "head.base_forecast_block.bias",
         "backbone.encoder.mlp_mixer_encoder.mixers.0.mixer_layers.1.patch_mixer.gating_block.attn_layer.weight",
         "decoder.decoder_block.mixers.1.feature_mixer.norm.norm.weight"]


def series(rows, steps, channels):
    """Seasons of many lengths, trends and noise, on scales from 1e-2 to 1e3."""
    g = torch.Generator().manual_seed(7)
    t = torch.arange(steps, dtype=torch.float64)
    out = torch.empty(rows, steps, channels, dtype=torch.float64)
    for b in range(rows):
        for c in range(channels):
            period = 24 * 2 ** ((b + 2 * c) % 4)
            x = torch.sin(2 * math.pi * t / period + b) + 0.4 * torch.sin(4 * math.pi * t / period + c) + 0.001 * c * t
            x = x + 0.2 * torch.randn(steps, dtype=torch.float64, generator=g)
            out[b, :, c] = 10.0 ** (2 * c - 2 + b) * x + 5 * b
    return out.float(), g


def main(folder, target):
    config = {k: v for k, v in json.load(open(folder + "/config.json")).items() if k not in ("architectures", "model_type")}
    model = TinyTimeMixerForPrediction(TinyTimeMixerConfig(**config)).double().eval()
    model.load_state_dict({k: v.double() for k, v in load_file(folder + "/model.safetensors").items()}, strict=True)
    context, horizon = model.config.context_length, model.config.prediction_length
    both, g = series(2, context + horizon, 3)
    past, future = both[:, :context], both[:, context:]
    seen = torch.rand(past.shape, generator=g) > 0.2
    asked = torch.rand(future.shape, generator=g) > 0.3
    out = {"past": past, "future": future, "observed": seen.to(torch.int64), "future_observed": asked.to(torch.int64)}
    taps = {}
    model.backbone.encoder.patcher.register_forward_hook(lambda m, i, o: taps.__setitem__("embed", o))
    for kind, mask, future_mask in (("", None, None), ("masked.", seen.double(), asked.double())):
        x = past.double().requires_grad_()
        y = model(past_values=x, future_values=future.double(), past_observed_mask=mask, future_observed_mask=future_mask)
        out[kind + "forecast"] = y.prediction_outputs
        out[kind + "loss"] = y.loss.reshape(1)
        if not kind:
            out["embed"] = taps["embed"]
            out["final"] = y.decoder_hidden_state
            y.loss.backward()
            out["grad.past"] = x.grad
            for name, p in model.named_parameters():
                out["grad_norm." + name] = p.grad.norm().reshape(1)
                if name in WHOLE:
                    out["grad." + name] = p.grad
    save_file({k: v.detach().contiguous() for k, v in out.items()}, target)


main(*sys.argv[1:])
