/*
 * One step of AdamW (arXiv 1711.05101) in place; what the step's number makes of the rates comes as arguments.
 *
 * An item an element. Moves 7 reals an element, 4 in and 3 out; as separate operations it would be 17.
 */
KERNEL {
    for (i64 i = (i64)BIDX * GROUP + LID; i < n; i += (i64)GRIDX * GROUP) {
        real g = LD(gradient, i);
        real m = LD(first, i) * beta1 + g * rest1;
        real v = LD(second, i) * beta2 + g * g * rest2;
        ST(first, i, m);
        ST(second, i, v);
        ST(parameter, i, LD(parameter, i) * keep - m * rate / (SQRT(v) * root + eps));
    }
}
