"""Turns results.jsonl into the page: a row for each target, then the tables behind them.  python report.py LOG MODE

Every number comes from the log; targets are those of docs/CPU.md. A ratio above 1 means that Jotune is faster.
"""
import collections
import datetime
import json
import os
import statistics
import sys

from targets import TARGETS
import models

med = statistics.median
lines = [json.loads(l) for l in open(sys.argv[1])]
for one in lines:
    # decode.sh counts rounds of its own.
    one.setdefault("launch", one.get("round", 0))
mode = sys.argv[2]


def bench(name, **want):
    return [l for l in lines if l["bench"] == name and all(l.get(k) == v for k, v in want.items())]


def engine(l, who):
    return l["engine"].lower().startswith(who)


ceilings = {l["threads"]: l for l in bench("machine")}
discarded = collections.Counter()


class Row:
    """What one target's line says: ratios (one a launch and case), our rates of the peak, and the counted limit."""
    def __init__(self):
        self.ratios, self.bests, self.peaks, self.ours, self.theirs, self.why = [], [], [], [], [], ""


# ---- products ---------------------------------------------------------------------------------------------------------------------

def gemm(row, m, ours, peer, extensions, threads=1):
    """Rounds in which the peer itself is below 0.8 of its usual share of the burst were disturbed, and are left out."""
    for a in bench("gemm", candidate=ours, extensions=extensions, threads=threads):
        if not m(a["m"]):
            continue
        match = [b for b in bench("gemm", candidate=peer, threads=threads, launch=a["launch"], case=a["case"])
                 if b.get("extensions", extensions) == extensions]
        if not match:
            continue
        b = match[0]
        if "burst" in b and len(b["rates"]) == len(a["rates"]) and threads == 1:
            share = [r / p for r, p in zip(b["rates"], b["burst"])]
            usual = med(share)
            good = [i for i, s in enumerate(share) if s >= 0.8 * usual]
            discarded["rounds"] += len(share) - len(good)
            row.ratios.append(med(a["rates"][i] / b["rates"][i] for i in good))
            row.peaks.append(med(a["rates"][i] / a["burst"][i] for i in good))
        else:
            row.ratios.append(med(a["rates"]) / med(b["rates"]))
            row.peaks.append(med(a["rates"]) / ceilings[threads]["fma_gflops"])
        row.bests.append(max(a["rates"]) / max(b["rates"]))
        row.ours.append(med(a["rates"]))
        row.theirs.append(med(b["rates"]))
    row.unit = "GFLOP/s"
    return row


# ---- what processes in turn report ------------------------------------------------------------------------------------------------

def turns(row, name, select, value, work, threads, lower=True, peer="torch"):
    """Adjacent processes: ours and the peer's of one launch. lower: the value is seconds."""
    pool = [l for l in bench(name, threads=threads) if select(l)]
    for a in (l for l in pool if engine(l, "jotune")):
        for b in (l for l in pool if engine(l, peer) and l["launch"] == a["launch"]):
            row.ratios.append(b[value] / a[value] if lower else a[value] / b[value])
            best = {"step_s": "best_s", "median_s": "best_s", "gelem_s_median": "gelem_s_best"}.get(value, value)
            if best in a and best in b:
                row.bests.append(b[best] / a[best] if lower else a[best] / b[best])
            row.ours.append(a[value])
            row.theirs.append(b[value])
            if work and ceilings:
                row.peaks.append(work / a[value] / ceilings[threads]["fma_gflops"])
    row.unit = "s" if lower else "Gelem/s"
    return row


def backward(row, threads):
    """One training step's attention less its forward part, on both sides."""
    for launch in {l["launch"] for l in bench("attention")}:
        t = {(engine(l, "jotune"), l["pass"]): l["median_s"] for l in bench("attention", launch=launch, threads=threads, T=512, case="gpt2")}
        if len(t) == 4:
            a = t[True, "forward+backward"] - t[True, "forward"]
            b = t[False, "forward+backward"] - t[False, "forward"]
            row.ratios.append(b / a)
            row.ours.append(a)
            row.theirs.append(b)
            row.peaks.append(2.5 * models.attention_gflop(512) / a / ceilings[threads]["fma_gflops"])
    row.unit = "s"
    return row


def second_thread(row, kind):
    if kind == "gemm":
        one = collections.defaultdict(list)
        two = collections.defaultdict(list)
        for l in bench("gemm", candidate="jotune_f32", m=512):
            (one if l["threads"] == 1 else two)[l["case"], l["extensions"]].append(med(l["rates"]))
        both = sorted(one.keys() & two.keys())
        row.ratios = [med(two[k]) / med(one[k]) for k in both]
        row.ours = [med(two[k]) for k in both]
        row.theirs = [med(one[k]) for k in both]
        row.bests = [max(two[k]) / max(one[k]) for k in both]
        row.unit = "GFLOP/s"
    else:
        s = {t: [l["step_s"] for l in bench("steps", threads=t, case="lora_step", weights="F32") if engine(l, "jotune")] for t in (1, 2)}
        if s[1] and s[2]:
            row.ratios, row.ours, row.theirs = [med(s[1]) / med(s[2])], [med(s[2])], [med(s[1])]
        row.unit = "s"
    return row


def typed(case, weights):
    dtype = {"F32": "float32", "BF16": "bfloat16"}[weights]
    return lambda l: l["case"] == case and (l.get("weights") == weights or l.get("dtype") == dtype)


def compute(kind, threads, *args):
    row = Row()
    if kind == "gemm":
        return gemm(row, *args, threads=threads)
    if kind == "attention":
        part = args[0]
        if part == "backward":
            return backward(row, threads)
        return turns(row, "attention", lambda l: l["T"] == 512 and l["case"] == "gpt2" and l["pass"] == part, "median_s",
                     models.attention_gflop(512), threads)
    if kind == "rows":
        return turns(row, "rows", lambda l: l["case"] == args[0] and l["size"] == "128x768", "gelem_s_median", 0, 1, lower=False)
    if kind == "steps":
        case, weights = args
        return turns(row, "steps", typed(case, weights), "step_s", models.STEP_GFLOP[case], threads)
    if kind == "memory":
        row = turns(row, "steps", typed("lora_step", "F32"), "peak_rss_mb", 0, threads)
        row.ratios = [1 / r for r in row.ratios]
        row.bests, row.unit = [], "MB"
        return row
    if kind == "decode":
        return turns(row, "decode", lambda l: l.get("weights") == "BF16", "step_s", models.DECODE_GFLOP, threads, peer=args[0])
    return second_thread(row, *args)


# ---- the page -------------------------------------------------------------------------------------------------------------------

def number(x):
    return f"{x:.4g}" if x < 100 else f"{x:.0f}"


def verdict(value, target, aim, smaller):
    reached = (lambda goal: value <= goal) if smaller else (lambda goal: value >= goal)
    return "aim reached" if reached(aim) else "reached" if reached(target) else "**falls short**"


def head():
    m = ceilings.get(2) or ceilings.get(1) or {}
    bursts = [b for l in lines for b in l.get("burst", [])]
    print("# CPU: against the peers\n")
    print(f"Made by `bench/cpu/run.sh {mode}` on {datetime.date.today()}; [docs/CPU.md](../../docs/CPU.md) says how and why so. "
          f"Load when it began {m.get('load', '?')}, now {os.getloadavg()[0]:.1f}.\n")
    runs = collections.defaultdict(list)
    for l in lines:
        if l["part"] not in runs[l["run"]]:
            runs[l["run"]].append(l["part"])
    if len(runs) > 1:
        print("Parts of several runs: " + "; ".join(f"{', '.join(parts)} on {run}" for run, parts in sorted(runs.items())) + ".\n")
    if m:
        print(f"Machine: {m['engine']}, Java {m['java']}, {m['vector_bits']}-bit vectors.\n")
        print("| threads | FMA GFLOP/s (F32) | reads GB/s: L1 | L2 | L3 | memory |\n|---|---|---|---|---|---|")
        for t in sorted(ceilings):
            c = ceilings[t]
            print(f"| {t} | {c['fma_gflops']:.0f} | {c['read_gbps_l1']:.0f} | {c['read_gbps_l2']:.0f} | {c['read_gbps_l3']:.0f} | {c['read_gbps_memory']:.0f} |")
        print()
    if bursts:
        low = sum(b < 0.8 * max(bursts) for b in bursts)
        print(f"Of {len(bursts)} bursts beside the products, {low} were below 0.8 of the best"
              f"{': **the machine was not quiet**' if low > 0.05 * len(bursts) else ''}; {discarded['rounds']} rounds are left out, "
              "because the peer itself was below 0.8 of its usual share of the burst in them.\n")
    print("Peers and builds:\n")
    for e in sorted({l["engine"] for l in lines if l["bench"] != "machine"}):
        print(f"- {e}")
    print("\nWeights: ours are packed once before the clock starts, as a model's frozen weights are; MKL \"plain\" and OpenBLAS read them in "
          "checkpoint layout (NT), `mkl_packed` is MKL's own packed form, libtorch's linear holds them as its module does. "
          "A weight is used again and again: up to 1 MB it stays in L2, the vocabulary's (113 MB) comes from memory, the others from L3.\n")


def main():
    body = []
    short = []
    for t in TARGETS:
        row = compute(t.kind, t.threads, *t.args)
        if not row.ratios:
            body.append(f"| {t.work} | {t.threads} | {t.target:g} | {t.aim:g} | not measured | | | | | |")
            continue
        value = med(row.ratios)
        said = verdict(value, t.target, t.aim, t.smaller)
        best = (min if t.smaller else max)(row.ratios + row.bests)
        peak = f"{med(row.peaks):.2f}" if row.peaks else ""
        if row.peaks and med(row.peaks) > (2.1 if "BF16" in t.work else 1.05):
            peak += " **above the peak: a measuring error**"
        body.append(f"| {t.work} | {t.threads} | {t.target:g} | {t.aim:g} | **{value:.2f}** | {best:.2f} | {min(row.ratios):.2f} to "
                    f"{max(row.ratios):.2f} ({len(row.ratios)}) | {number(med(row.ours))} / {number(med(row.theirs))} {row.unit} | {peak} | {said} |")
        if said != "aim reached" and ceilings:
            why = models.explain(t, row, ceilings, lines)
            if why:
                short.append(f"- {t.work}, {t.threads} {'thread' if t.threads == 1 else 'threads'} ({value:.2f}; {said.strip('*')}): {why}")
    head()
    print("## Targets\n\nRatio of medians, peer's time over ours (memory: ours over the peer's). \"best\" is the best launch or the ratio of the "
          "best rounds. \"of the peak\" is our rate over the multiply-add burst of the same round or run.\n")
    print("| work | threads | at least | aim | median | best | launches and shapes | ours / peer | of the peak | |\n|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(body))
    if short:
        print("\n## Which fall short of target or aim, and why\n\nCounted: floating-point operations over the burst, bytes over the bandwidth "
              "measured above, whichever takes longer.\n")
        print("\n".join(short))
    tables()


def tables():
    cases = [c for c in dict.fromkeys(l["case"] for l in bench("gemm", threads=1))]
    for extensions, title in ((False, "Vector API alone"), (True, "with machine code")):
        names = [n for n in dict.fromkeys(l["candidate"] for l in bench("gemm", threads=1) if l.get("extensions", extensions) == extensions)]
        if not names:
            continue
        print(f"\n## Products, one thread, {title}\n\nMedian GFLOP/s over the launches (of the burst).\n")
        print("| product | " + " | ".join(names) + " |\n|---" * 1 + "|---" * len(names) + "|")
        for c in cases:
            cells = []
            for n in names:
                found = [l for l in bench("gemm", threads=1, case=c, candidate=n) if l.get("extensions", extensions) == extensions]
                rates = [med(l["rates"]) for l in found]
                share = [med(r / p for r, p in zip(l["rates"], l["burst"])) for l in found if "burst" in l]
                cells.append((f"{med(rates):.0f}" + (f" ({med(share):.2f})" if share else "")) if rates else "")
            print(f"| {c} | " + " | ".join(cells) + " |")
    for name, key, value in (("attention", ("case", "T", "pass", "threads"), "median_s"), ("rows", ("case", "size"), "gelem_s_median"),
                             ("steps", ("case", "threads", "weights"), "step_s"), ("decode", ("case", "threads", "weights"), "step_s")):
        found = bench(name)
        if not found:
            continue
        print(f"\n## {name.capitalize()}\n\n`{value}` of every launch.\n")
        groups = collections.defaultdict(lambda: collections.defaultdict(list))
        for l in found:
            l.setdefault("weights", {"float32": "F32", "bfloat16": "BF16"}.get(l.get("dtype"), ""))
            groups[tuple(str(l.get(k, "")) for k in key)][l["engine"]].append(l.get(value))
        print("| " + " | ".join(key) + " | engine | values |\n" + "|---" * (len(key) + 2) + "|")
        for k in groups:
            for e in groups[k]:
                print("| " + " | ".join(k) + f" | {e} | " + ", ".join(number(v) for v in groups[k][e] if v is not None) + " |")


main()
