#!/usr/bin/env bash
# All methods that can train a small encoder to tell texts apart, with the same budget, three seeds, two tasks:
# docs/COMPARISON.md, its plots, and the column "measured" of docs/METHODS.md.
#
#   bench/comparison/run.sh MODEL CLINC150 SST2 [OPTIONS]
#
# MODEL      the folder of a BERT-like encoder, such as sentence-transformers/all-MiniLM-L6-v2
# CLINC150   a folder with data_small.json of the intent data set CLINC150 (clinc/oos-eval): 150 intents, 50 sentences to learn
#            of each; sentences out of scope are left out
# SST2       a folder with train.tsv and dev.tsv, a sentence, a tab and 0 or 1 a line (the Stanford Sentiment Treebank's
#            binary task; for research, so it is not part of this repository)
# OPTIONS    of './jotune compare', such as --methods lora,dora or --page-only; those below cannot be given twice
# PYTHON     a Python 3, to read JSON (default: python3)
# THREADS    threads (default: 2)
# WORK       where the results grow (default: bench/comparison/out). A run that was stopped goes on there: give the same
#            command again. Move results.jsonl away to begin anew
#
# FROM       results to begin with where WORK has none, such as cli/src/main/resources/dev/jotune/cli/comparison/results.jsonl, those
#            of the page (default: none). They must be of the same kind of machine
#
# The page is made of the results even if they are not whole. By estimate it takes half an hour on two quiet cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=${1:?give the folder of an encoder; the head of this script says more}
clinc=${2:?give the folder of CLINC150; the head of this script says more}
sst2=${3:?give a folder with train.tsv and dev.tsv; the head of this script says more}
shift 3
work=${WORK:-bench/comparison/out}
resources=cli/src/main/resources/dev/jotune/cli/comparison
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT
"${PYTHON:-python3}" - "$clinc/data_small.json" "$texts" <<'EOF'
import json, sys
data = json.load(open(sys.argv[1], encoding="utf-8"))
for part in "train", "test":
    with open(f"{sys.argv[2]}/{part}.tsv", "w", encoding="utf-8") as out:
        out.writelines(f"{text}\t{label}\n" for text, label in data[part])
EOF
mkdir -p "$work"
if [[ -n ${FROM:-} && ! -e $work/results.jsonl ]]; then
    cp "$FROM" "$work/results.jsonl"
fi
compare() {
    ./jotune compare --model "$model" --data "clinc150=$texts/train.tsv,$texts/test.tsv" --data "sst2=$sst2/train.tsv,$sst2/dev.tsv" \
        --out "$work" --max-steps 40 --batch-size 32,16 --max-length 16,32 --search-steps 12 --rates 2e-3,1e-2,3e-2 --timed-steps 10 \
        --eval-examples 300 --seeds 1,2,3 --threads "${THREADS:-2}" --page docs/COMPARISON.md "$@"
}
compare "$@"
# METHODS.md reads them from there, once they are built in.
cp "$work/results.jsonl" "$resources/results.jsonl"
./jotune methods --markdown >docs/METHODS.md.new
mv docs/METHODS.md.new docs/METHODS.md
