"""Fine-tunes a BERT-like encoder with PEFT's LoRA to classify sentences, and prints one JSON line with its accuracy.

The peer of `jotune tune --task classify`: the same data in the same format, the same hyper-parameters, AdamW with a
linear schedule, gradients clipped to norm 1, batches padded to their longest sentence. Called by run.sh.
"""
import argparse
import json
import time

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup, set_seed


def read(path):
    rows = [line.rstrip("\n").split("\t") for line in open(path, encoding="utf-8") if line.strip()]
    return [r[0] for r in rows], [int(r[1]) for r in rows]


def batch(tokenizer, texts, labels, rows, max_length):
    enc = tokenizer([texts[i] for i in rows], padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return {"input_ids": enc["input_ids"], "attention_mask": enc["attention_mask"],
            "labels": torch.tensor([labels[i] for i in rows])}


def philox(key, block, stream):
    """Philox4x32-10: four words of 32 bits, as Jotune shuffles with them."""
    mask = 0xFFFFFFFF
    k0, k1 = key & mask, key >> 32 & mask
    c0, c1, c2, c3 = block & mask, block >> 32 & mask, stream & mask, stream >> 32 & mask
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ k0, p1 & mask, p0 >> 32 ^ c3 ^ k1, p0 & mask
        k0, k1 = k0 + 0x9E3779B9 & mask, k1 + 0xBB67AE85 & mask
    return c0, c1, c2, c3


def permutation(seed, epoch, n):
    """The order in which Jotune goes through n examples in an epoch."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        key, bound = seed, i + 1
        while True:
            w = philox(key, i >> 1, epoch)
            random = w[2 * (i & 1)] | w[2 * (i & 1) + 1] << 32
            if random * bound % 2**64 >= (2**64 - bound) % bound:
                break
            key = key + 0x9E3779B97F4A7C15 & 2**64 - 1
        j = random * bound >> 64
        order[i], order[j] = order[j], order[i]
    return order


def main():
    p = argparse.ArgumentParser()
    for name in ("model", "train", "dev"):
        p.add_argument("--" + name, required=True)
    for name, default in (("seed", 1), ("batch-size", 16), ("max-length", 64), ("r", 8), ("alpha", 16), ("threads", 2)):
        p.add_argument("--" + name, type=int, default=default)
    p.add_argument("--learning-rate", type=float, default=1e-3)
    p.add_argument("--epochs", type=float, default=2)
    p.add_argument("--modules-to-save", default="pooler")
    p.add_argument("--start", help="save what is trained here before training, and take the examples in Jotune's order")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    set_seed(a.seed)
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    model = AutoModelForSequenceClassification.from_pretrained(a.model, num_labels=2, dtype=torch.float32)
    # The task type adds the classifier to what is trained whole.
    model = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=a.r, lora_alpha=a.alpha,
                                             target_modules=["query", "value"],
                                             modules_to_save=a.modules_to_save.split(",")))
    if a.start:
        model.save_pretrained(a.start)
    texts, labels = read(a.train)
    steps = -(-int(a.epochs * len(texts)) // a.batch_size)
    trained = [q for q in model.parameters() if q.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=a.learning_rate, weight_decay=0)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    model.train()
    order, epoch = [], 0
    start = time.time()
    for _ in range(steps):
        while len(order) < a.batch_size:
            order += permutation(a.seed, epoch, len(texts)) if a.start else torch.randperm(len(texts)).tolist()
            epoch += 1
        rows, order = order[:a.batch_size], order[a.batch_size:]
        loss = model(**batch(tokenizer, texts, labels, rows, a.max_length)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    seconds = time.time() - start
    model.eval()
    dev_texts, dev_labels = read(a.dev)
    right = 0
    with torch.no_grad():
        for i in range(0, len(dev_texts), 32):
            rows = range(i, min(len(dev_texts), i + 32))
            b = batch(tokenizer, dev_texts, dev_labels, rows, a.max_length)
            right += (model(**b).logits.argmax(-1) == b["labels"]).sum().item()
    print(json.dumps({"by": "torch", "seed": a.seed, "accuracy": right / len(dev_texts), "right": right,
                      "of": len(dev_texts), "seconds": round(seconds, 1), "steps": steps,
                      "trainable": sum(q.numel() for q in trained)}))


if __name__ == "__main__":
    main()
