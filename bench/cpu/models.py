"""Counted models: what the arithmetic and the bytes of a piece of work allow at the rates measured in the same run."""
import statistics

# One token through the 135M Llama: multiply-adds of its projections and of the tied vocabulary.
_BLOCK = 2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536
WEIGHTS = 30 * _BLOCK + 576 * 49152
_TOKENS = 4 * 128
# A frozen product costs its forward and the gradient of its input; a trained one the gradient of its weight as well.
STEP_GFLOP = {
    "lora_step": 4e-9 * WEIGHTS * _TOKENS, "prefix_step": 4e-9 * WEIGHTS * _TOKENS, "full_step": 6e-9 * WEIGHTS * _TOKENS,
    "prefill": 2e-9 * WEIGHTS * _TOKENS, "bert_lora_step": 4e-9 * 6 * (4 * 384 * 384 + 2 * 384 * 1536) * 16 * 64}
DECODE_GFLOP = 2e-9 * WEIGHTS


def attention_gflop(t, batch=4, heads=12, d=64, prefix=32):
    """Forward: q k^T and p v over the visible half and the prefix; the backward pass has five such products for these two."""
    return 4e-9 * batch * heads * d * t * (prefix + (t + 1) / 2)


def level(size):
    return "l2" if size <= 1 << 20 else "l3" if size <= 32 << 20 else "memory"


def explain(t, row, ceilings, lines):
    c = ceilings[t.threads]
    fma = c["fma_gflops"]
    ours, theirs = statistics.median(row.ours), statistics.median(row.theirs)
    if t.kind == "gemm":
        return products(t, ours, theirs, c, lines)
    if t.kind == "steps":
        gflop = STEP_GFLOP[t.args[0]]
        peak = fma * (2 if t.args[1] == "BF16" else 1)
        least = gflop / peak
        kind = "BF16 dot products at twice the F32 burst" if t.args[1] == "BF16" else "F32 multiply-adds"
        return (f"{gflop:.0f} GFLOP in frozen products take {least:.2f} s at {peak:.0f} GFLOP/s ({kind}), {least / ours:.0%} of our {ours:.2f} s; "
                f"even with nothing else the ratio would be {theirs / least:.1f}. The rest is attention, norms, low-rank terms and the edges of products.")
    if t.kind == "decode":
        gigabytes = 2e-9 * WEIGHTS
        least = gigabytes / c["read_gbps_memory"]
        return (f"a token reads {gigabytes:.2f} GB of weights, {least * 1e3:.1f} ms at {c['read_gbps_memory']:.0f} GB/s; ours takes {ours * 1e3:.1f} ms, "
                f"the peer {theirs * 1e3:.1f} ms, so the most there is to reach is {theirs / least:.1f}.")
    if t.kind == "attention":
        gflop = attention_gflop(512) * (1 if t.args[0] == "forward" else 2.5)
        return (f"{gflop:.1f} GFLOP of visible scores need {gflop / fma * 1e3:.1f} ms at the burst's rate, ours takes {ours * 1e3:.1f} ms, the peer "
                f"{theirs * 1e3:.1f} ms: the most there is to reach is {theirs / (gflop / fma):.1f} before an exponential is taken.")
    if t.kind == "rows":
        limit = c["read_gbps_l2"] / 8
        return (f"4 bytes read and 4 written an element allow {limit:.0f} Gelem/s at {c['read_gbps_l2']:.0f} GB/s from L2; ours {ours:.1f}, "
                f"the peer {theirs:.1f}. {ours * 8:.0f} GB/s pass, so not bytes from L2 but loads, stores and arithmetic within the row are what is left "
                "(NOTES-rows.md takes LayerNorm apart).")
    if t.kind == "second":
        return (f"the burst itself gains {ceilings[2]['fma_gflops'] / ceilings[1]['fma_gflops']:.2f}, reads from memory "
                f"{ceilings[2]['read_gbps_memory'] / ceilings[1]['read_gbps_memory']:.2f}; the difference to {statistics.median(row.ratios):.2f} is work "
                "that one thread does alone and waiting at the end of each operation.")
    if t.kind == "memory":
        base = 4e-6 * WEIGHTS
        return (f"the F32 weights alone are {base:.0f} MB, {base / theirs:.2f} of the peer's {theirs:.0f} MB; ours is {ours:.0f} MB with the JVM's code and "
                "heap and the activations that the backward pass needs.")
    return ""


def products(t, ours, theirs, c, lines):
    rows, ours_name, peer_name, extensions = t.args
    bf16 = ours_name == "jotune_bf16"
    peak = c["fma_gflops"] * (2 if bf16 else 1)
    limits = []
    for l in lines:
        if l["bench"] == "gemm" and l["candidate"] == ours_name and l.get("extensions") == extensions and l["threads"] == t.threads and rows(l["m"]):
            # Only at few rows do the weight's bytes count: each is read once for all rows.
            size = l["weight_bytes"] / (2 if "bf16" in ours_name else 1)
            seconds = max(l["gflop"] / peak, size * 1e-9 / c["read_gbps_" + level(size)])
            limits.append(l["gflop"] / seconds)
    limit = statistics.median(limits)
    amx = " There is no AMX on this machine; AVX-512 BF16 dot products, twice the F32 rate, do the work." if bf16 else ""
    if not bf16 and extensions and rows(512):
        amx = " There is no AMX on this machine: F32 is exact in one pass of multiply-adds, and three BF16 passes at twice the rate would be slower."
    return (f"arithmetic and bytes allow {limit:.0f} GFLOP/s (median shape), so at most {limit / theirs:.2f} times the peer's {theirs:.0f}; "
            f"ours is {ours:.0f}, {ours / limit:.0%} of it.{amx}")
