#!/usr/bin/env bash
# Measures a CUDA device beside the vendor's library, in one run. Needs nothing but a driver: Java, all jars and the compiled kernels are in
# the folder that pack.sh made, which this script is in, or has beside it as "pack". Where NVRTC is (the toolkit has one, so has PyTorch),
# rows compile their kernels for the very chip.
#
#   bench/gpu/run.sh [ROWS]        default: all rows, the most important first; or names with commas, as in results.json
#
# OUT      where results go (default: bench/gpu/out): results.json, RESULTS.md, lines.jsonl, run.log, conformance.xml,
#          tests.xml, kernels.tar.gz.
#          Each row is there as soon as it was measured. A run that was stopped, by a signal too, goes on where it was when it is started
#          again: parts that are done and rows that were measured are left out, rows that failed are tried again. Results of one
#          pack stand in a folder of their own
# BUDGET   seconds for all of it (default 480); what does not fit is named
# DEVICE   cuda:0 by default; any that Jotune has, such as opencl:0 or cpu
# SIZES    full, or tiny: shows in a minute that everything works, on any device; its times say nothing. pack.sh uses asked: full, but
#          nothing is compared or timed, to learn which kernels are asked for
# PYTHON   a Python with PyTorch, and PEFT for whole steps (default: python3); without one the vendor's column stays empty
# PARTS    some of probe,compare,conformance,rows,ladder,sanitizer (default: all)
# SCRATCH  where the runtime is unpacked (default: a folder below TMPDIR, kept for the next run)
#
# It never changes the card's clocks or modes. Order: what is there; the kernels on few elements beside the emulator's errors; the
# conformance suite on the device; the rows, each compared with the CPU before it is timed; the rungs of both ladders; a checker under the
# JVM.
set -uo pipefail
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
pack=$here
[[ -d $pack/lib ]] || pack=$here/pack
[[ -d $pack/lib ]] || { echo "run.sh: there are no jars beside this script. Run bench/gpu/pack.sh first, on a machine with Maven and a JDK 25." >&2; exit 2; }
rows=${1:-all}
out=${OUT:-$here/out}
budget=${BUDGET:-480}
device=${DEVICE:-cuda:0}
sizes=${SIZES:-full}
python=${PYTHON:-python3}
parts=,${PARTS:-probe,compare,conformance,rows,ladder,sanitizer},
scratch=${SCRATCH:-${TMPDIR:-/tmp}/jotune-gpu-$(id -u)}
[[ $sizes == full || $sizes == tiny || $sizes == asked ]] || { echo "run.sh: there are no sizes '$sizes'. Say full or tiny." >&2; exit 2; }
mkdir -p "$out" || { echo "run.sh: results cannot be written to $out. Set OUT to a folder that can." >&2; exit 1; }
mkdir -p "$scratch" || { echo "run.sh: $scratch cannot be written. Set SCRATCH to a folder on a disk that may run programs." >&2; exit 1; }
out=$(cd "$out" && pwd -P)
made=$(cat "$pack"/lib/*.jar | cksum)
if [[ -e $out/pack.sum && $(< "$out/pack.sum") != "$made" ]]; then
    echo "run.sh: $out has the results of another pack. Set OUT to another folder, or remove that one." >&2
    exit 2
fi
echo "$made" > "$out/pack.sum"
mkdir -p "$out/done"
end=$(($(date +%s) + budget))
exec 3>&1 > >(tee -a "$out/run.log") 2>&1
log=$!
left() { echo $((end - $(date +%s))); }
has() { [[ $parts == *,$1,* && ! -e $out/done/$1 ]]; }
finished() { : > "$out/done/$1"; }
# A signal ends what is at work; the row that it was at has no line, so it is the next one's first.
child=
run() { # what a signal can end
    local code
    "$@" &
    child=$!
    wait "$child"
    code=$?
    child=
    return "$code"
}
stopped() {
    trap - TERM INT HUP
    echo "run.sh: stopped by a signal; what was measured is in $out. Start it again to go on."
    if [[ -n $child ]]; then
        kill -TERM "$child" 2>/dev/null
        wait "$child" 2>/dev/null
    fi
    exit 143
}
trap stopped TERM INT HUP
note() { echo "== $* ($(date +%T), $(left) s left) =="; }

unpack() { # NAME: an archive of the pack into a folder of that name in $scratch
    rm -rf "${scratch:?}/$1"
    mkdir -p "$scratch/$1"
    # Both archivers are everywhere; Python has them built in where they are not.
    tar -xf "$pack/$1".tar.* -C "$scratch/$1" ||
        "$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$pack/$1".tar.* "$scratch/$1"
}

# --- Java: one of version 25 on this machine, else the one that was packed.
java=
for home in "${JAVA_HOME:-}" "$(dirname "$(dirname "$(readlink -f "$(command -v java || echo /)")")")"; do
    if [[ -n $home && -x $home/bin/java ]] && grep -qs '^JAVA_VERSION="25[."]' "$home/release"; then java=$home/bin/java; break; fi
done
if [[ -z $java || -n ${PACKED_JAVA:-} ]]; then
    stamp=$scratch/runtime/.$(cksum < "$pack/runtime.sum" | cut -d' ' -f1)
    if [[ ! -e $stamp ]]; then
        unpack runtime ||
            { echo "run.sh: the runtime cannot be unpacked to $scratch. Make room there or set SCRATCH; it takes tar with xz, or a Python; or set JAVA_HOME to a JDK 25." >&2; exit 1; }
        : > "$stamp"
    fi
    java=$scratch/runtime/bin/java
fi
"$java" -version 2>&1 | head -n 1
"$java" -version 2>/dev/null || { echo "run.sh: $java does not run. If its disk may not run programs, set SCRATCH to a folder on one that may." >&2; exit 1; }

# --- What is there.
libs=() nvrtc=()
for folder in ${CUDA_HOME:+"$CUDA_HOME/lib64"} /usr/local/cuda/lib64 $("$python" - 2>/dev/null <<'PY'
import glob, sysconfig, os
for k in ("purelib", "platlib"):
    for f in glob.glob(os.path.join(sysconfig.get_path(k), "nvidia", "*", "lib")): print(f)
PY
); do
    for f in "$folder"/libnvrtc.so.1[23]; do [[ -e $f ]] && nvrtc+=("$f"); done
done
options=(--add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -XX:+UseCompactObjectHeaders -Xmx4g
    -Djava.io.tmpdir="$scratch" -Djotune.cache="$scratch/cache" -Djotune.root="$pack" ${JOTUNE_JAVA_OPTS:-})
classes="$pack/lib/*"
ahead=false
if compgen -G "$pack/ahead.tar.*" >/dev/null; then
    unpack ahead && classes+=":$scratch/ahead" && ahead=true
fi
# Some drivers' folders are not on the loader's path.
for f in /usr/local/nvidia/lib64/libcuda.so.1 /usr/lib/x86_64-linux-gnu/libcuda.so.1 /usr/lib64/libcuda.so.1 /usr/lib/wsl/lib/libcuda.so.1; do
    [[ -e $f ]] && libs+=("$(dirname "$f")")
done
[[ ${#libs[@]} -eq 0 ]] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(IFS=:; echo "${libs[*]}")"
# OpenCL: a driver without a loader or without its entry gets both.
icd=$(compgen -G '/usr/*/libnvidia-opencl.so.1' || compgen -G '/usr/*/*/libnvidia-opencl.so.1' || true)
if [[ -n $icd && -z ${OCL_ICD_VENDORS:-} ]] && ! compgen -G '/etc/OpenCL/vendors/*.icd' >/dev/null; then
    mkdir -p "$scratch/vendors"
    head -n 1 <<< "$icd" > "$scratch/vendors/nvidia.icd"
    export OCL_ICD_VENDORS=$scratch/vendors
fi
if ! ldconfig -p 2>/dev/null | grep -q 'libOpenCL.so.1' && [[ -e $pack/native/libOpenCL.so.1 ]]; then
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$pack/native"
fi
run_java() { # SECONDS CLASS ARGS...
    run timeout -k 5 "$1" "$java" "${options[@]}" -cp "$classes" "${@:2}"
}
answer() { # QUESTION ANSWER
    run_java 30 dev.jotune.jmh.gpu.Note "$out" question "$1" "$2"
}

if has probe; then
    note "what is there"
    smi=$(nvidia-smi --query-gpu=name,driver_version,memory.total,memory.free,clocks.sm,clocks.mem,temperature.gpu --format=csv,noheader 2>/dev/null | head -n 1)
    nvidia-smi 2>/dev/null || echo "no nvidia-smi, or no driver"
    run_java 30 dev.jotune.jmh.gpu.Note "$out" machine "device=${smi%%,*}" "driver=$(cut -d, -f2 <<< "$smi" | xargs)" "state=$smi" \
        "date=$(date -u +%F)" "nvcc=$(command -v nvcc || echo none)" \
        "python=$("$python" -c 'import sys, torch; print(sys.version.split()[0], "torch", torch.__version__)' 2>/dev/null || echo "no PyTorch")"
    answer "Which CUDA and OpenCL libraries lie here?" "$(ldconfig -p 2>/dev/null | grep -E 'libcuda\.so|libnvrtc\.so|libnvidia-opencl|libOpenCL\.so' | sed 's/.*=> //' |
        xargs echo "on the loader's path:") ; elsewhere: ${libs[*]:-} ${nvrtc[*]:-} $icd"
    # The driver keeps what it compiled; the probe wants to know what compiling takes.
    CUDA_CACHE_DISABLE=1 run_java 90 dev.jotune.jmh.gpu.Probe "$out" "$pack/probe" ${nvrtc[@]+"${nvrtc[@]}"}
    finished probe
fi

# A row that fails may spoil the device's context, so the program ends then and goes on anew with the others.
measure() { # FOLDER SIZES END ROWS PYTHON...
    local code
    for _ in $(seq 60); do
        run_java $((budget > 600 ? budget : 600)) dev.jotune.jmh.gpu.Measure "$device" "$@"
        code=$?
        [[ $code -ne 0 ]] || return 0
        if [[ $code -ne 3 && $code -ne 4 ]]; then
            # Ended without a word about the row at work: it is the first that has no line.
            run_java 30 dev.jotune.jmh.gpu.Note "$1" crashed "$4" "the JVM ended with code $code" || return 1
        fi
    done
}

if has compare && [[ $sizes == full ]]; then
    note "few elements, beside the emulator's errors"
    mkdir -p "$scratch/small"
    rm -f "$scratch/small"/*
    now=$(date +%s)
    measure "$scratch/small" tiny $((now + budget / 8)) all
    run_java 30 dev.jotune.jmh.gpu.Note "$out" compare "$scratch/small/results.json" "$pack/emulator.json"
    finished compare
fi

# Each in a JVM of its own: what one spoils does not spoil the other.
suite() { # NAME PATTERN SECONDS
    local kind=${device%%:*} log=$scratch/$1.txt code passed failed summary
    rm -rf "$scratch/reports"
    run timeout -k 5 "$3" "$java" "${options[@]}" "-Djotune.$kind.required=true" "-Djotune.$kind.real=true" -Djotune.cuda.ahead=$ahead -cp "$pack/tests/*:$classes" \
        org.junit.platform.console.ConsoleLauncher execute --select-package="dev.jotune.$kind" --include-classname="$2" --exclude-tag=heavy \
        --reports-dir="$scratch/reports" --details=testfeed --disable-banner --disable-ansi-colors > "$log" 2>&1
    code=$?
    passed=$(grep -c ' :: SUCCESSFUL$' "$log")
    failed=$(grep -c ' :: FAILED$' "$log")
    cp "$scratch"/reports/TEST-junit-jupiter.xml "$out/$1.xml" 2>/dev/null
    grep -A 3 ' :: FAILED$' "$log" | head -n 60
    summary="$passed passed, $failed failed$([[ $code -eq 124 || $code -eq 137 ]] && echo ", stopped after $3 s")"
    if [[ $((passed + failed)) -eq 0 ]]; then
        summary="no test ended (code $code$([[ $code -eq 124 || $code -eq 137 ]] && echo ", stopped after $3 s"); cuda and opencl have suites of their own)"
        tail -n 20 "$log"
    fi
    echo "$1: $summary"
    run_java 30 dev.jotune.jmh.gpu.Note "$out" machine "$1=$summary"
}
if has conformance; then
    note "conformance suite, then the other tests of this kind of device"
    share=$(($(left) / 9))
    suite conformance '.*ConformanceTest' $((share * 2))
    suite tests '.*\.(Cuda|OpenCl)(?!Conformance)[A-Za-z]*Test' "$share"
    finished conformance
fi

if has rows; then
    note "rows"
    peer=("$python" "$pack/torch_rows.py" --sizes "$sizes" --device "$([[ $device == cuda:* ]] && echo cuda || echo cpu)")
    "$python" -c 'import torch' 2>/dev/null || peer=()
    # What failed in an earlier run is tried again; of one run a failure stands.
    if grep -qs '"row".*"failed":' "$out/lines.jsonl"; then
        grep -v '"row".*"failed":' "$out/lines.jsonl" > "$out/lines.part"
        mv "$out/lines.part" "$out/lines.jsonl"
    fi
    # The last seconds are for the checker and for writing.
    measure "$out" "$sizes" $((end - (budget > 120 ? 40 : 5))) "$rows" ${peer[@]+"${peer[@]}"}
fi

if has ladder && [[ $device == cuda:* && $sizes != tiny ]]; then
    note "the ladders of products and of attention"
    for rung in portable plain mma-small mma-medium mma-large wgmma-128 wgmma-256 wgmma-pairs; do
        [[ $(left) -gt 25 ]] || break
        rm -rf "$scratch/rung"
        run_java 60 -Djotune.cuda.products=$rung dev.jotune.jmh.gpu.Measure "$device" "$scratch/rung" "$sizes" $((end - 20)) gemm_bf16
        run_java 30 dev.jotune.jmh.gpu.Note "$out" row "GEMM BF16, 8192 x 8192 x 8192, by the rung $rung alone?" "$scratch/rung/results.json" gemm_bf16
    done
    for rung in mma-medium mma-large wgmma-128 wgmma-256 wgmma-pairs; do
        [[ $(left) -gt 25 ]] || break
        rm -rf "$scratch/rung"
        run_java 60 -Djotune.cuda.products=$rung dev.jotune.jmh.gpu.Measure "$device" "$scratch/rung" "$sizes" $((end - 20)) gemm_tf32
        run_java 30 dev.jotune.jmh.gpu.Note "$out" row "GEMM F32 rounded to TF32, 8192 x 8192 x 8192, by the rung $rung alone?" "$scratch/rung/results.json" gemm_tf32
    done
    # The rung above these is what the rows themselves ran on.
    for rung in mma-large plain portable; do
        for row in attention_d128 attention_back_d128; do
            [[ $(left) -gt 25 ]] || break
            rm -rf "$scratch/rung"
            run_java 60 -Djotune.cuda.products=$rung dev.jotune.jmh.gpu.Measure "$device" "$scratch/rung" "$sizes" $((end - 20)) $row
            run_java 30 dev.jotune.jmh.gpu.Note "$out" row "$row, by the rung $rung alone?" "$scratch/rung/results.json" $row
        done
    done
fi

if has sanitizer; then
    sanitizer=$(command -v compute-sanitizer || compgen -G '/usr/local/cuda*/bin/compute-sanitizer' | head -n 1)
    if [[ -z $sanitizer ]]; then
        answer "Does compute-sanitizer work under the JVM?" "there is none on this machine"
    elif [[ $(left) -gt 10 ]]; then
        note "compute-sanitizer"
        for tool in memcheck racecheck; do
            words=$(timeout -k 5 "$(($(left) / 2 + 1))" "$sanitizer" --tool $tool "$java" "${options[@]}" -cp "$classes" dev.jotune.jmh.gpu.Faulty "$pack/probe" 2>&1 |
                grep -E '^=========' | grep -vE 'COMPUTE-SANITIZER' | head -n 3 | sed 's/^=* *//' | xargs -d '\n' echo)
            answer "Does compute-sanitizer ($tool) find a planted fault under the JVM?" "${words:-it says nothing}"
        done
    fi
fi

# What the device's compiler made, to be read elsewhere without a device.
[[ ! -d $scratch/cache ]] || tar -czf "$out/kernels.tar.gz" -C "$scratch" cache 2>/dev/null
run_java 30 dev.jotune.jmh.gpu.Note "$out" write
note "done: $out/RESULTS.md"
cat "$out/RESULTS.md"
# The log is whole when its writer has ended.
exec >&3 2>&3
wait "$log"
