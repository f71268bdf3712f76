package dev.jotune.kernels.x86.asm;

/** Vector instructions; the destination comes first, and {@code b} may be a register or memory. */
class VectorCode extends EvexCode {
    public final void vmovups(Vec d, Operand s) {
        emit(Evex.VMOVUPS_LOAD, d, null, s, 0);
    }

    public final void vmovups(Mem d, Vec s) {
        emit(Evex.VMOVUPS_STORE, s, null, d, 0);
    }

    public final void vmovaps(Vec d, Operand s) {
        emit(Evex.VMOVAPS_LOAD, d, null, s, 0);
    }

    public final void vmovaps(Mem d, Vec s) {
        emit(Evex.VMOVAPS_STORE, s, null, d, 0);
    }

    public final void vmovdqu32(Vec d, Operand s) {
        emit(Evex.VMOVDQU32_LOAD, d, null, s, 0);
    }

    public final void vmovdqu32(Mem d, Vec s) {
        emit(Evex.VMOVDQU32_STORE, s, null, d, 0);
    }

    public final void vmovdqu16(Vec d, Operand s) {
        emit(Evex.VMOVDQU16_LOAD, d, null, s, 0);
    }

    public final void vmovdqu16(Mem d, Vec s) {
        emit(Evex.VMOVDQU16_STORE, s, null, d, 0);
    }

    public final void vmovdqu8(Vec d, Operand s) {
        emit(Evex.VMOVDQU8_LOAD, d, null, s, 0);
    }

    public final void vmovdqu8(Mem d, Vec s) {
        emit(Evex.VMOVDQU8_STORE, s, null, d, 0);
    }

    /** Stores past the caches; the address must be aligned to the vector. */
    public final void vmovntps(Mem d, Vec s) {
        emit(Evex.VMOVNTPS, s, null, d, 0);
    }

    public final void vbroadcastss(Vec d, Operand s) {
        emit(Evex.VBROADCASTSS, d, null, s, 0);
    }

    public final void vpbroadcastd(Vec d, Operand s) {
        emit(Evex.VPBROADCASTD, d, null, s, 0);
    }

    public final void vpbroadcastw(Vec d, Operand s) {
        emit(Evex.VPBROADCASTW, d, null, s, 0);
    }

    public final void vpbroadcastb(Vec d, Operand s) {
        emit(Evex.VPBROADCASTB, d, null, s, 0);
    }

    public final void vcvtneps2bf16(Vec d, Operand s) {
        emit(Evex.VCVTNEPS2BF16, d, null, s, 0);
    }

    public final void vcvtdq2ps(Vec d, Operand s) {
        emit(Evex.VCVTDQ2PS, d, null, s, 0);
    }

    public final void vcvtps2dq(Vec d, Operand s) {
        emit(Evex.VCVTPS2DQ, d, null, s, 0);
    }

    public final void vcvtph2ps(Vec d, Operand s) {
        emit(Evex.VCVTPH2PS, d, null, s, 0);
    }

    public final void vpmovsxbd(Vec d, Operand s) {
        emit(Evex.VPMOVSXBD, d, null, s, 0);
    }

    public final void vpmovzxbd(Vec d, Operand s) {
        emit(Evex.VPMOVZXBD, d, null, s, 0);
    }

    public final void vpmovsxwd(Vec d, Operand s) {
        emit(Evex.VPMOVSXWD, d, null, s, 0);
    }

    public final void vpmovzxwd(Vec d, Operand s) {
        emit(Evex.VPMOVZXWD, d, null, s, 0);
    }

    /** {@code d += a * b}. */
    public final void vfmadd231ps(Vec d, Vec a, Operand b) {
        emit(Evex.VFMADD231PS, d, a, b, 0);
    }

    /** {@code d = d * a + b}. */
    public final void vfmadd213ps(Vec d, Vec a, Operand b) {
        emit(Evex.VFMADD213PS, d, a, b, 0);
    }

    /** {@code d -= a * b}. */
    public final void vfnmadd231ps(Vec d, Vec a, Operand b) {
        emit(Evex.VFNMADD231PS, d, a, b, 0);
    }

    public final void vaddps(Vec d, Vec a, Operand b) {
        emit(Evex.VADDPS, d, a, b, 0);
    }

    public final void vmulps(Vec d, Vec a, Operand b) {
        emit(Evex.VMULPS, d, a, b, 0);
    }

    public final void vsubps(Vec d, Vec a, Operand b) {
        emit(Evex.VSUBPS, d, a, b, 0);
    }

    public final void vdivps(Vec d, Vec a, Operand b) {
        emit(Evex.VDIVPS, d, a, b, 0);
    }

    public final void vmaxps(Vec d, Vec a, Operand b) {
        emit(Evex.VMAXPS, d, a, b, 0);
    }

    public final void vminps(Vec d, Vec a, Operand b) {
        emit(Evex.VMINPS, d, a, b, 0);
    }

    public final void vxorps(Vec d, Vec a, Operand b) {
        emit(Evex.VXORPS, d, a, b, 0);
    }

    public final void vandps(Vec d, Vec a, Operand b) {
        emit(Evex.VANDPS, d, a, b, 0);
    }

    /** Adds to each F32 of {@code d} two products of BF16 pairs, the odd one first; denormal numbers count as zero. */
    public final void vdpbf16ps(Vec d, Vec a, Operand b) {
        emit(Evex.VDPBF16PS, d, a, b, 0);
    }

    /** BF16 of {@code b} in the lower half, of {@code a} in the upper; ties to even. */
    public final void vcvtne2ps2bf16(Vec d, Vec a, Operand b) {
        emit(Evex.VCVTNE2PS2BF16, d, a, b, 0);
    }

    /** Adds to each int of {@code d} four products of unsigned bytes of {@code a} and signed bytes of {@code b}. */
    public final void vpdpbusd(Vec d, Vec a, Operand b) {
        emit(Evex.VPDPBUSD, d, a, b, 0);
    }

    /** As vpdpbusd, with saturation. */
    public final void vpdpbusds(Vec d, Vec a, Operand b) {
        emit(Evex.VPDPBUSDS, d, a, b, 0);
    }

    /** Adds to each int of {@code d} two products of signed 16-bit numbers. */
    public final void vpdpwssd(Vec d, Vec a, Operand b) {
        emit(Evex.VPDPWSSD, d, a, b, 0);
    }

    public final void vpxord(Vec d, Vec a, Operand b) {
        emit(Evex.VPXORD, d, a, b, 0);
    }

    public final void vpandd(Vec d, Vec a, Operand b) {
        emit(Evex.VPANDD, d, a, b, 0);
    }

    public final void vpord(Vec d, Vec a, Operand b) {
        emit(Evex.VPORD, d, a, b, 0);
    }

    public final void vpaddd(Vec d, Vec a, Operand b) {
        emit(Evex.VPADDD, d, a, b, 0);
    }

    public final void vpsubd(Vec d, Vec a, Operand b) {
        emit(Evex.VPSUBD, d, a, b, 0);
    }

    public final void vpsubb(Vec d, Vec a, Operand b) {
        emit(Evex.VPSUBB, d, a, b, 0);
    }

    public final void vpmulld(Vec d, Vec a, Operand b) {
        emit(Evex.VPMULLD, d, a, b, 0);
    }

    public final void vpmaxsd(Vec d, Vec a, Operand b) {
        emit(Evex.VPMAXSD, d, a, b, 0);
    }

    public final void vpminsd(Vec d, Vec a, Operand b) {
        emit(Evex.VPMINSD, d, a, b, 0);
    }

    /** Words of {@code b} at the places {@code a}. */
    public final void vpermw(Vec d, Vec a, Operand b) {
        emit(Evex.VPERMW, d, a, b, 0);
    }

    /** Words of {@code d} and {@code b} at the places {@code a}. */
    public final void vpermt2w(Vec d, Vec a, Operand b) {
        emit(Evex.VPERMT2W, d, a, b, 0);
    }

    /** Words of {@code a} and {@code b} at the places {@code d}. */
    public final void vpermi2w(Vec d, Vec a, Operand b) {
        emit(Evex.VPERMI2W, d, a, b, 0);
    }

    /** Bytes of {@code b} at the places {@code a}. */
    public final void vpermb(Vec d, Vec a, Operand b) {
        emit(Evex.VPERMB, d, a, b, 0);
    }

    /** Elements of {@code b} at the places {@code a}. */
    public final void vpermd(Vec d, Vec a, Operand b) {
        emit(Evex.VPERMD, d, a, b, 0);
    }

    /** Elements of {@code d} and {@code b} at the places {@code a}. */
    public final void vpermt2d(Vec d, Vec a, Operand b) {
        emit(Evex.VPERMT2D, d, a, b, 0);
    }

    public final void vpshufb(Vec d, Vec a, Operand b) {
        emit(Evex.VPSHUFB, d, a, b, 0);
    }

    public final void vpunpcklbw(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKLBW, d, a, b, 0);
    }

    public final void vpunpckhbw(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKHBW, d, a, b, 0);
    }

    public final void vpunpcklwd(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKLWD, d, a, b, 0);
    }

    public final void vpunpckhwd(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKHWD, d, a, b, 0);
    }

    public final void vpunpckldq(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKLDQ, d, a, b, 0);
    }

    public final void vpunpckhdq(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKHDQ, d, a, b, 0);
    }

    public final void vpunpcklqdq(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKLQDQ, d, a, b, 0);
    }

    public final void vpunpckhqdq(Vec d, Vec a, Operand b) {
        emit(Evex.VPUNPCKHQDQ, d, a, b, 0);
    }

    public final void vpmovdw(Operand d, Vec s) {
        emit(Evex.VPMOVDW, s, null, d, 0);
    }

    public final void vpmovdb(Operand d, Vec s) {
        emit(Evex.VPMOVDB, s, null, d, 0);
    }

    public final void vpmovsdb(Operand d, Vec s) {
        emit(Evex.VPMOVSDB, s, null, d, 0);
    }

    public final void vpslld(Vec d, Operand s, int bits) {
        emit(Evex.VPSLLD, null, d, s, bits);
    }

    public final void vpsrld(Vec d, Operand s, int bits) {
        emit(Evex.VPSRLD, null, d, s, bits);
    }

    public final void vpsrad(Vec d, Operand s, int bits) {
        emit(Evex.VPSRAD, null, d, s, bits);
    }

    /** Elements of {@code a} shifted right by as many bits as those of {@code b} say. */
    public final void vpsrlvd(Vec d, Vec a, Operand b) {
        emit(Evex.VPSRLVD, d, a, b, 0);
    }

    public final void vrndscaleps(Vec d, Operand s, int how) {
        emit(Evex.VRNDSCALEPS, d, null, s, how);
    }

    public final void vpternlogd(Vec d, Vec a, Operand b, int how) {
        emit(Evex.VPTERNLOGD, d, a, b, how);
    }

    public final void vshufi32x4(Vec d, Vec a, Operand b, int how) {
        emit(Evex.VSHUFI32X4, d, a, b, how);
    }

    public final void vshuff32x4(Vec d, Vec a, Operand b, int how) {
        emit(Evex.VSHUFF32X4, d, a, b, how);
    }

    public final void vinserti64x4(Vec d, Vec a, Operand b, int how) {
        emit(Evex.VINSERTI64X4, d, a, b, how);
    }

    public final void vextracti64x4(Operand d, Vec s, int part) {
        emit(Evex.VEXTRACTI64X4, s, null, d, part);
    }

    public final void vextracti32x4(Operand d, Vec s, int part) {
        emit(Evex.VEXTRACTI32X4, s, null, d, part);
    }
}
