"""Turns the JSON lines of against_torch.sh into a Markdown table: medians, ratios of adjacent pairs, peak memory."""
import datetime
import json
import os
import platform
import statistics
import sys

rows = [json.loads(line) for line in open(sys.argv[1])]
threads = sys.argv[2]
cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
load = os.getloadavg()[0]
peer = next(r["engine"] for r in rows if r["engine"].startswith("torch"))
ours = next(r["engine"] for r in rows if r["engine"].startswith("jotune"))
print("# Against PyTorch + PEFT\n")
print(f"Made by `bench/against_torch.sh` on {datetime.date.today()}: {cpu}, {threads} threads, load {load:.1f} at the end.")
print(f"{ours} against {peer}. F32, batch 4 x 128, 135M-parameter Llama shape, random weights, frozen base in checkpoint layout.")
print("Ratio above 1: Jotune is faster, or needs less memory.\n")
print("| case | Jotune s (best) | torch s | ratio, each pair | median ratio | Jotune peak MB | torch peak MB | memory ratio |")
print("|---|---|---|---|---|---|---|---|")
for case in dict.fromkeys(r["case"] for r in rows):
    a = {r["pair"]: r for r in rows if r["case"] == case and r["engine"].startswith("jotune")}
    b = {r["pair"]: r for r in rows if r["case"] == case and r["engine"].startswith("torch")}
    both = sorted(a.keys() & b.keys())
    ratios = [b[p]["step_s"] / a[p]["step_s"] for p in both]
    mine = statistics.median(a[p]["step_s"] for p in both)
    best = min(a[p]["best_s"] for p in both)
    theirs = statistics.median(b[p]["step_s"] for p in both)
    memory_a = statistics.median(a[p]["peak_rss_mb"] for p in both)
    memory_b = statistics.median(b[p]["peak_rss_mb"] for p in both)
    print(f"| {case} | {mine:.2f} ({best:.2f}) | {theirs:.2f} | {', '.join(f'{r:.2f}' for r in ratios)} | {statistics.median(ratios):.2f} "
          f"| {memory_a:.0f} | {memory_b:.0f} | {memory_b / memory_a:.2f} |")
