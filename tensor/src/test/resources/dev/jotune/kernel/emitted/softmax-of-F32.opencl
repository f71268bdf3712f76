#define GROUP 128
/* prelude-opencl.h */
/* prelude-common.h */
#define LD_in0(i) ld_f32(in0, i)
#define LD4_in0(i) ld4_f32(in0, i)
#define LD_out0(i) ld_f32(out0, i)
#define LD4_out0(i) ld4_f32(out0, i)
#define ST_out0(i, v) st_f32(out0, i, v)
#define ST4_out0(i, v) st4_f32(out0, i, v)
KERNEL_HEAD map(GLB const float* in0_base, i64 in0_offset, GLB float* out0_base, i64 out0_offset, i64 rows, i64 n, i64 size1, i64 in0_step, i64 in0_stride0, i64 in0_stride1, i64 out0_step, i64 out0_stride0, i64 out0_stride1) {
    GLB const float* in0 = in0_base + in0_offset;
    GLB float* out0 = out0_base + out0_offset;
    SHM real scratch[GROUP];
    for (i64 row = BIDX; row < rows; row += GRIDX) {
        i64 rest = row;
        i64 at1 = rest % size1;
        rest /= size1;
        i64 at0 = rest;
        i64 in0_row = 0 + at0 * in0_stride0 + at1 * in0_stride1;
        i64 out0_row = 0 + at0 * out0_stride0 + at1 * out0_stride1;
        real p1 = NEG_INF;
        for (i64 pos = LID; pos < n; pos += GROUP) {
            real v0 = LD(in0, in0_row + pos * in0_step);
            p1 = FMAX(p1, v0);
        }
        real v1 = GROUP_MAX(p1, scratch);
        real p4 = R(0.0);
        for (i64 pos = LID; pos < n; pos += GROUP) {
            real v0 = LD(in0, in0_row + pos * in0_step);
            real v2 = v0 - v1;
            real v3 = EXP(v2);
            p4 = p4 + v3;
        }
        real v4 = GROUP_SUM(p4, scratch);
        BARRIER();
        for (i64 pos = LID; pos < n; pos += GROUP) {
            real v0 = LD(in0, in0_row + pos * in0_step);
            real v2 = v0 - v1;
            real v3 = EXP(v2);
            real v5 = v3 / v4;
            ST(out0, out0_row + pos * out0_step, v5);
        }
    }
}
