package wurao.peers;

import java.text.Normalizer;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * How texts are read (DESIGN section 5): folded is NFKC, lower case, traditional characters as simplified; stripped is
 * folded without all that is neither letter nor number.
 *
 * <p>Most characters of Chinese texts fold to one character whatever stands around them. For these a table has the
 * answer; a text with any other goes the long way through {@link Normalizer}.
 */
final class Text {
    /** Stands in the table for a character that must be seen in its context. */
    private static final char HARD = '\uFFFF';

    private final char[] easy = new char[1 << 16];
    private final boolean[] kept = new boolean[1 << 16];
    private final Map<Integer, Integer> simplified = new HashMap<>();

    Text(String traditional, String simple) {
        int[] from = traditional.codePoints().toArray();
        int[] to = simple.codePoints().toArray();
        for (int i = 0; i < from.length; i++) {
            simplified.put(from[i], to[i]);
        }
        for (int c = 0; c < 1 << 16; c++) {
            easy[c] = foldedAlone((char) c);
            kept[c] = isLetterOrNumber(c);
        }
    }

    private char foldedAlone(char c) {
        boolean plain = c < 0x80
                || (c >= 0x3001 && c <= 0x3029)
                || (c >= 0x3400 && c <= 0x9FFF)
                || (c >= 0xFF01 && c <= 0xFF5E);
        if (!plain) {
            return HARD;
        }
        String folded = longWay(String.valueOf(c));
        return folded.length() == 1 ? folded.charAt(0) : HARD;
    }

    String fold(String text) {
        int length = text.length();
        char[] folded = new char[length];
        for (int i = 0; i < length; i++) {
            char c = easy[text.charAt(i)];
            if (c == HARD) {
                return longWay(text);
            }
            folded[i] = c;
        }
        return new String(folded);
    }

    private String longWay(String text) {
        String lower = Normalizer.normalize(text, Normalizer.Form.NFKC).toLowerCase(Locale.ROOT);
        StringBuilder folded = new StringBuilder(lower.length());
        lower.codePoints().forEach(c -> folded.appendCodePoint(simplified.getOrDefault(c, c)));
        return folded.toString();
    }

    /** Whether a character of the basic plane stays when a text is stripped. */
    boolean keeps(char c) {
        return kept[c];
    }

    String strip(String folded) {
        StringBuilder stripped = new StringBuilder(folded.length());
        folded.codePoints().filter(Text::isLetterOrNumber).forEach(stripped::appendCodePoint);
        return stripped.toString();
    }

    /** How a campaign's text is compared with what was approved (rule 13). */
    static String normal(String text) {
        return Normalizer.normalize(text, Normalizer.Form.NFKC).strip();
    }

    static String digitsOf(String contact) {
        StringBuilder digits = new StringBuilder();
        Normalizer.normalize(contact, Normalizer.Form.NFKC)
                .chars()
                .filter(c -> c >= '0' && c <= '9')
                .forEach(c -> digits.append((char) c));
        return digits.toString();
    }

    private static boolean isLetterOrNumber(int c) {
        if (Character.isLetter(c)) {
            return true;
        }
        return switch (Character.getType(c)) {
            case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> true;
            default -> false;
        };
    }
}
