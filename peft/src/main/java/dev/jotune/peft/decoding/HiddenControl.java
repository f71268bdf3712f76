package dev.jotune.peft.decoding;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is added to the states that every block of a decoder leaves, at the first positions of a text: its prompt's.
 *
 * @param shifts {@code [P, C]}, one a block
 */
public record HiddenControl(List<Var> shifts) {
    public HiddenControl {
        shifts = List.copyOf(shifts);
    }

    /** Nothing, at {@code positions} positions. */
    public static HiddenControl none(CausalLm model, int positions) {
        return new HiddenControl(blocks(model).stream().map(_ ->
                parameter(Tensor.zeros(model.backend(), model.computeType(), positions, model.hiddenSize()))).toList());
    }

    /** The taps of what blocks leave, first block first. */
    static List<String> blocks(CausalLm model) {
        return model.seams().taps().keySet().stream().filter(t -> t.matches("layers\\.\\d+")).toList();
    }

    private static Var parameter(Tensor t) {
        return Var.parameter(Scope.detach(t));
    }

    /** This and {@code step} times {@code directions}, {@code [P, C]} each. */
    public HiddenControl plus(double step, List<Tensor> directions) {
        List<Var> sums = new ArrayList<>();
        for (int i = 0; i < shifts.size(); i++) {
            Var by = Var.constant(directions.get(i));
            Var from = shifts.get(i);
            sums.add(parameter(Recording.off(() -> from.addScaled(by, step)).tensor()));
        }
        return new HiddenControl(sums);
    }

    /** {@code pass} with this in it. Only passes that read a text from its beginning may have it. */
    public Pass on(CausalLm model, Pass pass) {
        Map<String, Tap> taps = new LinkedHashMap<>();
        List<String> names = blocks(model);
        for (int i = 0; i < names.size(); i++) {
            Var shift = shifts.get(i);
            taps.put(names.get(i), (_, h, at) -> {
                long before = at.pass().before();
                return h.add(shift.pad(0, before, h.size(1) - before - shift.size(0)));
            });
        }
        return with(pass, taps);
    }

    private static Pass with(Pass pass, Map<String, Tap> taps) {
        if (!pass.isUniform()) {
            throw new IllegalArgumentException("the pass has rows under different adapters, and one text is to be read. Give a pass of one group.");
        }
        List<Hooks> hooks = new ArrayList<>(pass.groups().getFirst().hooks());
        hooks.add(Hooks.ofTaps("hidden control", taps));
        return pass.training() ? Pass.training(hooks, pass.seed(), pass.step()) : Pass.inference(hooks);
    }

    /** The states that every block leaves at the positions of a text, {@code [T, C]} each. */
    public static List<Var> states(CausalLm model, int[] text, Pass pass) {
        List<Var> seen = new ArrayList<>();
        Map<String, Tap> taps = new LinkedHashMap<>();
        blocks(model).forEach(name -> taps.put(name, (_, h, at) -> {
            seen.add(h.slice(1, at.pass().before(), h.size(1)).reshape(text.length, -1));
            return h;
        }));
        model.forward(DecoderInput.of(SuffixScore.row(model, text)), with(pass, taps), Optional.empty());
        return seen;
    }
}
