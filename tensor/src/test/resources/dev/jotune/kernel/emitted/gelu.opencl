#define GROUP 128
/* prelude-opencl.h */
/* prelude-common.h */
#define LD_in0(i) ld_bf16(in0, i)
#define LD4_in0(i) ld4_bf16(in0, i)
#define LD_out0(i) ld_f16(out0, i)
#define LD4_out0(i) ld4_f16(out0, i)
#define ST_out0(i, v) st_f16(out0, i, v)
KERNEL_HEAD map(GLB const u16* in0_base, i64 in0_offset, GLB f16* out0_base, i64 out0_offset, i64 rows, i64 n, i64 size1, i64 in0_step, i64 in0_stride0, i64 in0_stride1, i64 out0_step, i64 out0_stride0, i64 out0_stride1) {
    GLB const u16* in0 = in0_base + in0_offset;
    GLB f16* out0 = out0_base + out0_offset;
    for (i64 e = (i64)BIDX * GROUP + LID; e < rows * n; e += (i64)GRIDX * GROUP) {
        i64 row = e / n;
        i64 pos = e % n;
        i64 rest = row;
        i64 at1 = rest % size1;
        rest /= size1;
        i64 at0 = rest;
        i64 in0_row = 0 + at0 * in0_stride0 + at1 * in0_stride1;
        i64 out0_row = 0 + at0 * out0_stride0 + at1 * out0_stride1;
        real v0 = LD(in0, in0_row + pos * in0_step);
        real v1 = R(0.5);
        real v2 = v0 * v1;
        real v3 = R(0.70710677);
        real v4 = v0 * v3;
        real v5 = ERF(v4);
        real v6 = R(1.0);
        real v7 = v5 + v6;
        real v8 = v2 * v7;
        ST(out0, out0_row + pos * out0_step, v8);
    }
}
