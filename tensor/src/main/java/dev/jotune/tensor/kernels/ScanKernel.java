package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * The selective scan of Mamba (Gu and Dao, arXiv 2312.00752, equation 2 with the discretisation of section 3.3):
 * {@code h_t = exp(dt_t A) h_(t-1) + dt_t B_t x_t}, {@code y_t = C_t h_t + D x_t}, each of E channels having a state of
 * N numbers.
 */
public interface ScanKernel extends FusedKernel {
    /** Steps between two states that the forward pass keeps; the backward pass computes those between again. */
    int CHUNK = 32;

    /**
     * One scan. B batch, T time, E channels, N states; any strides.
     *
     * @param x {@code [B, T, E]}
     * @param dt step sizes, {@code [B, T, E]}
     * @param a {@code [E, N]}
     * @param b {@code [B, T, N]}
     * @param c {@code [B, T, N]}
     * @param d {@code [E]}
     * @param state the state before the first step, {@code [B, E, N]}
     */
    record Problem(Tensor x, Tensor dt, Tensor a, Tensor b, Tensor c, Tensor d, Tensor state) {}

    /** Where gradients go: dense, shaped like the member of {@link Problem} of the same name. Empty: not wanted. */
    record Targets(Optional<Tensor> x, Optional<Tensor> dt, Optional<Tensor> a, Optional<Tensor> b, Optional<Tensor> c,
            Optional<Tensor> d, Optional<Tensor> state) {}

    /** Whether {@link #forward} and {@link #backward} can run this problem; otherwise the definition runs. */
    default boolean supports(Problem problem) {
        return true;
    }

    /**
     * Fills the dense {@code out [B, T, E]} and {@code last [B, E, N]}, the state after the last step.
     *
     * @param kept filled with the states before steps 0, {@link #CHUNK}, 2 {@link #CHUNK}, ..: dense
     *     {@code [B, ceil(T / CHUNK), E, N]}; needed for {@link #backward}
     */
    void forward(Problem problem, Tensor out, Tensor last, Optional<Tensor> kept);

    /**
     * Fills the gradients that are wanted.
     *
     * @param kept what {@link #forward} left there
     * @param dOut gradient by out, {@code [B, T, E]}
     * @param dLast gradient by last, {@code [B, E, N]}
     */
    void backward(Problem problem, Tensor kept, Tensor dOut, Tensor dLast, Targets targets);
}
