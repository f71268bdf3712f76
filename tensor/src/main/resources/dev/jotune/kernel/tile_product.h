    /*
     * Stands in a kernel's body and declares the item's `sum`: what it makes of the tile at row0, column0 of a b. a is read at
     * a_at + m a_row + k a_inner, for m < rows and k < inner, b as product.h says, for n < columns; what lies outside is 0. The body has
     * declared a_shared, real4[2 * BK * A_PITCH], and so b_shared; afterwards all items are done with both.
     */
    real4 zero = REAL4(R(0.0), R(0.0), R(0.0), R(0.0));
    real4 sum[TM][TN / 4];
    UNROLL
    for (int i = 0; i < TM; i++) {
        UNROLL
        for (int j = 0; j < TN / 4; j++) {
            sum[i][j] = zero;
        }
    }
#if VECTOR
    real4 a_next[A_FETCHES];
    real4 b_next[B_FETCHES];
#else
    real a_next[4 * A_FETCHES];
    real b_next[4 * B_FETCHES];
    int a_along = a_inner <= a_row;
    int b_along = B_NEAR_INNER;
#endif

    /* Round r fetches step r of the inner axis, multiplies step r - 1, then hands its own over. */
    int turn = 0;
    for (i64 step = 0; step < (i64)inner + BK; step += BK) {
        if (step < inner) {
            int k0 = (int)step;
#if VECTOR
            UNROLL
            for (int i = 0; i < A_FETCHES; i++) {
                int m = row0 + A_M(i);
                int k = k0 + A_K(i);
                a_next[i] = zero;
                if (m < rows && k < inner) {
                    a_next[i] = LD4(a, a_at + m * a_row + k * a_inner);
                }
            }
            UNROLL
            for (int i = 0; i < B_FETCHES; i++) {
                int n = column0 + B_N(i);
                int k = k0 + B_K(i);
                b_next[i] = zero;
                if (n < columns && k < inner) {
                    b_next[i] = B_FOUR(k, n);
                }
            }
#else
            UNROLL
            for (int i = 0; i < 4 * A_FETCHES; i++) {
                int m = row0 + A_M(i);
                int k = k0 + A_K(i);
                a_next[i] = m < rows && k < inner ? LD(a, a_at + m * a_row + k * a_inner) : R(0.0);
            }
            UNROLL
            for (int i = 0; i < 4 * B_FETCHES; i++) {
                int n = column0 + B_N(i);
                int k = k0 + B_K(i);
                b_next[i] = n < columns && k < inner ? B_ONE(k, n) : R(0.0);
            }
#endif
        }
        if (step > 0) {
            SHP const real4* a_from = a_shared + (1 - turn) * BK * A_PITCH;
            SHP const real4* b_from = b_shared + (1 - turn) * BK * B_PITCH;
            for (int k = 0; k < BK; k++) {
                real4 right[TN / 4];
                UNROLL
                for (int j = 0; j < TN / 4; j++) {
                    right[j] = b_from[k * B_PITCH + j * ITEMS_ACROSS + ACROSS];
                }
                UNROLL
                for (int i = 0; i < TM / 4; i++) {
                    real4 left = a_from[k * A_PITCH + i * ITEMS_DOWN + DOWN];
                    ROW(4 * i, left.x)
                    ROW(4 * i + 1, left.y)
                    ROW(4 * i + 2, left.z)
                    ROW(4 * i + 3, left.w)
                }
            }
        }
        if (step < inner) {
            SHP real* a_to = (SHP real*)(a_shared + turn * BK * A_PITCH);
            SHP real* b_to = (SHP real*)(b_shared + turn * BK * B_PITCH);
#if VECTOR
            UNROLL
            for (int i = 0; i < A_FETCHES; i++) {
                SHP real* to = a_to + A_K(i) * 4 * A_PITCH + A_M(i);
#if A_INNER
                to[0] = a_next[i].x;
                to[4 * A_PITCH] = a_next[i].y;
                to[8 * A_PITCH] = a_next[i].z;
                to[12 * A_PITCH] = a_next[i].w;
#else
                *(SHP real4*)to = a_next[i];
#endif
            }
            UNROLL
            for (int i = 0; i < B_FETCHES; i++) {
                SHP real* to = b_to + B_K(i) * 4 * B_PITCH + B_N(i);
#if B_INNER
                to[0] = b_next[i].x;
                to[4 * B_PITCH] = b_next[i].y;
                to[8 * B_PITCH] = b_next[i].z;
                to[12 * B_PITCH] = b_next[i].w;
#else
                *(SHP real4*)to = b_next[i];
#endif
            }
#else
            UNROLL
            for (int i = 0; i < 4 * A_FETCHES; i++) {
                a_to[A_K(i) * 4 * A_PITCH + A_M(i)] = a_next[i];
            }
            UNROLL
            for (int i = 0; i < 4 * B_FETCHES; i++) {
                b_to[B_K(i) * 4 * B_PITCH + B_N(i)] = b_next[i];
            }
#endif
        }
        BARRIER();
        turn = 1 - turn;
    }
