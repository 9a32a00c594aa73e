package wurao.peers;

import com.dslplatform.json.DslJson;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** JSON read loosely: for what is read once, at the start. Events have a reader of their own ({@link Event}). */
final class Json {
    private static final DslJson<Object> JSON = new DslJson<>();

    private final Map<String, Object> fields;

    private Json(Map<String, Object> fields) {
        this.fields = fields;
    }

    @SuppressWarnings("unchecked")
    static Json of(byte[] bytes) throws IOException {
        return new Json(JSON.deserialize(Map.class, bytes, bytes.length));
    }

    /** A text; null where it is absent, null or empty. */
    String text(String name) {
        Object value = fields.get(name);
        return value instanceof String text && !text.isEmpty() ? text : null;
    }

    long number(String name, long absent) {
        return fields.get(name) instanceof Number number ? number.longValue() : absent;
    }

    boolean yes(String name) {
        return Boolean.TRUE.equals(fields.get(name));
    }

    @SuppressWarnings("unchecked")
    List<String> texts(String name) {
        return fields.get(name) instanceof List<?> list ? (List<String>) list : List.of();
    }

    @SuppressWarnings("unchecked")
    List<Json> parts(String name) {
        return fields.get(name) instanceof List<?> list
                ? ((List<Map<String, Object>>) list).stream().map(Json::new).toList()
                : List.of();
    }

    @SuppressWarnings("unchecked")
    Map<String, String> map(String name) {
        return (Map<String, String>) fields.get(name);
    }
}
