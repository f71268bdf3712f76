#!/usr/bin/env bash
# Proxy-tuning (arXiv 2401.08565) at small scale: three sizes of a tiny Llama, the smallest tuned, the others steered by it.
#
#   bench/proxy/run.sh [SEEDS]                    default seeds: 1,2,3
#
# For each seed: a town of its own (jotune pretrain --write-town), three models pretrained on its texts, each tuned with LoRA to
# answer the questions to half of its people, and all measured on the questions to the other half. Writes docs/PROXY.md.
#
# THREADS  threads (default: 2)
# WORK     where models and results go (default: target/proxy). What is there is not done again, and a run of training that was cut
#          off goes on from its last checkpoint: so the command may be stopped and given again.
# OUT      the page (default: docs/PROXY.md)
# JOTUNE   the command (default: ./jotune)
#
# Seeds given one after the other, or to several commands at once, end in the same page: the last command that names all of them
# writes it.
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=${1:-1,2,3}
threads=${THREADS:-2}
work=${WORK:-target/proxy}
out=${OUT:-docs/PROXY.md}
jotune=${JOTUNE:-./jotune}
sizes="small medium large"
# The settings, which the page repeats.
pretraining="--max-steps 1500"
declare -A rate=([small]=0.004 [medium]=0.003 [large]=0.002)
tuning="--method lora --r 8 --lora-alpha 16 --target-modules all-linear --max-steps 60 --batch-size 16 --learning-rate 0.003"
export JOTUNE_JAVA_OPTS=${JOTUNE_JAVA_OPTS:--Xmx1g}
mkdir -p "$work"

# A command with its words on the error stream in a file, shown if it fails.
quietly() {
    "$jotune" "$@" --threads "$threads" 2>"$log" || { cat "$log" >&2; exit 1; }
}

# measure NAME OPTIONS...: one line of jotune eval in a file, once.
measure() {
    local to=$of/results/$1
    shift
    [[ -s $to ]] && return
    quietly eval "$@" >"$to.part"
    mv "$to.part" "$to"
    echo "seed $seed, $(basename "$to"): $(cat "$to")" >&2
}

for seed in ${seeds//,/ }; do
    of=$work/$seed
    log=$of/log
    mkdir -p "$of/results"
    town=$of/town
    [[ -e $town/test.jsonl ]] || "$jotune" pretrain --write-town --town "$seed" --out "$town" 2>"$log" >&2
    for size in $sizes; do
        model=$of/$size
        tuned=$of/$size-tuned
        if [[ ! -e $model/config.json ]]; then
            echo "seed $seed, $size: pretraining" >&2
            quietly pretrain --size "$size" --town "$seed" --seed "$seed" --learning-rate "${rate[$size]}" $pretraining \
                --out "$model" --resume >&2
        fi
        if [[ ! -e $tuned/adapter_config.json ]]; then
            echo "seed $seed, $size: tuning" >&2
            quietly tune --model "$model" $tuning --seed "$seed" --data "$town/questions.jsonl" --out "$tuned" --resume >&2
        fi
        measure "facts.$size" --task choices --data "$town/facts.jsonl" --model "$model"
        for task in exact-match perplexity; do
            test=(--task "$task" --data "$town/test.jsonl" --model "$model")
            measure "$task.$size.base" "${test[@]}"
            measure "$task.$size.tuned" "${test[@]}" --adapter "$tuned"
            [[ $size == small ]] || measure "$task.$size.proxy" "${test[@]}" --member "anti=$of/small" \
                --member "expert=$of/small-tuned@anti" --lm "base + 1.0*(expert - anti)"
        done
    done
done
"$("$jotune" --java)" bench/proxy/Page.java "$work" "$seeds" "$threads" "$pretraining --learning-rate RATE" "$tuning" \
    "small ${rate[small]}, medium ${rate[medium]}, large ${rate[large]}" >"$out.part"
mv "$out.part" "$out"
cat "$out"
