#!/usr/bin/env bash
# Packs everything that run.sh needs into one folder, bench/gpu/pack (ignored by git), for a machine that has a GPU's driver and nothing else:
# a Java runtime linked from the modules that are used, the jars, JCuda's library for the driver alone, the tests of conformance, the
# kernels of the probe, all others that run.sh will ask for, the scripts, and what the emulator computes of each row. Fails if that is more
# than 40 MB.
#
#   bench/gpu/pack.sh          needs Maven, a JDK 25, g++ for the emulator, and nvcc for kernels: without either the machine needs NVRTC
#
# TO       another folder
# BUILT=1  take what a build left in target/ instead of building
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
to=${TO:-bench/gpu/pack}
most=$((40 * 1000 * 1000))
java=$(./jotune --java)
bin=$(dirname "$java")
[[ -x $bin/jlink ]] || { echo "pack.sh: $bin has no jlink, so it is not a whole JDK. Set JAVA_HOME to one of version 25." >&2; exit 1; }
if [[ -z ${BUILT:-} ]]; then
    mvn -q -B -Pgpu -pl jmh,kernels-cuda,kernels-opencl -am package -DskipTests
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$to"
mkdir -p "$to/lib" "$to/tests" "$to/probe" "$to/native"
to=$(cd "$to" && pwd)

# --- Jars. The benchmarks' own harness is not used there, nor are patterns of text and searches; of JCuda's libraries only the driver's.
cp jmh/target/lib/*.jar "$to/lib/"
rm -f "$to"/lib/{jmh-core,jopt-simple,commons-math3,lucene-core,hipparchus-core,hipparchus-optim}-*.jar
"$bin/jar" --create --file "$to/lib/jotune-jmh.jar" -C jmh/target/classes dev/jotune
for natives in "$to"/lib/jcuda-natives-*.jar; do
    mkdir -p "$work/natives"
    (cd "$work/natives" && "$bin/jar" --extract --file "$natives")
    find "$work/natives" -type f ! -name '*JCudaDriver*' -delete
    "$bin/jar" --create --file "$natives" -C "$work/natives" .
done
for module in tensor autograd kernels-cuda kernels-opencl; do
    "$bin/jar" --create --file "$to/tests/$module-tests.jar" -C "$module/target/test-classes" .
done
cp jmh/target/gpu/*.jar "$to/tests/"

# --- The runtime. Uncompressed modules make the smaller archive.
"$bin/jlink" --add-modules java.base,java.logging,java.xml,java.management,jdk.management,jdk.unsupported,jdk.incubator.vector,jdk.jfr,jdk.zipfs \
    --strip-debug --no-header-files --no-man-pages --vm=server --compress=zip-0 --output "$work/runtime"
archive() { # NAME FOLDER
    if command -v xz >/dev/null; then
        XZ_OPT=-T0 tar -cJf "$to/$1.tar.xz" -C "$2" .
    else
        tar -czf "$to/$1.tar.gz" -C "$2" .
    fi
}
archive runtime "$work/runtime"
sha256sum "$to"/runtime.tar.* | cut -d' ' -f1 > "$to/runtime.sum"

# --- The probe's kernels: machine code for two chips, and PTX of a version that older drivers load too.
nvcc=$(command -v nvcc || compgen -G '/usr/local/cuda*/bin/nvcc' | head -n 1 || true)
if [[ -n $nvcc ]]; then
    for arch in sm_80 sm_90a; do
        "$nvcc" -cubin -arch=$arch -o "$to/probe/probe-$arch.cubin" bench/gpu/probe.cu
    done
    "$nvcc" -ptx -arch=sm_80 -o "$work/80.ptx" bench/gpu/probe.cu
    "$nvcc" -ptx -arch=sm_90a -o "$work/90.ptx" bench/gpu/probe.cu
    sed 's/^\.version .*/.version 7.0/' "$work/80.ptx" > "$to/probe/probe-sm_80.ptx"
    sed 's/^\.version .*/.version 8.0/' "$work/90.ptx" > "$to/probe/probe-sm_90a.ptx"
fi
mkdir -p "$to/probe/embedded"
# Of those in the jar a few, which a digest's digits draw.
for file in kernels-cuda/src/main/resources/dev/jotune/cuda/ptx/0*.ptx.gz; do
    gzip -dc "$file" > "$to/probe/embedded/$(basename "$file" .gz)"
done

# --- A loader for OpenCL, for machines that have a driver of it and no loader; it needs the C library alone.
for loader in /usr/lib/x86_64-linux-gnu/libOpenCL.so.1; do
    [[ ! -e $loader ]] || cp -L "$loader" "$to/native/"
done
cp bench/gpu/{run.sh,torch_rows.py} "$to/"

# --- The rows at tiny sizes on the emulator: their errors are what a device's are compared with, and that they are there shows that the pack
# works. Then which kernels a device will be asked for: by the suites, which the emulator runs, and by rows and rungs at full size, which it
# only takes note of. They are packed compiled.
if command -v g++ >/dev/null; then
    emulator=$("$java" --enable-native-access=ALL-UNNAMED -Djotune.root="$PWD" -cp "$to/tests/*:$to/lib/*" dev.jotune.cuda.Emulation)
    emulated() { # NAME EMULATOR COMPILER: run.sh in the environment
        BUDGET=${EMULATED_SECONDS:-3600} PACKED_JAVA=1 PYTHON=none SCRATCH=$work/scratch-$1 OUT=$work/$1 JOTUNE_EMULATOR="units=132 $2" \
            JOTUNE_JAVA_OPTS="-Djotune.row.seconds=600 -Djotune.cuda.record=$work/texts -Djotune.cuda.library=$emulator/libcuda.so.1 -Djotune.cuda.nvrtc=$emulator/$3" \
            "$to/run.sh" > "$work/$1.log" 2>&1 || { tail -n 20 "$work/$1.log"; exit 1; }
        if grep '"failed":' "$work/$1.log"; then
            echo "pack.sh: these rows fail on the emulator, so they would on a device." >&2
            exit 1
        fi
    }
    PARTS=rows SIZES=tiny emulated tiny "" libnvrtc.so.13
    cp "$work/tiny/results.json" "$to/emulator.json"
    if [[ -n $nvcc ]]; then
        PARTS=conformance emulated suites "" libnvrtc.so.13
        for suite in conformance tests; do
            grep -q "^$suite: [1-9][0-9]* passed, 0 failed$" "$work/suites.log" ||
                { tail -n 40 "$work/suites.log" >&2; echo "pack.sh: the suite '$suite' does not pass on the emulator." >&2; exit 1; }
        done
        idle="idle=yes memory=80000000000 capability="
        PARTS=rows,ladder SIZES=asked emulated asked "${idle}90" libnvrtc.so.13
        # The jar has these already.
        for file in kernels-cuda/src/main/resources/dev/jotune/cuda/ptx/*.ptx.gz; do
            name=${file##*/}
            rm -f "$work"/texts/*/"${name%.ptx.gz}.cu"
        done
        kernels-cuda/ahead.sh "$work/texts" "$work/ahead"
        archive ahead "$work/ahead"
        # The rungs once more, without a compiler; that rows need none is a test of its own.
        PARTS=ladder SIZES=asked emulated alone "${idle}90" none
    fi
fi

size=$(find "$to" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')
du -ah --apparent-size "$to" | sort -h | tail -n 12
if [[ $size -gt $most ]]; then
    echo "pack.sh: $to has $size bytes, more than $most. Leave something out of it." >&2
    exit 1
fi
echo "pack.sh: $to is complete with $size bytes$(compgen -G "$to/ahead.tar.*" >/dev/null || echo "; the machine needs NVRTC, since no kernels could be compiled here"). Copy it to the machine and start $to/run.sh there."
