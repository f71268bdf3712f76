package dev.jotune.peft;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.StreamSupport;

/** When two fields of {@code adapter_config.json} mean the same. */
final class ConfigFields {
    /** Fields that say where an adapter is from, not what it computes. */
    private static final Set<String> ORIGIN = Set.of("base_model_name_or_path", "peft_version", "auto_mapping", "revision",
            "megatron_core", "qalora_group_size", "use_qalora", "eva_config", "corda_config", "lora_ga_config", "loftq_config");

    private ConfigFields() {}

    /** A number or text stands for a list of one, null for an empty list or map; lists of module names have no order. */
    static boolean same(JsonNode ours, JsonNode theirs) {
        if (isEmpty(ours) && isEmpty(theirs)) {
            return true;
        }
        if (ours.isNumber() && theirs.isNumber()) {
            return ours.doubleValue() == theirs.doubleValue();
        }
        if (ours.isObject() && theirs.isObject()) {
            return names(ours).equals(names(theirs)) && names(ours).stream().allMatch(n -> same(ours.get(n), theirs.get(n)));
        }
        if (ours.isArray() || theirs.isArray()) {
            return members(ours).equals(members(theirs));
        }
        return ours.equals(theirs);
    }

    private static Set<String> names(JsonNode n) {
        Set<String> out = new TreeSet<>();
        n.fieldNames().forEachRemaining(out::add);
        return out;
    }

    private static Set<String> members(JsonNode n) {
        List<JsonNode> list = n.isArray() ? StreamSupport.stream(n.spliterator(), false).toList() : List.of(n);
        return new TreeSet<>(list.stream().map(JsonNode::toString).toList());
    }

    private static boolean isEmpty(JsonNode n) {
        return n.isNull() || n.isContainerNode() && n.isEmpty();
    }

    /** Whether Jotune may leave out a field that PEFT wrote: PEFT then takes its default, which means the same. */
    static boolean mayBeDropped(String field, JsonNode value) {
        return ORIGIN.contains(field) || isEmpty(value) || value.isBoolean() && !value.booleanValue();
    }
}
