#define GROUP 128
/* prelude-opencl.h */
/* prelude-common.h */
#define LD_in0(i) ld_bf16(in0, i)
#define LD4_in0(i) ld4_bf16(in0, i)
#define LD_out0(i) ld_bf16(out0, i)
#define LD4_out0(i) ld4_bf16(out0, i)
#define ST_out0(i, v) st_bf16(out0, i, v)
KERNEL_HEAD copy(GLB const u16* in0_base, i64 in0_offset, GLB u16* out0_base, i64 out0_offset, i64 rows, i64 n, i64 size1, i64 size2, i64 in0_step, i64 in0_stride0, i64 in0_stride1, i64 in0_stride2, i64 out0_step, i64 out0_stride0, i64 out0_stride1, i64 out0_stride2) {
    GLB const u16* in0 = in0_base + in0_offset;
    GLB u16* out0 = out0_base + out0_offset;
    for (i64 e = (i64)BIDX * GROUP + LID; e < rows * n; e += (i64)GRIDX * GROUP) {
        i64 rest = e / n;
        i64 at2 = rest % size2;
        rest /= size2;
        i64 at1 = rest % size1;
        rest /= size1;
        i64 at0 = rest;
        i64 from = e % n * in0_step + at2 * in0_stride2 + at1 * in0_stride1 + at0 * in0_stride0;
        i64 to = e % n * out0_step + at2 * out0_stride2 + at1 * out0_stride1 + at0 * out0_stride0;
        out0[to] = (u16)in0[from];
    }
}
