"""The peer of AttentionRun: scaled_dot_product_attention of PyTorch with the exact mask of a prefix and a causal text.

Prints one JSON line per case and pass, with the fields AttentionRun prints:
  python attention_torch.py [--cases gpt2,llama] [--times 128,512,1024] [--threads 1] [--seconds 2]
The prefix is one [1, G, P, D] for the batch, as a tuned prefix is; joining it to the text's keys, and summing its gradient over
the batch, is part of the work. Grouped heads use enable_gqa where that is faster than repeating keys, which is tried first.
"""
import argparse, json, statistics, time

p = argparse.ArgumentParser()
p.add_argument("--cases", default="gpt2,llama"); p.add_argument("--times", default="128,512,1024")
p.add_argument("--threads", type=int, default=1); p.add_argument("--seconds", type=float, default=2.0)
a = p.parse_args()

import torch
import torch.nn.functional as F
torch.set_num_threads(a.threads)
torch.manual_seed(0)
B, D, P = 4, 64, 32
HEADS = {"gpt2": (12, 12), "llama": (9, 3)}


def inputs(h, g, t):
    def of(*s):
        return torch.randn(*s).requires_grad_()
    # Rows as a projection leaves them: [B, T, heads, D].
    q, k, v = of(B, t, h, D), of(B, t, g, D), of(B, t, g, D)
    pk, pv = of(1, g, P, D), of(1, g, P, D)
    mask = torch.cat([torch.ones(t, P, dtype=torch.bool), torch.ones(t, t, dtype=torch.bool).tril()], 1)
    # The additive form is what the fused kernel reads; made once, not timed.
    return q, k, v, pk, pv, torch.zeros(t, P + t).masked_fill(~mask, float("-inf"))


def attend(q, k, v, pk, pv, mask, repeat):
    keys = torch.cat([pk.expand(B, -1, -1, -1), k.transpose(1, 2)], 2)
    values = torch.cat([pv.expand(B, -1, -1, -1), v.transpose(1, 2)], 2)
    n = q.shape[2] // keys.shape[1]
    if n > 1 and repeat:
        keys, values = keys.repeat_interleave(n, 1), values.repeat_interleave(n, 1)
    out = F.scaled_dot_product_attention(q.transpose(1, 2), keys, values, mask, enable_gqa=n > 1 and not repeat)
    return out.transpose(1, 2).reshape(B, q.shape[1], -1)


def timed(run, seconds):
    for _ in range(3):
        run()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        s = time.perf_counter(); run(); times.append(time.perf_counter() - s)
    return statistics.median(times), min(times)


for case in a.cases.split(","):
    h, g = HEADS[case]
    for t in map(int, a.times.split(",")):
        x = inputs(h, g, t)
        up = torch.randn(B, t, h * D)

        def forward(repeat):
            with torch.no_grad():
                attend(*x, repeat)

        def both(repeat):
            torch.autograd.grad(attend(*x, repeat), x[:5], up)

        for name, run in ("forward", forward), ("forward+backward", both):
            choices = [True] if h == g else [True, False]
            best = min(choices, key=lambda r: timed(lambda: run(r), 0.2)[0])
            median, least = timed(lambda: run(best), a.seconds)
            print(json.dumps({"case": case, "T": t, "pass": name, "threads": a.threads, "median_s": round(median, 7), "best_s": round(least, 7),
                              "engine": "torch " + torch.__version__, "keys": "repeated" if best and h != g else "as they are"}), flush=True)
