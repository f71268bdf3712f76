#define GROUP 256
/* prelude-opencl.h */
/* prelude-common.h */
#define LD_parameter(i) ld_f32(parameter, i)
#define LD4_parameter(i) ld4_f32(parameter, i)
#define ST_parameter(i, v) st_f32(parameter, i, v)
#define ST4_parameter(i, v) st4_f32(parameter, i, v)
#define LD_gradient(i) ld_f32(gradient, i)
#define LD4_gradient(i) ld4_f32(gradient, i)
#define LD_first(i) ld_f32(first, i)
#define LD4_first(i) ld4_f32(first, i)
#define ST_first(i, v) st_f32(first, i, v)
#define ST4_first(i, v) st4_f32(first, i, v)
#define LD_second(i) ld_f32(second, i)
#define LD4_second(i) ld4_f32(second, i)
#define ST_second(i, v) st_f32(second, i, v)
#define ST4_second(i, v) st4_f32(second, i, v)
/*
 * One step of AdamW (arXiv 1711.05101) in place; what the step's number makes of the rates comes as arguments.
 *
 * An item an element. Moves 7 reals an element, 4 in and 3 out; as separate operations it would be 17.
 */
KERNEL_HEAD adamw(GLB float* parameter_base, i64 parameter_offset, GLB const float* gradient_base, i64 gradient_offset, GLB float* first_base, i64 first_offset, GLB float* second_base, i64 second_offset, i64 n, real keep, real rate, real root, real beta1, real rest1, real beta2, real rest2, real eps) {
    GLB float* parameter = parameter_base + parameter_offset;
    GLB const float* gradient = gradient_base + gradient_offset;
    GLB float* first = first_base + first_offset;
    GLB float* second = second_base + second_offset;
    for (i64 i = (i64)BIDX * GROUP + LID; i < n; i += (i64)GRIDX * GROUP) {
        real g = LD(gradient, i);
        real m = LD(first, i) * beta1 + g * rest1;
        real v = LD(second, i) * beta2 + g * g * rest2;
        ST(first, i, m);
        ST(second, i, v);
        ST(parameter, i, LD(parameter, i) * keep - m * rate / (SQRT(v) * root + eps));
    }
}
