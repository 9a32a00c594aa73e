package wurao.peers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/** The policy, as {@code java_process.py} hands it over: patterns, answers by reason, the table of characters. */
record Policy(
        String version,
        String appeal,
        Pattern help,
        Pattern shortNumber,
        Set<String> redress,
        Pattern optOut,
        Map<String, String> codes,
        Text text) {

    static Policy read(Path path) throws IOException {
        Json json = Json.of(Files.readAllBytes(path));
        return new Policy(
                json.text("version"),
                json.text("appeal"),
                Pattern.compile(json.text("help")),
                Pattern.compile(json.text("short")),
                Set.copyOf(json.texts("redress")),
                // \W is of Unicode (DESIGN section 5).
                Pattern.compile(json.text("opt_out"), Pattern.UNICODE_CHARACTER_CLASS),
                Map.copyOf(json.map("codes")),
                new Text(json.text("traditional"), json.text("simplified")));
    }
}
