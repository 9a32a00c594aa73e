package wurao.peers;

import com.dslplatform.json.DslJson;
import com.dslplatform.json.JsonReader;
import com.dslplatform.json.NumberConverter;
import java.io.IOException;

/**
 * One SMS (DESIGN section 4), read in one pass. An empty text is null, as the contract has it.
 *
 * <p>One object is filled again and again: the reader's thread is the only one that sees it.
 */
final class Event {
    private static final int ID = hash("id");
    private static final int TIME = hash("time");
    private static final int TO = hash("to");
    private static final int SENDER = hash("sender");
    private static final int FROM = hash("from");
    private static final int PURPOSE = hash("purpose");
    private static final int CATEGORY = hash("category");
    private static final int TEXT = hash("text");
    private static final int CAMPAIGN = hash("campaign");
    private static final int REGION = hash("region");
    private static final int NETWORK = hash("network");
    private static final int ORIGIN = hash("origin");

    private final JsonReader<Object> reader = new DslJson<>().newReader();

    String id;
    long time;
    String to;
    String sender;
    String from;
    String purpose;
    String category;
    String text;
    String campaign;
    String region;
    String network;
    String origin;

    Event read(byte[] bytes) throws IOException {
        id = to = sender = from = purpose = category = text = campaign = region = network = origin = null;
        reader.process(bytes, bytes.length);
        if (reader.getNextToken() != '{') {
            throw new IOException("an event is an object");
        }
        byte next = reader.getNextToken();
        while (next == '"') {
            int name = reader.fillName();
            reader.getNextToken();
            next = take(name) ? reader.getNextToken() : reader.skip();
            if (next == ',') {
                next = reader.getNextToken();
            }
        }
        if (next != '}' || id == null || to == null) {
            throw new IOException("not a whole event");
        }
        return this;
    }

    /** Take the value of a field that is ours; false, and nothing taken, of another. */
    private boolean take(int name) throws IOException {
        if (name == TIME) {
            time = NumberConverter.deserializeLong(reader);
        } else if (name == ID) {
            id = text();
        } else if (name == TO) {
            to = text();
        } else if (name == SENDER) {
            sender = text();
        } else if (name == FROM) {
            from = text();
        } else if (name == PURPOSE) {
            purpose = text();
        } else if (name == CATEGORY) {
            category = text();
        } else if (name == TEXT) {
            text = text();
        } else if (name == CAMPAIGN) {
            campaign = text();
        } else if (name == REGION) {
            region = text();
        } else if (name == NETWORK) {
            network = text();
        } else if (name == ORIGIN) {
            origin = text();
        } else {
            return false;
        }
        return true;
    }

    private String text() throws IOException {
        if (reader.wasNull()) {
            return null;
        }
        String value = reader.readString();
        return value.isEmpty() ? null : value;
    }

    /** The weak hash that {@link JsonReader#fillName()} makes of a name: FNV-1a. */
    private static int hash(String name) {
        int hash = 0x811C9DC5;
        for (int i = 0; i < name.length(); i++) {
            hash = (hash ^ name.charAt(i)) * 0x1000193;
        }
        return hash;
    }
}
