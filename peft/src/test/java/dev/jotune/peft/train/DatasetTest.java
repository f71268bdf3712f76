package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.Models;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reading texts, labels, batches and the order of examples. */
class DatasetTest {
    private static Tokenizer tokenizer;
    private static GenerationDefaults special;

    @TempDir
    private Path folder;

    @BeforeAll
    static void load() {
        Models.Loaded loaded = Models.embedded(Backends.cpu(), DType.F32);
        tokenizer = loaded.requireTokenizer();
        special = loaded.generation();
    }

    private Path file(String text) throws IOException {
        return Files.writeString(folder.resolve("data.jsonl"), text);
    }

    private Dataset read(String text, int maxLength) throws IOException {
        return Dataset.readJsonl(file(text), tokenizer, special, maxLength);
    }

    private void refused(String text, String... says) throws IOException {
        Path data = file(text);
        assertThatThrownBy(() -> Dataset.readJsonl(data, tokenizer, special, 0)).isInstanceOf(AdapterException.class)
                .hasMessageContainingAll(says).hasMessageContaining("data.jsonl");
    }

    @Test
    void aTextIsLearntFromItsSecondTokenToItsEnd() throws IOException {
        Example e = read("\uFEFF{\"text\": \"Once upon a time\", \"id\": 7}\n\n", 0).get(0);
        assertThat(e.ids()[0]).isEqualTo(special.bosTokenId());
        assertThat(e.ids()[e.length() - 1]).isEqualTo(special.eosTokenIds()[0]);
        assertThat(tokenizer.decode(e.ids(), true)).isEqualTo("Once upon a time");
        assertThat(e.labels()[0]).isEqualTo(Example.IGNORED);
        assertThat(Arrays.copyOfRange(e.labels(), 1, e.length())).isEqualTo(Arrays.copyOfRange(e.ids(), 1, e.length()));
        assertThat(e.labelCount(true)).isEqualTo(e.labelCount(false)).isEqualTo(e.length() - 1);
    }

    @Test
    void ofAPromptAndItsCompletionOnlyTheCompletionIsLearnt() throws IOException {
        Example e = read("{\"prompt\": \"Lily saw a\", \"completion\": \" big dog.\"}", 0).get(0);
        assertThat(tokenizer.decode(e.ids(), true)).isEqualTo("Lily saw a big dog.");
        int[] learnt = Arrays.stream(e.labels()).filter(l -> l != Example.IGNORED).toArray();
        assertThat(tokenizer.decode(learnt, true).strip()).isEqualTo("big dog.");
        assertThat(learnt).endsWith(special.eosTokenIds()[0]);
        // The given part is what generation reads: the very ids of the prompt.
        int[] prompt = tokenizer.encode("Lily saw a", true).ids();
        assertThat(e.ids()).startsWith(prompt);
        assertThat(e.labelCount(false)).isEqualTo(e.length() - prompt.length);
    }

    @Test
    void aTokenAcrossTheBorderBelongsToTheCompletion() throws IOException {
        Example e = read("{\"prompt\": \"Once up\", \"completion\": \"on a time\"}", 0).get(0);
        assertThat(e.ids()).isEqualTo(Dataset.ofTexts(List.of("Once upon a time"), tokenizer, special, 0).get(0).ids());
        int[] learnt = Arrays.stream(e.labels()).filter(l -> l != Example.IGNORED).toArray();
        assertThat(tokenizer.decode(learnt, true)).contains("on").endsWith("a time");
    }

    @Test
    void whatIsTooLongLosesItsEndAndIsCounted() throws IOException {
        Dataset d = read("{\"text\": \"Once upon a time there was a cat.\"}\n{\"text\": \"Hi\"}", 5);
        assertThat(d.size()).isEqualTo(2);
        assertThat(d.cut()).isEqualTo(1);
        assertThat(d.get(0).length()).isEqualTo(5);
        assertThat(d.get(0).ids()).doesNotContain(special.eosTokenIds()[0]);
        assertThat(d.cutTo(2).cut()).isEqualTo(3);
        assertThat(d.cutTo(5)).isSameAs(d);
    }

    @Test
    void badLinesAreNamed() throws IOException {
        String good = "{\"text\": \"a\"}\n";
        refused(good + "{\"text\": 5}", "line 2", "\"text\" holds 5");
        refused(good + good + "{\"text\": ", "line 3", "not valid JSON");
        refused("[1]", "line 1", "no JSON object");
        refused("{\"text\": \"a\", \"text\": \"b\"}", "line 1", "not valid JSON");
        refused("{\"text\": \"a\"} {}", "line 1", "not valid JSON");
        refused("{\"prompt\": \"a\"}", "line 1", "\"completion\" is missing");
        refused("{\"txt\": \"a\"}", "line 1", "needs either");
        refused("{\"text\": \"a\", \"prompt\": \"b\", \"completion\": \"c\"}", "line 1", "needs either");
        refused("\n \n", "holds no example");
        Files.write(folder.resolve("data.jsonl"), new byte[] {'{', (byte) 0xC3, '(', '}'});
        assertThatThrownBy(() -> Dataset.readJsonl(folder.resolve("data.jsonl"), tokenizer, special, 0))
                .isInstanceOf(AdapterException.class).hasMessageContaining("not UTF-8");
        assertThatThrownBy(() -> Dataset.readJsonl(folder.resolve("no.jsonl"), tokenizer, special, 0))
                .isInstanceOf(AdapterException.class).hasMessageContaining("there is no file")
                .hasMessageContaining("no.jsonl");
    }

    @Test
    void everyEpochHasAllExamplesInAnotherOrder() {
        Dataset d = TinyModel.texts(50);
        List<List<Example>> epochs = new ArrayList<>();
        for (int e = 0; e < 3; e++) {
            List<Example> epoch = d.stream(3, 50L * e, 50);
            Set<Example> distinct = Collections.newSetFromMap(new IdentityHashMap<>());
            distinct.addAll(epoch);
            assertThat(distinct).hasSize(50);
            epochs.add(epoch);
        }
        assertThat(epochs.get(1)).isNotEqualTo(epochs.get(0)).isNotEqualTo(epochs.get(2));
        // The stream may be entered anywhere.
        assertThat(d.stream(3, 48, 4)).containsExactly(epochs.get(0).get(48), epochs.get(0).get(49),
                epochs.get(1).get(0),
                epochs.get(1).get(1));
        assertThat(d.stream(4, 0, 50)).isNotEqualTo(epochs.get(0));
    }

    @Test
    void batchesArePaddedOnTheRight() {
        Example two = new Example(new int[] {5, 6}, new int[] {5, 6});
        Example three = new Example(new int[] {7, 8, 9}, new int[] {-100, -100, 9});
        Batch b = Batch.of(List.of(two, three), Backends.cpu(), false);
        assertThat(b.ids().toLongArray()).containsExactly(5, 6, 0, 7, 8, 9);
        assertThat(b.mask().toLongArray()).containsExactly(1, 1, 0, 1, 1, 1);
        assertThat(b.labels().toLongArray()).containsExactly(5, 6, -100, -100, -100, 9);
        assertThat(b.tokens()).isEqualTo(5);
        assertThat(b.labelCount()).isEqualTo(2);
        assertThat(Batch.of(List.of(two, three), Backends.cpu(), true).labelCount()).isEqualTo(3);
    }

    @Test
    void fingerprintsTellDataApart() {
        assertThat(TinyModel.texts(7).fingerprint()).isEqualTo(TinyModel.texts(7).fingerprint())
                .isNotEqualTo(TinyModel.texts(6).fingerprint());
        Example learnt = new Example(new int[] {1, 2}, new int[] {-100, 2});
        Example given = new Example(new int[] {1, 2}, new int[] {-100, -100});
        assertThat(Dataset.of(List.of(learnt)).fingerprint()).isNotEqualTo(Dataset.of(List.of(given)).fingerprint());
    }

    @Test
    void packedTextsShareRowsAndEachBeginsUnlearnt() {
        int begin = special.bosTokenId();
        int[] short1 = tokenizer.encode("Once", true).ids();
        int length = 3 * (short1.length + 1) - 1;
        // Two fit into a row, the third begins the next.
        Dataset rows = Dataset.ofPacked(List.of("Once", "Once", "Once"), tokenizer, special, length);
        assertThat(rows.size()).isEqualTo(2);
        Example first = rows.get(0);
        assertThat(first.length()).isEqualTo(2 * (short1.length + 1));
        assertThat(rows.get(1).length()).isEqualTo(short1.length + 1);
        for (int t = 0; t < first.length(); t++) {
            assertThat(first.labels()[t]).isEqualTo(first.ids()[t] == begin ? Example.IGNORED : first.ids()[t]);
        }
        assertThat(first.ids()[short1.length]).isEqualTo(special.eosTokenIds()[0]);
        assertThat(first.ids()[short1.length + 1]).isEqualTo(begin);
    }

    @Test
    void aTextLongerThanARowGoesOnInTheNextWithoutALoss() {
        String text = "Once upon a time, there was a little girl named Lily.";
        int[] ids = tokenizer.encode(text, true).ids();
        Dataset rows = Dataset.ofPacked(List.of(text, "Tom"), tokenizer, special, 5);
        List<Integer> all = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            Arrays.stream(rows.get(i).ids()).forEach(all::add);
            assertThat(rows.get(i).length()).isLessThanOrEqualTo(5);
        }
        assertThat(all.subList(0, ids.length)).isEqualTo(Arrays.stream(ids).boxed().toList());
        // The first token of a row is given all the same, having nothing before it.
        assertThat(rows.get(1).labels()[0]).isEqualTo(rows.get(1).ids()[0]);
        assertThat(rows.get(1).labelCount(false)).isEqualTo(4);
    }

    @Test
    void textsAreParagraphsOrJsonLines() throws IOException {
        Path plain = Files.writeString(folder.resolve("a.txt"), "One\nline.\n\n \nTwo.\n");
        assertThat(Dataset.readTexts(plain)).containsExactly("One\nline.", "Two.");
        assertThat(Dataset.readTexts(file("{\"text\": \"One\"}\n{\"text\": \" \"}\n{\"text\": \"Two\"}\n"))).containsExactly("One", "Two");
        Path empty = Files.writeString(folder.resolve("b.txt"), "\n\n");
        assertThatThrownBy(() -> Dataset.readTexts(empty)).isInstanceOf(AdapterException.class).hasMessageContaining("b.txt holds no text");
        Path wrong = file("{\"prompt\": \"One\"}\n");
        assertThatThrownBy(() -> Dataset.readTexts(wrong)).isInstanceOf(AdapterException.class).hasMessageContaining("line 1");
        assertThatThrownBy(() -> Dataset.readTexts(folder.resolve("none.txt"))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("there is no file");
    }
}
