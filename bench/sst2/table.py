"""Turns what run.sh's two programs print into one table."""
import json
import platform
import re
import sys


def line(dropout, seed, tuned, measured):
    """One JSON line of what `jotune tune` and `jotune eval` printed."""
    tune, evaluation = open(tuned).read(), open(measured).read()
    loss = re.search(r"in ([\d,]+) steps, ([\d.]+) s", tune)
    score = re.search(r"accuracy ([\d.]+)  \((\d+) of (\d+)\)", evaluation)
    right, of = int(score[2]), int(score[3])
    print(json.dumps({"dropout": dropout, "by": "jotune", "seed": int(seed), "accuracy": right / of, "right": right, "of": of,
                      "seconds": float(loss[2]), "steps": int(loss[1].replace(",", ""))}))


def table(log, threads, epochs, model):
    rows = [json.loads(text) for text in open(log)]
    one = rows[0]
    print("# LoRA on SST-2, Jotune and PyTorch\n")
    print(f"Made by `bench/sst2/run.sh {model.rstrip('/').split('/')[-1]} SST2` on {platform.machine()}, {threads} threads; "
          f"the head of the script says what is measured.\n{epochs} passes of the training sentences, {one['steps']} updates; "
          f"accuracy on the {one['of']} sentences of the development set.")
    for dropout, title in (("none", "Without dropout: the same start, the same order"), ("own", "With the model's own dropout, each side's own noise")):
        if any(r["dropout"] == dropout for r in rows):
            print(f"\n## {title}\n")
            variant([r for r in rows if r["dropout"] == dropout])


def variant(rows):
    seeds = sorted({r["seed"] for r in rows})
    print("| by | " + " | ".join(f"seed {s}" for s in seeds) + " | mean | seconds of training, mean |")
    print("|---|" + "---|" * (len(seeds) + 2))
    means = {}
    for by in ("jotune", "torch"):
        own = {r["seed"]: r for r in rows if r["by"] == by}
        means[by] = sum(own[s]["accuracy"] for s in seeds) / len(seeds)
        seconds = sum(own[s]["seconds"] for s in seeds) / len(seeds)
        print(f"| {by} | " + " | ".join(f"{own[s]['accuracy']:.4f}" for s in seeds) + f" | {means[by]:.4f} | {seconds:.0f} |")
    error = (means["torch"] * (1 - means["torch"]) / rows[0]["of"]) ** 0.5
    print(f"\nDifference of the means: {means['jotune'] - means['torch']:+.4f}; one standard error of an accuracy on so many "
          f"sentences is {error:.4f}.")


if __name__ == "__main__":
    if sys.argv[1] == "--line":
        line(*sys.argv[2:])
    else:
        table(*sys.argv[1:])
