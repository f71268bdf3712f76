"""Row and element-wise operations in PyTorch on one thread: what `jmh`'s RowSpeed measures, as the same JSON lines.

  python rows_torch.py [--cases softmax,exp,...] [--sizes 128x768,2048x3072]
                       [--seconds 0.7]

Results go into preallocated tensors where PyTorch takes `out=`; layer_norm and rms_norm do not, and their 384 KB
result comes from the allocator's warm cache.
"""
import argparse, json, time
import torch
import torch.nn.functional as F

p = argparse.ArgumentParser()
p.add_argument("--cases", default="layer_norm,rms_norm,softmax,gelu_tanh,gelu_erf,silu,exp,copy")
p.add_argument("--sizes", default="128x768,2048x3072")
p.add_argument("--seconds", type=float, default=0.7)
a = p.parse_args()
torch.set_num_threads(1)
torch.set_grad_enabled(False)


def kernel(case, x, y, w, b):
    c = x.shape[-1:]
    return {
        "layer_norm": lambda: F.layer_norm(x, c, w, b, 1e-5),
        "rms_norm": lambda: F.rms_norm(x, c, w, 1e-5),
        "softmax": lambda: torch.softmax(x, -1, out=y),
        "gelu_tanh": lambda: torch._C._nn.gelu(x, approximate="tanh", out=y),
        "gelu_erf": lambda: torch._C._nn.gelu(x, approximate="none", out=y),
        "silu": lambda: torch._C._nn.silu(x, out=y),
        "exp": lambda: torch.exp(x, out=y),
        "copy": lambda: y.copy_(x)}[case]


for size in a.sizes.split(","):
    rows, n = map(int, size.split("x"))
    torch.manual_seed(0)
    x, w, b = torch.randn(rows, n), torch.randn(n), torch.randn(n)
    y = torch.empty_like(x)
    for case in a.cases.split(","):
        run = kernel(case, x, y, w, b)
        run()
        start = time.perf_counter()
        run()
        # Samples of about half a millisecond, so that the clock and Python's loop cost nothing.
        calls = max(1, int(5e-4 / (time.perf_counter() - start)))
        rates = []
        begin = time.perf_counter()
        while time.perf_counter() - begin < a.seconds:
            start = time.perf_counter()
            for _ in range(calls):
                run()
            rates.append(calls * rows * n / (time.perf_counter() - start) * 1e-9)
        rates = sorted(rates[len(rates) // 5:])
        print(json.dumps({"case": case, "size": size, "engine": "torch " + torch.__version__,
                          "gelem_s_median": round(rates[len(rates) // 2], 3), "gelem_s_best": round(rates[-1], 3)}), flush=True)
