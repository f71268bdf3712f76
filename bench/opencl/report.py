#!/usr/bin/env python3
"""The page of bench/opencl/run.sh: a table of kernels, one of products, one beside CLBlast, from JMH's JSON.

usage: report.py FOLDER DEVICE MODE LOAD
"""
import datetime
import json
import os
import pathlib
import sys

ROWS, SIZE, CHUNK_STATES = 2048, 1024, 16
ROW_BYTES = 4 * ROWS * SIZE
# What each kernel of DeviceOps should move at least, in multiples of its 2048 x 1024 floats; or what it computes.
MOVES = {
    "rms_norm": 2, "rms_norm_backward": 5, "add_layer_norm": 4, "layer_norm_backward": 6, "rotary": 2, "adamw": 7, "argmax": 1, "gather": 2,
    "scatter_add": 3, "uniform": 1, "normal": 1,
}
COMPUTES = {
    "scan": f"{2 * ROWS * SIZE * CHUNK_STATES / 1e6:.0f} M exponentials",
    "scan_backward": f"{ROWS * SIZE * CHUNK_STATES / 1e6:.0f} M states, there and back",
    "top_k": "4 x 32000 floats, read once",
    "losses": "2147 MFLOP",
    "attention": "135 MFLOP",
    "attention_both_ways": "471 MFLOP",
    "sparse": "43 MFLOP; 86 MB of x, most from a cache",
}
# Bytes a number of the products' weights.
WIDTH = {"F32": 4, "BF16": 2, "Q8_0": 34 / 32, "Q4_0": 18 / 32, "NF4": 0.5 + 1 / 64}
IN = OUT = 2048
PEER_IN = PEER_OUT = 1024


def load(folder, name):
    file = folder / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() and file.stat().st_size else []


def micros(entry):
    return min(t for fork in entry["primaryMetric"]["rawData"] for t in fork)


def spread(entry):
    times = [t for fork in entry["primaryMetric"]["rawData"] for t in fork]
    return f" to {max(times):.0f}"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def kernels(entries, device):
    times = {(e["params"]["operation"], e["params"]["backend"]): e for e in entries}
    rows = []
    for name in [*MOVES, *COMPUTES]:
        there, here = times.get((name, device)), times.get((name, "cpu"))
        if there is None or here is None:
            continue
        count = MOVES.get(name)
        moved = f"{count * ROW_BYTES / 1e6:.1f} MB" if count else COMPUTES[name]
        rate = f"{count * ROW_BYTES / micros(there) / 1e3:.2f}" if count else ""
        rows.append([f"`{name}`", moved, f"{micros(there):.0f}{spread(there)}", f"{micros(here):.0f}{spread(here)}",
                     f"{micros(here) / micros(there):.3f}", rate])
    table(["kernel", "should move", f"{device}, us", "CPU, us", f"CPU's time over {device}'s", f"GB/s on {device}"], rows)


def products(entries, device):
    times = {(e["params"]["weights"], e["params"]["rows"], e["benchmark"].rsplit(".", 1)[1]): e for e in entries}
    rows = []
    for (weights, m), _ in {(w, m): 0 for w, m, _ in times}.items():
        there, here = times.get((weights, m, "device")), times.get((weights, m, "cpu"))
        if there is None or here is None:
            continue
        flops = 2 * int(m) * IN * OUT
        rows.append([f"{m} x {IN} x {OUT}, {weights}", f"{flops / 1e6:.0f} MFLOP, {WIDTH[weights] * IN * OUT / 1e6:.1f} MB",
                     f"{micros(there):.0f}{spread(there)}", f"{micros(here):.0f}{spread(here)}", f"{micros(here) / micros(there):.3f}",
                     f"{flops / micros(there) / 1e3:.1f}"])
    table(["y = x W^T", "operations; bytes of W", f"{device}, us", "CPU, us", f"CPU's time over {device}'s", f"GFLOP/s on {device}"], rows)


def peers(entries, device):
    times = {(e["params"]["rows"], e["benchmark"].rsplit(".", 1)[1]): e for e in entries}
    rows = []
    for m in {m: 0 for m, _ in times}:
        ours, peer, here = (times.get((m, who)) for who in ("jotune", "clblast", "cpu"))
        if ours is None or peer is None or here is None:
            continue
        flops = 2 * int(m) * PEER_IN * PEER_OUT
        rows.append([f"{m} x {PEER_IN} x {PEER_OUT}", f"{flops / 1e6:.0f} MFLOP", f"{micros(ours):.0f}{spread(ours)}",
                     f"{micros(peer):.0f}{spread(peer)}", f"{micros(here):.0f}{spread(here)}", f"{micros(peer) / micros(ours):.2f}",
                     f"{flops / micros(ours) / 1e3:.1f} / {flops / micros(peer) / 1e3:.1f} / {flops / micros(here) / 1e3:.1f}"])
    if rows:
        table(["y = x W^T in F32", "operations", f"ours on {device}, us", f"CLBlast on {device}, us", "ours on the CPU, us",
               "CLBlast's time over ours", "GFLOP/s: ours, CLBlast, CPU"], rows)
    else:
        print("Not measured: there is no libclblast.so.1 on this machine (Debian: libclblast1).\n")


def main():
    folder, device, mode, before = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    lists = (folder / "devices").read_text().splitlines()
    named = [line.strip() for line in lists if line.strip().startswith(device)]
    print("# OpenCL: kernels beside their twins and CLBlast\n")
    print(f"Made by `bench/opencl/run.sh {mode}` on {datetime.date.today()}. Load of the machine when it began {before}, at the end "
          f"{os.getloadavg()[0]:.2f}, on {os.cpu_count()} processors; this run alone makes up to {os.cpu_count()} of it, the rest were others.\n")
    print(f"Device: {' '.join(named[0].rstrip(' -').split()) if named else device}.\n")
    print("What the numbers mean. PoCL runs kernels on the processor: it is there to show that they are right. Items of a group take turns on a\n"
          "core, at every barrier all of them; what a GPU holds in registers goes through the core's cache, and the same memory serves both\n"
          "columns. So the CPU's own kernels should win here, and a ratio below 1 says nothing about a GPU. What can be read from this page:\n"
          "whether a kernel moves what it should (GB/s that stay far behind its neighbours' want a look), and whether our product keeps up with\n"
          "one that other people wrote for the same device. Times are those of the shortest and the longest of JMH's iterations; ratios and rates\n"
          "are made of the shortest, which others at work on the machine lengthen least.\n")
    print("## Kernels\n")
    kernels(load(folder, "kernels"), device)
    print("## Products\n")
    products(load(folder, "products"), device)
    print("## Beside CLBlast\n")
    print("Same device, same numbers, one after the other; results are compared before the clock starts.\n")
    peers(load(folder, "peers"), device)


main()
