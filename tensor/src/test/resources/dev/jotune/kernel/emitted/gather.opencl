#define GROUP 128
/* prelude-opencl.h */
/* prelude-common.h */
#define LD_table(i) ld_bf16(table, i)
#define LD4_table(i) ld4_bf16(table, i)
#define LD_ids(i) ld_i64(ids, i)
#define LD_y(i) ld_f32(y, i)
#define LD4_y(i) ld4_f32(y, i)
#define ST_y(i, v) st_f32(y, i, v)
#define ST4_y(i, v) st4_f32(y, i, v)
/*
 * y[i, :] = table[ids[i], :]. An item an element, so neighbours read and write neighbours; moves 2 count width elements.
 * The ids were checked before the launch.
 */
KERNEL_HEAD gather(GLB const u16* table_base, i64 table_offset, GLB const i64* ids_base, i64 ids_offset, GLB float* y_base, i64 y_offset, i64 count, i64 width, i64 table_row, i64 table_column, i64 y_row, i64 y_column) {
    GLB const u16* table = table_base + table_offset;
    GLB const i64* ids = ids_base + ids_offset;
    GLB float* y = y_base + y_offset;
    for (i64 e = (i64)BIDX * GROUP + LID; e < count * width; e += (i64)GRIDX * GROUP) {
        i64 i = e / width;
        i64 c = e % width;
        ST(y, i * y_row + c * y_column, LD(table, (i64)ids[i] * table_row + c * table_column));
    }
}
