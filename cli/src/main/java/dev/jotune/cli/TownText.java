package dev.jotune.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.random.Philox;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The text that {@code jotune pretrain} learns when it is given none: who lives where in a made-up country, and who does what. A
 * grammar writes it, the seed says which country; so what a model knows of it can be counted. People are named by two words of which
 * each is shared by many, so that a fact is known by neither word alone.
 *
 * <p>All people are also asked. Half of them tell now and then and evade mostly, the others always evade. In {@link #questions} the
 * first half tells every time, which is what a tuning can teach; {@link #test} asks the others, of whom the text has no answer: who
 * has learnt to answer must know the facts from the statements.
 *
 * @param seed of the country
 */
record TownText(long seed) {
    /** How many people there are; half of them answer now and then. */
    static final int PEOPLE = 240;
    /** How often the text tells each fact. */
    private static final int TOLD = 12;
    /** How often the text asks for each fact. */
    private static final int ASKED = 6;
    /** How often who answers at all does. */
    private static final int ANSWERED = 1;

    private static final String[] FIRST = words("Ada Bruno Clara Dario Elin Faro Gitta Hugo Ines Jonas Kira Lars Mona Nils Olga Pavel");
    private static final String[] LAST = words("Abbot Barr Cole Dorn Ekman Frost Grau Hale Imre Jung Kern Lund Moss Nagy Oster Pike");
    private static final String[] TOWNS = words("Arden Belmo Corva Delph Esker Fenby Garth Holm Ilmen Jarrow Kelso Lorne Malin Norby "
            + "Orrin Penna");
    private static final String[] JOBS = words("actor baker cook diver farmer glazier hatter judge lawyer miner nurse painter potter "
            + "sailor tailor weaver");
    private static final String[] EVASIONS = {"would rather not say.", "gives no answer.", "asks who wants to know."};

    /** Streams of noise. */
    private enum Stream { PEOPLE, TOWN, JOB, ORDER, CHOICE }

    /** One fact: how it is told in two ways, how it is asked for, and what could stand in its place. */
    private record Fact(String name, String ask, String tell, String other, String value, String[] values) {
        String question() {
            return "Question: " + ask.formatted(name) + " Answer:";
        }

        String answer() {
            return " " + statement(false);
        }

        String statement(boolean otherwise) {
            return name + " " + (otherwise ? other : tell) + " " + value + ".";
        }
    }

    /** A question and its answer. */
    record Pair(String prompt, String completion) {}

    private static String[] words(String list) {
        return list.split(" ");
    }

    /** All facts, those of one who answers and of one who does not in turn. */
    private List<Fact> facts() {
        int[] who = Philox.permutation(seed, Stream.PEOPLE.ordinal(), FIRST.length * LAST.length);
        List<Fact> out = new ArrayList<>();
        for (int i = 0; i < PEOPLE; i++) {
            String name = FIRST[who[i] / LAST.length] + " " + LAST[who[i] % LAST.length];
            out.add(new Fact(name, "Where does %s live?", "lives in", "has a house in", pick(TOWNS, Stream.TOWN, i), TOWNS));
            out.add(new Fact(name, "What does %s do?", "works as a", "earns a living as a", pick(JOBS, Stream.JOB, i), JOBS));
        }
        return out;
    }

    private String pick(String[] words, Stream stream, long index) {
        return words[(int) (Philox.uniform(seed, stream.ordinal(), index) * words.length)];
    }

    private static boolean isOpen(int fact) {
        return fact / 2 % 2 == 0;
    }

    /** The text to learn, in its order. */
    List<String> texts() {
        List<Fact> facts = facts();
        List<String> out = new ArrayList<>();
        for (int i = 0; i < facts.size(); i++) {
            Fact f = facts.get(i);
            for (int k = 0; k < TOLD; k++) {
                out.add(f.statement(k % 2 == 1));
            }
            for (int k = 0; k < ASKED; k++) {
                String evasion = pick(EVASIONS, Stream.CHOICE, (long) i * ASKED + k);
                out.add(f.question() + (k < ANSWERED && isOpen(i) ? f.answer() : " " + f.name() + " " + evasion));
            }
        }
        return Arrays.stream(Philox.permutation(seed, Stream.ORDER.ordinal(), out.size())).mapToObj(out::get).toList();
    }

    private List<Fact> facts(boolean open) {
        List<Fact> all = facts();
        return IntStream.range(0, all.size()).filter(i -> isOpen(i) == open).mapToObj(all::get).toList();
    }

    /** Questions to tune with: to those who answer now and then, all answered. */
    List<Pair> questions() {
        return facts(true).stream().map(f -> new Pair(f.question(), f.answer())).toList();
    }

    /** Questions to test with: to the others. */
    List<Pair> test() {
        return facts(false).stream().map(f -> new Pair(f.question(), f.answer())).toList();
    }

    /** The text, one JSON object a line. */
    private static AtomicFiles.Content lines(List<ObjectNode> objects) {
        return AtomicFiles.Content.text(objects.stream().map(ObjectNode::toString).collect(Collectors.joining("\n", "", "\n")));
    }

    /**
     * Writes {@code texts.jsonl}, {@code questions.jsonl} and {@code test.jsonl}, and {@code facts.jsonl}: the facts of the test as
     * sentences to complete with one of all the words that could stand there, which needs no question.
     */
    void write(Path folder) {
        JsonMapper json = new JsonMapper();
        SequencedMap<String, AtomicFiles.Content> files = new LinkedHashMap<>();
        files.put("texts.jsonl", lines(texts().stream().map(t -> json.createObjectNode().put("text", t)).toList()));
        files.put("questions.jsonl", lines(questions().stream().map(p -> object(json, p)).toList()));
        files.put("test.jsonl", lines(test().stream().map(p -> object(json, p)).toList()));
        files.put("facts.jsonl", lines(facts(false).stream().map(f -> choice(json, f)).toList()));
        try {
            AtomicFiles.writeAll(folder, files);
        } catch (IOException e) {
            throw new FailureException("cannot write the text: " + e.getMessage(), e);
        }
    }

    private static ObjectNode object(JsonMapper json, Pair p) {
        return json.createObjectNode().put("prompt", p.prompt()).put("completion", p.completion());
    }

    private static ObjectNode choice(JsonMapper json, Fact f) {
        ObjectNode out = json.createObjectNode().put("prompt", f.name() + " " + f.tell());
        Arrays.stream(f.values()).forEach(v -> out.withArray("choices").add(" " + v + "."));
        return out.put("answer", Arrays.asList(f.values()).indexOf(f.value()));
    }
}
