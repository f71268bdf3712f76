#!/usr/bin/env bash
# A pretrained encoder fine-tuned with LoRA to tell good reviews from bad ones: Jotune against PyTorch + PEFT.
#
#   bench/sst2/run.sh MODEL SST2 [SEEDS]          default seeds: 1,2,3
#
# MODEL    the folder of a BERT-like encoder, such as sentence-transformers/all-MiniLM-L6-v2
# SST2     a folder with train.tsv and dev.tsv, a sentence, a tab and 0 or 1 a line (the Stanford Sentiment Treebank's
#          binary task; for research, so it is not part of this repository)
# PYTHON   a Python with torch, transformers and peft (default: python3). To make one:
#            python3 -m venv venv && venv/bin/pip install torch transformers peft && PYTHON=venv/bin/python bench/sst2/run.sh ...
# THREADS  threads of both (default: 2)
# EPOCHS   passes over the training sentences (default: 2)
# VARIANTS none (no dropout), own (the model's), or both (default)
# OUT      where the table goes (default: bench/sst2/RESULTS.md)
#
# Both train the same: LoRA of rank 8 and alpha 16 on query and value, pooler and classifier whole, AdamW at 1e-3 falling
# linearly to 0, batches of 16 sentences of at most 64 tokens, clipped at norm 1. They begin with the same numbers, which the peer
# draws and saves, and take the sentences in the same order; both follow the seed. Once without dropout, where nothing is left to
# chance, and once with the model's own, where the two draw different noise. They run in turn, never at once. Jotune's seconds
# are of training alone, as the peer's.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=${1:?give the folder of an encoder; the head of this script says more}
data=${2:?give a folder with train.tsv and dev.tsv; the head of this script says more}
seeds=${3:-1,2,3}
python=${PYTHON:-python3}
threads=${THREADS:-2}
epochs=${EPOCHS:-2}
out=${OUT:-bench/sst2/RESULTS.md}
"$python" -c 'import torch, transformers, peft' 2>/dev/null || {
    echo "sst2: $python has no torch, transformers and peft. Set PYTHON; the head of this script says how to make one." >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
: >"$log"
./jotune --version >&2
without=$work/model
cp -rL "$model" "$without"
"$python" - "$without/config.json" <<'EOF'
import json, sys
config = json.load(open(sys.argv[1]))
config.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
json.dump(config, open(sys.argv[1], "w"))
EOF
for variant in ${VARIANTS:-none own}; do
    from=$([[ $variant == none ]] && echo "$without" || echo "$model")
    for seed in ${seeds//,/ }; do
        start=$work/start adapter=$work/adapter
        rm -rf "$start" "$adapter"
        echo "dropout $variant, seed $seed, torch" >&2
        "$python" bench/sst2/peer.py --model "$from" --train "$data/train.tsv" --dev "$data/dev.tsv" --threads "$threads" --start "$start" \
            --learning-rate 1e-3 --epochs "$epochs" --batch-size 16 --max-length 64 --seed "$seed" 2>"$work/err" >"$work/lines" ||
            { cat "$work/err" >&2; exit 1; }
        tail -n 1 "$work/lines" | sed "s/^{/{\"dropout\": \"$variant\", /" | tee -a "$log" >&2
        echo "dropout $variant, seed $seed, jotune" >&2
        ./jotune tune --task classify --model "$from" --from "$start" --data "$data/train.tsv" --out "$adapter" --threads "$threads" \
            --learning-rate 1e-3 --epochs "$epochs" --batch-size 16 --max-length 64 --seed "$seed" --save-every 0 \
            2>"$work/err" | tee "$work/tuned" >&2 || { cat "$work/err" >&2; exit 1; }
        ./jotune eval --task classify --model "$from" --adapter "$adapter" --data "$data/dev.tsv" --max-length 64 --threads "$threads" \
            2>"$work/err" | tee "$work/measured" >&2 || { cat "$work/err" >&2; exit 1; }
        "$python" bench/sst2/table.py --line "$variant" "$seed" "$work/tuned" "$work/measured" >>"$log"
    done
done
"$python" bench/sst2/table.py "$log" "$threads" "$epochs" "$model" >"$out"
cat "$out"
