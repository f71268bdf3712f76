"""Products with frozen weights by libtorch, the lines that dev.jotune.jmh.cpu.GemmPairs writes for us.

  python gemm_torch.py [--rows 8,512] [--rounds 15] [--threads 1] [--dtype bfloat16]
"""
import argparse
import json
import time

p = argparse.ArgumentParser()
p.add_argument("--rows", default="8,512")
p.add_argument("--rounds", type=int, default=15)
p.add_argument("--threads", type=int, default=1)
p.add_argument("--dtype", default="bfloat16")
a = p.parse_args()

import torch
torch.set_num_threads(a.threads)
torch.manual_seed(0)
dtype = getattr(torch, a.dtype)
# The shapes of GemmPairs.SHAPES.
shapes = [(576, 576), (576, 1536), (1536, 576), (768, 768), (768, 2304), (768, 3072), (3072, 768), (576, 49152)]
engine = f"torch {torch.__version__} linear {a.dtype}, {torch.backends.cpu.get_cpu_capability()}"


def measure(m, k, n):
    x = torch.rand(m, k).to(dtype)
    w = torch.rand(n, k).to(dtype)
    gflop = 2e-9 * m * k * n
    start = time.perf_counter()
    best = float("inf")
    while time.perf_counter() - start < 0.25 or best == float("inf"):
        t = time.perf_counter()
        torch.nn.functional.linear(x, w)
        best = min(best, time.perf_counter() - t)
    calls = max(1, int(0.006 / best))
    rates = []
    deadline = time.perf_counter() + 5
    while len(rates) < a.rounds and (len(rates) < 3 or time.perf_counter() < deadline):
        t = time.perf_counter()
        for _ in range(calls):
            torch.nn.functional.linear(x, w)
        rates.append(float(f"{gflop * calls / (time.perf_counter() - t):.4g}"))
    print(json.dumps({"bench": "gemm", "case": f"{m} x {k}->{n}", "engine": engine, "candidate": "torch_" + a.dtype, "m": m, "in": k,
                      "out": n, "threads": a.threads, "gflop": gflop, "weight_bytes": w.element_size() * k * n, "unit": "GFLOP/s",
                      "rates": rates}), flush=True)


with torch.no_grad():
    for m in (int(r) for r in a.rows.split(",")):
        for k, n in shapes:
            if m <= 512 or k * n == 768 * 3072:
                measure(m, k, n)
