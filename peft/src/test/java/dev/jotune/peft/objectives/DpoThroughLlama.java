package dev.jotune.peft.objectives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Example;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** One DPO step of a LoRA adapter on a Llama, as torch took it. */
record DpoThroughLlama(Path folder, CausalLm model, boolean wide) {
    private double tolerance(double want) {
        // The weights are F32 and computing was F64; what is stated holds for F32.
        return wide ? 2e-6 * Math.max(1, Math.abs(want)) : 1e-4 * Math.max(1, Math.abs(want));
    }

    private void close(String what, double[] got, double[] want) {
        assertThat(got).as(what).hasSameSizeAs(want);
        for (int i = 0; i < want.length; i++) {
            assertThat(got[i]).as("%s, element %d", what, i).isCloseTo(want[i], within(tolerance(want[i])));
        }
    }

    void check(boolean shared) {
        JsonNode json = Golden.json(folder.resolve("dpo_llama.json"));
        Path adapterFolder = Golden.folder("peft").resolve(json.get("adapter").asText());
        Adapter adapter = Adapters.load(model, Adapters.DEFAULT_NAME, adapterFolder);
        List<Example> pairs = pairs(json.get("prompt_tokens").asInt());
        double beta = json.get("beta").asDouble();
        Pass pass = model.seams().inference();
        List<List<Example>> groups = pairs.stream().map(e -> List.of(e, e.rejected().orElseThrow())).toList();
        compare(json, "policy", groups, shared, pass);
        compare(json, "reference", groups, shared, Preference.reference(model, List.of()));
        close("counts", Labelled.of(model, groups, shared, pass).counts().tensor().toDoubleArray(), both(json, "answer_tokens"));
        Preference dpo = new Preference(new PreferenceLoss.Dpo(beta, 0), shared, List.of());
        Var loss = dpo.loss(model, Batch.of(pairs, model.backend(), false), pass);
        assertThat(loss.item()).isCloseTo(json.get("loss").asDouble(), within(tolerance(1)));
        double[] losses = pairs.stream().mapToDouble(e -> dpo.loss(model, Batch.of(List.of(e), model.backend(), false), pass).item()).toArray();
        close("losses", losses, Golden.children(json.get("losses")).stream().mapToDouble(JsonNode::asDouble).toArray());
        List<Tensor> gradients = Gradients.of(loss, List.copyOf(adapter.trainables().values()));
        List<String> names = List.copyOf(adapter.trainables().keySet());
        List<String> recorded = Golden.open(folder.resolve("dpo_llama.safetensors")).names().stream().filter(n -> n.startsWith("grad/")).toList();
        assertThat(names.stream().map(n -> "grad/" + n)).containsExactlyInAnyOrderElementsOf(recorded);
        for (String name : recorded) {
            close(name, gradients.get(names.indexOf(name.substring("grad/".length()))).toDoubleArray(),
                    Golden.array(folder.resolve("dpo_llama.safetensors"), name).values());
        }
        adapter.detach();
    }

    private void compare(JsonNode json, String who, List<List<Example>> groups, boolean shared, Pass pass) {
        Labelled tokens = Labelled.of(model, groups, shared, pass);
        double[] sums = tokens.perText(tokens.logProbabilities(model, pass)).tensor().toDoubleArray();
        close(who, sums, both(json, who));
        if (who.equals("policy")) {
            double[] reference = both(json, "reference");
            double beta = json.get("beta").asDouble();
            double[] rewards = new double[sums.length];
            Arrays.setAll(rewards, i -> beta * (sums[i] - reference[i]));
            close("rewards", rewards, both(json, "rewards"));
        }
    }

    /** Chosen and rejected in turn, as pairs are numbered. */
    private static double[] both(JsonNode json, String name) {
        List<JsonNode> w = Golden.children(json.get(name + "_w"));
        List<JsonNode> l = Golden.children(json.get(name + "_l"));
        double[] out = new double[2 * w.size()];
        Arrays.setAll(out, i -> (i % 2 == 0 ? w : l).get(i / 2).asDouble());
        return out;
    }

    private List<Example> pairs(int prompt) {
        List<Example> chosen = texts("chosen", prompt);
        List<Example> rejected = texts("rejected", prompt);
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < chosen.size(); i++) {
            out.add(chosen.get(i).preferredTo(rejected.get(i)));
        }
        return out;
    }

    private List<Example> texts(String name, int prompt) {
        Path file = folder.resolve("dpo_llama.safetensors");
        Golden.LongArray ids = Golden.longArray(file, name);
        long[] mask = Golden.longArray(file, name + "_mask").values();
        int time = (int) ids.shape()[1];
        List<Example> out = new ArrayList<>();
        for (int b = 0; b < ids.shape()[0]; b++) {
            int from = b * time;
            int length = (int) Arrays.stream(mask, from, from + time).sum();
            int[] text = Arrays.stream(ids.values(), from, from + length).mapToInt(Math::toIntExact).toArray();
            int[] labels = text.clone();
            Arrays.fill(labels, 0, Math.min(prompt, length), Example.IGNORED);
            out.add(new Example(text, labels));
        }
        return out;
    }
}
