#!/usr/bin/env bash
# The CPU kernels and whole steps beside what a user would pick instead; writes bench/cpu/RESULTS.md.
#
#   bench/cpu/run.sh [quick|full] [PARTS]      default: full, all parts; PARTS is a list such as gemm,steps
#
# PYTHON   a Python with torch, transformers and peft (default: python3). To make one:
#            python3 -m venv venv && venv/bin/pip install torch transformers peft && PYTHON=venv/bin/python bench/cpu/run.sh
# OUT      where the page goes (default: bench/cpu/RESULTS.md); the log of every number lies beside it as results.jsonl
# LLAMA3, JLAMA   where llama3.java and Jlama lie, for decoding beside them; the head of decode.sh says what they are
# FORCE=1  measure on a machine that is not quiet; the page then says so
# KEEP=1   take what PARTS leave out from the log that lies there; the page then says when each part was measured
#
# One thread: our product and the BLAS peers take turns in one process. Two threads, and all of PyTorch: processes in
# turn, A B A B, never at once. Full takes 25 to 40 minutes on two quiet cores, quick about 5. docs/CPU.md says why it
# is done so.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-full}
parts=,${2:-machine,gemm,gemm2,attention,rows,steps,decode},
python=${PYTHON:-python3}
out=${OUT:-bench/cpu/RESULTS.md}
log=$(dirname "$out")/results.jsonl
case $mode in
    quick) launches=1 rounds=5 rows=8,512 pairs=1 steps=2 seconds=0.5 times=512 pairs2=1 pairs1=0 ;;
    full) launches=3 rounds=15 rows=8,512,2048 pairs=5 steps=3 seconds=1.0 times=128,512 pairs2=2 pairs1=1 ;;
    *) echo "run.sh: there is no mode '$mode'. Say quick or full." >&2; exit 2 ;;
esac
"$python" -c 'import torch, transformers, peft' || {
    echo "run.sh: $python has no torch, transformers and peft. Set PYTHON; the head of this script says how to make one." >&2
    exit 1
}
load=$(cut -d' ' -f1 /proc/loadavg || echo 0)
if [[ -z ${FORCE:-} ]] && awk "BEGIN { exit !($load > 0.7) }"; then
    echo "run.sh: the load of the last minute is $load, so others are at work and every ratio would be theirs." >&2
    echo "run.sh: wait until it is below 0.7, or set FORCE=1: the page will then say that the machine was not quiet." >&2
    exit 1
fi

java=$(./jotune --java)
mvn -q -B -pl jmh -am package -DskipTests
[[ -d jmh/target/peers ]] || mvn -q -B -Ppeers -pl jmh -am generate-resources
began=$(date '+%F %H:%M')
if [[ -n ${KEEP:-} && -f $log ]]; then
    "$python" bench/cpu/others.py "$log" "$parts"
else
    : > "$log"
fi
# Peers choose their code by the processor. What a machine's environment tells them otherwise would hold them back.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE MKL_ENABLE_INSTRUCTIONS MKL_CBWR MKL_DYNAMIC ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA ATEN_CPU_CAPABILITY \
    OMP_NUM_THREADS KMP_BLOCKTIME KMP_AFFINITY

has() { # PART: whether it is wanted; what is kept from then on is part of it
    part=$1
    [[ $parts == *,$1,* ]]
}
errors=$(mktemp)
# Tensors lie outside the JVM's heap, which therefore gets 512 MB instead of a quarter of the machine.
jvm() { # THREADS EXTENSIONS MAIN ARGS...
    local threads=$1 extensions=$2
    shift 2
    "$java" -Xmx512m -XX:+UseSerialGC -XX:+UseCompactObjectHeaders --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
        -Djotune.threads="$threads" -Djotune.extensions="$extensions" -cp "jmh/target/classes:jmh/target/lib/*" "$@" 2>"$errors" ||
        { echo "run.sh: this failed and is missing from the page: $*" >&2; tail -n 5 "$errors" >&2; }
}
torch() { # SCRIPT ARGS...
    "$python" "bench/$1" "${@:2}" 2>"$errors" || { echo "run.sh: this failed and is missing from the page: $*" >&2; tail -n 5 "$errors" >&2; }
}
keep() { # FIELDS: adds them to every line of standard input, shows and logs it
    sed -n "s/^{/{\"part\": \"$part\", \"run\": \"$began\", $1, /p" | tee -a "$log" | cut -c1-160 >&2
}
note() { echo "== $* ($(date +%T)) ==" >&2; }

if has machine; then
    note machine
    jvm 2 on dev.jotune.jmh.cpu.Machine 2 | keep '"launch": 0'
fi
if has gemm; then
    for i in $(seq "$launches"); do
        note "products, one thread, launch $i"
        MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 jvm 1 off dev.jotune.jmh.cpu.GemmPairs jotune,mkl,openblas "$rows" "$rounds" |
            keep "\"launch\": $i, \"extensions\": false"
        MKL_NUM_THREADS=1 jvm 1 on dev.jotune.jmh.cpu.GemmPairs jotune,mkl "$rows" "$rounds" | keep "\"launch\": $i, \"extensions\": true"
        torch cpu/gemm_torch.py --rows "$rows" --rounds "$rounds" --threads 1 | keep "\"launch\": $i"
    done
fi
if has gemm2; then
    for i in $(seq "$pairs"); do
        note "products, two threads, pair $i"
        MKL_NUM_THREADS=2 jvm 2 on dev.jotune.jmh.cpu.GemmPairs mkl 512 3 | keep "\"launch\": $i"
        for extensions in off on; do
            jvm 2 $extensions dev.jotune.jmh.cpu.GemmPairs jotune 512 3 |
                keep "\"launch\": $i, \"extensions\": $([[ $extensions == on ]] && echo true || echo false)"
        done
    done
fi
if has attention; then
    for i in $(seq "$launches"); do
        for threads in 1 2; do
            note "attention, $threads threads, launch $i"
            jvm $threads on dev.jotune.jmh.AttentionRun gpt2 "$times" "$seconds" | keep "\"bench\": \"attention\", \"launch\": $i"
            torch cpu/attention_torch.py --cases gpt2 --times "$times" --threads $threads --seconds "$seconds" |
                keep "\"bench\": \"attention\", \"launch\": $i"
        done
    done
fi
if has rows; then
    rowcases=layer_norm,rms_norm,softmax,gelu_tanh,gelu_erf,silu,exp
    for i in $(seq "$launches"); do
        note "row kernels, launch $i"
        jvm 1 on dev.jotune.jmh.RowSpeed "$rowcases" 128x768 "$seconds" | keep "\"bench\": \"rows\", \"threads\": 1, \"launch\": $i"
        torch cpu/rows_torch.py --cases "$rowcases" --sizes 128x768 --seconds "$seconds" | keep "\"bench\": \"rows\", \"threads\": 1, \"launch\": $i"
    done
fi
if has steps; then
    # One thread has a pair less: its steps take twice as long and say the same.
    for threads in 2 1; do
        for i in $(seq "$([[ $threads == 2 ]] && echo "$pairs2" || echo "$pairs1")"); do
            for type in F32 BF16; do
                cases=lora_step,prefix_step,prefill
                [[ $type == F32 ]] && cases=$cases,full_step,bert_lora_step
                note "steps, $type, $threads threads, pair $i"
                jvm $threads on dev.jotune.jmh.Steps "$cases" "$steps" 4 128 "$type" |
                    keep "\"bench\": \"steps\", \"threads\": $threads, \"launch\": $i"
                torch peer_torch.py --cases "$cases" --threads $threads --steps "$steps" \
                    --dtype "$([[ $type == F32 ]] && echo float32 || echo bfloat16)" | keep "\"bench\": \"steps\", \"launch\": $i"
            done
        done
    done
fi
if has decode; then
    for threads in 2 1; do
        note "decode, $threads threads"
        THREADS=$threads WORK=${WORK:-jmh/target/decode} RUNS=3 PYTHON=$python CLASSES="jmh/target/classes:jmh/target/lib/*" \
            bench/cpu/decode.sh $((launches > 1 ? 2 : 1)) 64 2>"$errors" | keep '"bench": "decode"' || cat "$errors" >&2
    done
fi
"$python" bench/cpu/report.py "$log" "$mode" > "$out"
echo "wrote $out" >&2
