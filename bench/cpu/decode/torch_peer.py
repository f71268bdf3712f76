"""Greedy decoding by transformers' generate, one text, BF16: one JSON line a run.  python torch_peer.py DIR THREADS NEW RUNS"""
import json, resource, statistics, sys, time
import torch
from transformers import LlamaForCausalLM

model, threads, new, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
m = LlamaForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()


class Clock:
    """transformers calls put once for the prompt and once for each token."""
    def __init__(self): self.at = []
    def put(self, _): self.at.append(time.perf_counter())
    def end(self): pass


prompt = torch.arange(16).reshape(1, 16) * 7 + 100
for run in range(runs):
    clock = Clock()
    with torch.no_grad():
        m.generate(prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False, streamer=clock)
    steps = [b - a for a, b in zip(clock.at[2:], clock.at[3:])]
    if run:
        s = statistics.median(steps)
        print(json.dumps({"case": "decode", "engine": "torch " + torch.__version__, "weights": "BF16", "threads": threads, "new": new,
                          "step_s": round(s, 6), "best_s": round(min(steps), 6), "tokens_per_s": round(1 / s, 2),
                          "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)
