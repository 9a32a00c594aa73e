package wurao.peers;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collection;

/** Prohibited terms, searched at once in stripped texts (Aho and Corasick 1975), over the characters of the terms. */
final class Terms {
    private static final int CELLS_MAX = 64 << 20;

    private final Text text;
    private final char[] symbolOf = new char[1 << 16];
    private final int symbols;
    private final int[] next;
    private final boolean[] ends;
    private final boolean none;

    Terms(Text text, Collection<String> terms) {
        this.text = text;
        String[] stripped = terms.stream().map(text::fold).map(text::strip).filter(t -> !t.isEmpty()).toArray(String[]::new);
        none = stripped.length == 0;
        int known = 1; // 0 is every character that no term has
        int statesMax = 1;
        for (String term : stripped) {
            statesMax += term.length();
            for (char c : term.toCharArray()) {
                if (symbolOf[c] == 0) {
                    symbolOf[c] = (char) known++;
                }
            }
        }
        symbols = known;
        if ((long) statesMax * symbols > CELLS_MAX) {
            throw new IllegalArgumentException("the word lists are too long for a table: this peer takes short ones");
        }
        next = new int[statesMax * symbols];
        ends = new boolean[statesMax];
        build(stripped);
    }

    private void build(String[] terms) {
        Arrays.fill(next, -1);
        int states = 1;
        for (String term : terms) {
            int state = 0;
            for (char c : term.toCharArray()) {
                int cell = state * symbols + symbolOf[c];
                if (next[cell] < 0) {
                    next[cell] = states++;
                }
                state = next[cell];
            }
            ends[state] = true;
        }
        int[] fallback = new int[states];
        ArrayDeque<Integer> open = new ArrayDeque<>();
        for (int symbol = 0; symbol < symbols; symbol++) {
            if (next[symbol] < 0) {
                next[symbol] = 0;
            } else {
                open.add(next[symbol]);
            }
        }
        while (!open.isEmpty()) {
            int state = open.remove();
            ends[state] |= ends[fallback[state]];
            for (int symbol = 0; symbol < symbols; symbol++) {
                int cell = state * symbols + symbol;
                int instead = next[fallback[state] * symbols + symbol];
                if (next[cell] < 0) {
                    next[cell] = instead;
                } else {
                    fallback[next[cell]] = instead;
                    open.add(next[cell]);
                }
            }
        }
    }

    boolean foundIn(String folded) {
        if (none) {
            return false;
        }
        int state = 0;
        for (int i = 0; i < folded.length(); i++) {
            char c = folded.charAt(i);
            if (text.keeps(c)) {
                state = next[state * symbols + symbolOf[c]];
                if (ends[state]) {
                    return true;
                }
            }
        }
        return false;
    }
}
