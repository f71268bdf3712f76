package dev.jotune.peft.objectives;

import dev.jotune.peft.train.Example;
import java.util.Arrays;

/** How good a written answer is. What it is made of shows in its text, which a run goes on by. */
@FunctionalInterface
public interface Reward {
    /**
     * @param asked the example that was asked: its labelled tokens are the answer wanted, without a final end token
     * @param answer the tokens that were written, without a final end token
     */
    double of(Example asked, int[] answer);

    /** Rewards of 1 or 0 by a rule on tokens. */
    enum Rule implements Reward {
        /** The answer is the one wanted. */
        EXACT_MATCH {
            @Override
            boolean holds(int[] wanted, int[] answer) {
                return Arrays.equals(wanted, answer);
            }
        },
        /** The answer begins with the one wanted. */
        STARTS_WITH {
            @Override
            boolean holds(int[] wanted, int[] answer) {
                return answer.length >= wanted.length && Arrays.equals(wanted, 0, wanted.length, answer, 0, wanted.length);
            }
        },
        /** The one wanted stands somewhere in the answer. */
        CONTAINS {
            @Override
            boolean holds(int[] wanted, int[] answer) {
                for (int at = 0; at + wanted.length <= answer.length; at++) {
                    if (Arrays.equals(wanted, 0, wanted.length, answer, at, at + wanted.length)) {
                        return true;
                    }
                }
                return false;
            }
        };

        abstract boolean holds(int[] wanted, int[] answer);

        @Override
        public double of(Example asked, int[] answer) {
            return holds(Arrays.stream(asked.labels()).filter(l -> l != Example.IGNORED).toArray(), answer) ? 1 : 0;
        }
    }
}
