"""The rows of bench/gpu/RESULTS.md with what a user would take otherwise: PyTorch, its cuBLAS and cuDNN, transformers and PEFT.

Reads names of rows from standard input, one a line, and answers each with one JSON line: "value" in the row's unit, "what" it is, and
"all" that was tried; the fastest counts. A row that fails is answered with "error". Medians of at least 20 runs by CUDA events, over
input sets that a cache does not hold, on normal noise. Sizes "tiny" and device "cpu" are for trying it without a GPU.

  python torch_rows.py [--device cuda|cpu] [--sizes full|tiny]
"""
import argparse, gc, json, statistics, sys, time

p = argparse.ArgumentParser()
p.add_argument("--device", default="cuda"); p.add_argument("--sizes", default="full")
a = p.parse_args()

import torch
import torch.nn.functional as F

cuda = a.device == "cuda"
tiny = a.sizes == "tiny"
dev = torch.device(a.device)
BEYOND_CACHE = 120 << 20
torch.manual_seed(2024)


def size(full, small):
    return small if tiny else full


def noise(*shape, dtype=torch.bfloat16, scale=1.0):
    return torch.randn(*shape, device=dev, dtype=dtype).mul_(scale)


def sets(nbytes):
    return 2 if tiny else max(1, min(64, -(-BEYOND_CACHE // nbytes)))


def sync():
    if cuda: torch.cuda.synchronize()


def timed(run, count=1, seconds=0.8, least=20, wall=False):
    """Microseconds of a run, the median; run is called with the number of its input set."""
    least = 3 if tiny else least
    for i in range(3): run(i % count)
    sync()
    t, end = [], time.perf_counter() + seconds
    while len(t) < least or len(t) < 200 and time.perf_counter() < end:
        if cuda and not wall:
            s, e = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            s.record(); run(len(t) % count); e.record(); e.synchronize()
            t.append(s.elapsed_time(e) * 1e3)
        else:
            s = time.perf_counter(); run(len(t) % count); sync(); t.append((time.perf_counter() - s) * 1e6)
    return statistics.median(t)


def best(tries):
    """The fastest of named ways, those that fail named too. Each way returns microseconds and, if other than all, its share of the work."""
    found = []
    for name, way in tries:
        try:
            r = way()
            micros, work = r if isinstance(r, tuple) else (r, 1.0)
            found.append({"what": name, "micros": micros, "work": work})
        except Exception as e:
            found.append({"what": name, "error": (str(e) or repr(e)).split("\n")[0][:200]})
        finally:
            gc.collect()
            if cuda: torch.cuda.empty_cache()
    good = [f for f in found if "micros" in f]
    if not good: raise RuntimeError("; ".join(f["what"] + ": " + f["error"] for f in found))
    return min(good, key=lambda f: f["micros"] / f["work"]), found


def rate(tries, amount):
    """TFLOP/s or TB/s of the best way to do an amount of it."""
    b, found = best(tries)
    return {"value": amount * b["work"] / b["micros"] / 1e6, "micros": b["micros"], "what": b["what"], "all": found}


def gemm(dtype, m, n, k, tf32=False):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    c = sets((m + n) * k * dtype.itemsize)
    x = [noise(m, k, dtype=dtype) for _ in range(c)]; w = [noise(n, k, dtype=dtype) for _ in range(c)]
    y = torch.empty(m, n, device=dev, dtype=dtype)
    return rate([("torch.mm" + (", allow_tf32" if tf32 else "") + (", cuBLAS" if cuda else ""), lambda: timed(lambda i: torch.mm(x[i], w[i].t(), out=y), c))], 2 * m * n * k)


def sdpa(backend):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    return sdpa_kernel([getattr(SDPBackend, backend)])


def attention(b, h, t, prefix, d, back):
    """The same work: the prefix as further keys, copied for every row of the batch beforehand, and a mask aligned to the lower right. cuDNN
    has no such mask here and gets the text alone, with its own operations counted."""
    from torch.nn.attention.bias import causal_lower_right
    q, do = noise(b, h, t, d), noise(b, h, t, d)
    text = 4 * b * h * d * t * t / 2
    all_ = text + 4 * b * h * d * t * prefix

    def way(keys, mask, backend, share):
        def go():
            k, v = noise(b, h, keys, d), noise(b, h, keys, d)
            kw = {"is_causal": True} if mask is None else {"attn_mask": mask}
            with sdpa(backend):
                if not back:
                    with torch.no_grad():
                        return timed(lambda i: F.scaled_dot_product_attention(q, k, v, **kw)), share
                leaves = [x.detach().requires_grad_() for x in (q, k, v)]
                o = F.scaled_dot_product_attention(*leaves, **kw)
                return timed(lambda i: torch.autograd.grad(o, leaves, do, retain_graph=True)), share
        return go
    lower = causal_lower_right(t, t + prefix)
    tries = [("SDPA flash", way(t + prefix, lower, "FLASH_ATTENTION", 1.0)),
             ("SDPA efficient", way(t + prefix, lower, "EFFICIENT_ATTENTION", 1.0)),
             ("SDPA cuDNN without the prefix", way(t, None, "CUDNN_ATTENTION", text / all_)),
             ("SDPA flash without the prefix", way(t, None, "FLASH_ATTENTION", text / all_))]
    if not cuda: tries = [("SDPA math without the prefix", way(t, None, "MATH", text / all_))]
    return rate(tries, all_ * (2.5 if back else 1))


def decode(b, h, g, d, keys, nbytes):
    """Every row with all its keys for itself; with bytes: the rate at which they are read."""
    q, k, v = noise(b, h, 1, d), noise(b, g, keys, d), noise(b, g, keys, d)

    def way(backend):
        def go():
            with torch.no_grad(), sdpa(backend):
                return timed(lambda i: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))
        return go
    tries = [("SDPA flash, each row its own keys", way("FLASH_ATTENTION")), ("SDPA cuDNN, each row its own keys", way("CUDNN_ATTENTION")),
             ("SDPA math, each row its own keys", way("MATH"))][0 if cuda else 2:3]
    if nbytes: return rate(tries, nbytes)
    f, found = best(tries)
    return {"value": 1.0, "micros": f["micros"], "baseline_micros": f["micros"], "what": f["what"], "all": found}


def linear_lora(m, n, k, r):
    x, w, down, up = noise(m, k), noise(n, k, scale=0.02), noise(r, k, scale=0.02), noise(n, r, scale=0.02)
    plain = timed(lambda i: F.linear(x, w))
    b, found = best([("unfused, BF16", lambda: timed(lambda i: F.linear(x, w) + F.linear(F.linear(x, down), up) * 2.0)),
                     ("addmm_, BF16", lambda: timed(lambda i: F.linear(x, w).addmm_(F.linear(x, down), up.t(), alpha=2.0)))])
    return {"value": b["micros"] / plain, "micros": b["micros"], "baseline_micros": plain, "what": b["what"], "all": found}


def linear_lora_back(m, n, k, r):
    """dx alone, then dx, dA and dB."""
    x, w = noise(m, k).requires_grad_(True), noise(n, k, scale=0.02)
    down, up = noise(r, k, scale=0.02).requires_grad_(True), noise(n, r, scale=0.02).requires_grad_(True)
    dy = noise(m, n)
    y, plain = F.linear(x, w) + F.linear(F.linear(x, down), up) * 2.0, F.linear(x, w)
    alone = timed(lambda i: torch.autograd.grad(plain, (x,), dy, retain_graph=True))
    b, found = best([("autograd, BF16", lambda: timed(lambda i: torch.autograd.grad(y, (x, down, up), dy, retain_graph=True)))])
    return {"value": b["micros"] / alone, "micros": b["micros"], "baseline_micros": alone, "what": b["what"], "all": found}


def xent(m, h, v, back):
    x, w = noise(m, h).requires_grad_(back), noise(v, h, scale=0.02).requires_grad_(back)
    y = torch.randint(0, v, (m,), device=dev)

    def whole(i):
        if not back:
            with torch.no_grad(): return F.cross_entropy(F.linear(x, w).float(), y)
        torch.autograd.grad(F.cross_entropy(F.linear(x, w).float(), y), (x, w))

    def chunked(i):
        dx, dw = [], None
        for c in range(0, m, 1024):
            with torch.set_grad_enabled(back):
                loss = F.cross_entropy(F.linear(x[c:c + 1024], w).float(), y[c:c + 1024], reduction="sum") / m
            if back:
                part = torch.autograd.grad(loss, (x, w)); dx.append(part[0]); dw = part[1] if dw is None else dw.add_(part[1])
    if cuda: torch.cuda.reset_peak_memory_stats()
    b, found = best([("chunks of 1024, eager", lambda: timed(chunked, least=10)), ("all logits, eager", lambda: timed(whole, least=10))])
    return {"value": b["micros"] / 1e3, "micros": b["micros"], "what": b["what"], "all": found}


def multi_lora(texts, each, h, r):
    c = sets((2 * texts * r + texts * each) * h * 2)
    x = [noise(texts, each, h) for _ in range(c)]
    down = [noise(texts, h, r, scale=0.02) for _ in range(c)]; up = [noise(texts, r, h, scale=0.02) for _ in range(c)]
    y = noise(texts, each, h)
    b, found = best([("bmm, baddbmm", lambda: timed(lambda i: torch.baddbmm(y, torch.bmm(x[i], down[i]), up[i]), c))])
    return {"value": b["micros"], "micros": b["micros"], "what": b["what"], "all": found}


copied = None


def share(tries, nbytes):
    """Percent of a copy's bandwidth in this process."""
    r = rate(tries, nbytes)
    r["value"] = 100 * r["value"] / (copied or copy()["value"])
    return r


def copy():
    global copied
    n = size(1 << 28, 1 << 16)
    x, y = noise(n, dtype=torch.float32), torch.empty(n, device=dev)
    r = rate([("copy_", lambda: timed(lambda i: y.copy_(x)))], 8 * n)
    copied = r["value"]
    return r


def rows_of(name):
    f32 = torch.float32
    with torch.no_grad():
        if name == "layer_norm":
            r, c = size(16384, 70), size(4096, 96)
            x, w, b = noise(r, c, dtype=f32), noise(c, dtype=f32), noise(c, dtype=f32)
            return share([("F.layer_norm", lambda: timed(lambda i: F.layer_norm(x, (c,), w, b)))], 8 * r * c)
        if name == "softmax_xent":
            r, c = size(8192, 70), size(32768, 300)
            x, y = noise(r, c, dtype=f32), torch.randint(0, c, (r,), device=dev)
            return share([("F.cross_entropy", lambda: timed(lambda i: F.cross_entropy(x, y, reduction="none")))], 4 * r * c)
        if name == "rotary":
            b, h, t, d = size(8, 2), size(32, 4), size(2048, 40), size(128, 32)
            x, cos, sin = noise(b, t, h, d, dtype=f32).transpose(1, 2), noise(t, d, dtype=f32), noise(t, d, dtype=f32)

            def rotate(i):
                half = x.shape[-1] // 2
                return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin
            return share([("eager", lambda: timed(rotate))], 8 * b * h * t * d)
        n = size(1 << 26, 5000)
        q = noise(n, dtype=f32); q.grad = noise(n, dtype=f32)
        opt = torch.optim.AdamW([q], lr=1e-3, weight_decay=0.01, fused=cuda)
        return share([("torch.optim.AdamW" + (", fused" if cuda else ""), lambda: timed(lambda i: opt.step()))], 28 * n)


def launch():
    """What asking for a small kernel costs the caller."""
    x = torch.zeros(256, device=dev)
    t = []
    for _ in range(60):
        s = time.perf_counter()
        for _ in range(500): x.add_(1)
        t.append((time.perf_counter() - s) / 500 * 1e6); sync()
    m = statistics.median(t[40:])
    return {"value": m, "micros": m, "what": "add_ from Python"}


def llama():
    from transformers import LlamaConfig
    return LlamaConfig(vocab_size=size(128256, 96), hidden_size=size(2048, 32), intermediate_size=size(8192, 64), num_hidden_layers=size(16, 2),
                       num_attention_heads=size(32, 4), num_key_value_heads=size(8, 2), max_position_embeddings=2048, tie_word_embeddings=True)


def step(name):
    from peft import LoraConfig, PrefixTuningConfig, get_peft_model
    from transformers import LlamaForCausalLM
    c = llama()
    how = (LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM") if name == "lora_step"
           else PrefixTuningConfig(num_virtual_tokens=32, task_type="CAUSAL_LM"))
    was = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with dev: model = get_peft_model(LlamaForCausalLM(c), how, autocast_adapter_dtype=False)
    finally:
        torch.set_default_dtype(was)
    model.to(dev).train()
    ids = torch.randint(0, c.vocab_size, (size(8, 2), size(512, 24)), device=dev)
    opt = torch.optim.AdamW([q for q in model.parameters() if q.requires_grad], lr=1e-4)

    def one(i):
        opt.zero_grad(); loss = model(input_ids=ids, labels=ids).loss; loss.backward(); opt.step(); loss.item()
    if cuda: torch.cuda.reset_peak_memory_stats()
    micros = timed(one, least=5, wall=True)
    out = {"value": ids.numel() / micros * 1e6, "micros": micros, "what": "PyTorch + PEFT, eager, all in BF16"}
    if cuda: out["peak_bytes"] = torch.cuda.max_memory_allocated()
    return out


def decode_text():
    """One token at a time with a cache, its logits to the host."""
    from transformers import DynamicCache, LlamaForCausalLM
    was = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with dev: model = LlamaForCausalLM(llama())
    finally:
        torch.set_default_dtype(was)
    model.to(dev).eval()
    cache = DynamicCache()
    ids = torch.randint(0, model.config.vocab_size, (1, 16), device=dev)
    with torch.no_grad():
        model(input_ids=ids, past_key_values=cache, use_cache=True)
        micros = timed(lambda i: model(input_ids=ids[:, :1], past_key_values=cache, use_cache=True).logits[0, -1].float().cpu(), least=20, wall=True)
    return {"value": 1e6 / micros, "micros": micros, "what": "transformers, eager, BF16"}


ROWS = {
    "copy": copy,
    "gemm_bf16": lambda: gemm(torch.bfloat16, size(8192, 130), size(8192, 96), size(8192, 72)),
    "gemm_bf16_4096": lambda: gemm(torch.bfloat16, size(4096, 64), size(4096, 128), size(4096, 64)),
    "gemm_f32": lambda: gemm(torch.float32, size(4096, 70), size(4096, 50), size(4096, 40)),
    "gemm_tf32": lambda: gemm(torch.float32, size(8192, 130), size(8192, 96), size(8192, 72), tf32=True),
    "gemm_bf16x6": lambda: gemm(torch.float32, size(4096, 40), size(4096, 50), size(4096, 40)),
    "attention_d128": lambda: attention(size(8, 2), size(16, 2), size(2048, 136), size(64, 12), size(128, 64), False),
    "attention_d64": lambda: attention(size(8, 2), size(32, 2), size(2048, 36), size(64, 10), size(64, 32), False),
    "attention_d256": lambda: attention(size(8, 1), size(8, 2), size(2048, 130), size(64, 12), size(256, 160), False),
    "attention_back_d128": lambda: attention(size(8, 2), size(16, 2), size(2048, 136), size(64, 12), size(128, 64), True),
    "attention_back_d64": lambda: attention(size(8, 2), size(32, 2), size(2048, 130), size(64, 10), size(64, 32), True),
    "decode_shared": lambda: decode(size(256, 3), size(32, 4), size(8, 2), size(128, 64), size(4096 + 128, 60), 0),
    "decode_shared_32k": lambda: decode(size(256, 3), size(32, 4), size(8, 2), size(128, 64), size(32768 + 128, 280), 0),
    "decode_learned": lambda: decode(size(64, 3), size(32, 4), size(8, 2), size(128, 64), size(64 + 512, 46),
                                     4 * size(64, 3) * size(64 + 512, 46) * size(8, 2) * size(128, 64)),
    "linear_lora": lambda: linear_lora(size(8192, 70), size(4096, 96), size(4096, 64), 16),
    "linear_lora_narrow": lambda: linear_lora(size(8192, 70), size(1024, 32), size(4096, 64), 16),
    "linear_lora_back": lambda: linear_lora_back(size(8192, 70), size(4096, 96), size(4096, 64), 16),
    "linear_xent": lambda: xent(size(8192, 40), size(4096, 48), size(131072, 300), False),
    "linear_xent_both": lambda: xent(size(8192, 40), size(4096, 48), size(131072, 300), True),
    "multi_lora": lambda: multi_lora(size(64, 8), 1, size(4096, 128), 16),
    "multi_lora_runs": lambda: multi_lora(size(8, 2), size(256, 20), size(4096, 128), 16),
    "launch": launch,
    "lora_step": lambda: step("lora_step"),
    "prefix_step": lambda: step("prefix_step"),
    "decode_text": decode_text,
} | {n: (lambda n=n: rows_of(n)) for n in ("layer_norm", "softmax_xent", "rotary", "adamw")}

if cuda and not torch.cuda.is_available(): print("torch_rows.py: this PyTorch sees no GPU", file=sys.stderr)
for line in sys.stdin:
    name = line.strip()
    try:
        if name not in ROWS: raise RuntimeError("PyTorch has no such row")
        if cuda and not torch.cuda.is_available(): raise RuntimeError("this PyTorch sees no GPU")
        out = {"row": name, "engine": "torch " + torch.__version__} | ROWS[name]()
    except Exception as e:
        out = {"row": name, "error": (type(e).__name__ + ": " + str(e)).split("\n")[0][:300]}
    print(json.dumps(out), flush=True)
    gc.collect()
    if cuda: torch.cuda.empty_cache()
