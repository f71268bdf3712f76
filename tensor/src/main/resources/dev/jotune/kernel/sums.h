/* A sum with what rounding took from it (Knuth's two-sum): as exact as one rounding of the true sum, however long. */
FN real ADD_WITH_LOSS(real a, real b, real* lost) {
    real sum = a + b;
    real part = sum - a;
    real loss = (a - (sum - part)) + (b - part);
    /* Beyond the range the loss is infinity less infinity. */
    *lost += loss == loss ? loss : R(0.0);
    return sum;
}
