package wurao.peers;

import com.dslplatform.json.DslJson;
import com.dslplatform.json.JsonWriter;
import com.dslplatform.json.NumberConverter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.roaringbitmap.longlong.Roaring64Bitmap;
import wurao.peers.Registry.Campaign;
import wurao.peers.Registry.Entry;
import wurao.peers.Registry.Order;
import wurao.peers.Registry.Probe;
import wurao.peers.Registry.Sender;

/**
 * The table of DESIGN section 5 for SMS, written out as one would by hand, and the answer it gives. The numbers are the
 * rules'. Not for two threads at once: event and writer are used again and again.
 *
 * <p>Not here, for the default policy has none: quiet hours, staleness, silence that allows.
 */
final class Decider {
    private static final List<String> STRICTEST_FIRST = List.of("commercial", "public", "service", "emergency", "personal");

    private final Policy policy;
    private final Registry registry;
    private final Event event = new Event();
    private final JsonWriter writer = new DslJson<>().newWriter(1024);

    private long now;
    private String sender;

    Decider(Policy policy, Snapshot snapshot) {
        this.policy = policy;
        this.registry = new Registry(snapshot, policy.text());
    }

    /** An event's bytes → its decision's. */
    byte[] answer(byte[] bytes) {
        try {
            event.read(bytes);
        } catch (IOException error) {
            throw new IllegalArgumentException("an event cannot be decoded", error);
        }
        now = System.currentTimeMillis();
        writer.reset();
        decide();
        return writer.toByteArray();
    }

    private void decide() {
        String from = event.from;
        Entry owner = from == null ? null : registry.owner(from);
        sender = event.sender != null ? event.sender : owner == null ? null : owner.senderId();
        boolean toSubscriber = isSubscriber(event.to);
        if (policy.help().matcher(event.to).matches()) { // 1
            allow("call_for_help", "emergency");
            return;
        }
        if (policy.redress().contains(event.to)) { // 2
            allow("redress", "measures");
            return;
        }
        if (from == null) { // 5
            block("number_missing", "number-use");
            return;
        }
        boolean fromSubscriber = isSubscriber(from);
        if (!fromSubscriber && !isPort(from) && !"internet".equals(event.network)) {
            block("malformed_number", "number-use");
            return;
        }
        Sender record = owner != null && owner.senderId().equals(sender) ? owner.sender() : registry.senders.get(sender);
        Entry entry = owner != null && owner.senderId().equals(sender) ? owner : null;
        String purpose = event.purpose != null ? event.purpose : strictest(entry);
        boolean licensed = record != null && record.active();
        if (purpose.equals("emergency") && emergency(licensed, entry, owner)) { // 6
            allow("emergency", "emergency");
            return;
        }
        Order suspension = registry.inForce("suspend", now, record, owner == null ? null : owner.sender(), from);
        if (suspension != null) { // 7
            suspend("suspended", suspension);
            return;
        }
        if (purpose.equals("personal") && event.sender == null && fromSubscriber && owner == null) { // 9
            allow("personal", null);
            return;
        }
        if (purpose.equals("public")) {
            campaign(owner);
            return;
        }
        String folded = null;
        if (!purpose.equals("personal")) {
            folded = policy.text().fold(event.text == null ? "" : event.text);
            if (registry.terms.foundIn(folded)) { // 15
                block("prohibited_content", "prohibited-content");
                return;
            }
        }
        if (!licensed) { // 16
            block("unlicensed", "licence");
        } else if (entry == null) { // 17
            block("number_not_assigned", "number-use");
        } else if (!entry.purposes().contains(purpose)) { // 18
            block("purpose_not_permitted", "port-purpose");
        } else if (!purpose.equals("commercial")) { // 19
            allow(purpose, null);
        } else {
            commercial(record, entry, toSubscriber, fromSubscriber, folded);
        }
    }

    private void commercial(Sender record, Entry entry, boolean toSubscriber, boolean fromSubscriber, String folded) {
        Order stop = registry.inForce("stop", now, record, null, event.from);
        if (stop != null) { // 20
            suspend("stopped", stop);
            return;
        }
        if (!toSubscriber) { // 21, 22
            if (policy.shortNumber().matcher(event.to).matches()) {
                allow("short_number", null);
            } else {
                block("malformed_number", "number-use");
            }
            return;
        }
        List<String> categories = entry.categories();
        String category = event.category != null ? event.category : categories.size() == 1 ? categories.get(0) : "general";
        if (!categories.isEmpty() && !categories.contains(category)) { // 24
            block("category_not_permitted", "port-purpose");
            return;
        }
        long number = Long.parseLong(event.to, 1, event.to.length(), 10);
        Probe probe = registry.probe(entry, category);
        if (probe.consents() == null || !probe.consents().contains(number)) { // 25, 26
            block(refused(probe, number) ? "refused" : "no_consent", "consent");
        } else if (!fromSubscriber && !record.identifiedIn(folded)) { // 28
            block("identity_missing", "identity");
        } else if (!fromSubscriber && !policy.optOut().matcher(folded).find()) {
            block("opt_out_missing", "opt-out");
        } else { // 30
            allow("consented", "consent");
        }
    }

    private static boolean refused(Probe probe, long number) {
        for (Roaring64Bitmap refusals : probe.refusals()) {
            if (refusals.contains(number)) {
                return true;
            }
        }
        return false;
    }

    private static String strictest(Entry entry) {
        if (entry != null) {
            for (String purpose : STRICTEST_FIRST) {
                if (entry.purposes().contains(purpose)) {
                    return purpose;
                }
            }
        }
        return "personal";
    }

    private boolean emergency(boolean licensed, Entry entry, Entry owner) {
        if (licensed && entry != null && entry.purposes().contains("emergency")) {
            return true;
        }
        Campaign campaign = carrying(owner);
        return campaign != null && campaign.emergency() && campaign.open(now);
    }

    /** The approved campaign that the event names and to which {@code from} belongs, or null. */
    private Campaign carrying(Entry owner) {
        Campaign campaign = event.campaign == null ? null : registry.campaigns.get(event.campaign);
        if (campaign == null || !campaign.approved()) {
            return null;
        }
        boolean belongs = owner != null && owner.senderId().equals(campaign.sender())
                || campaign.numbers().stream().anyMatch(event.from::startsWith);
        return belongs && !revoked(campaign.sender()) && (owner == null || owner.sender().active()) ? campaign : null;
    }

    private boolean revoked(String id) {
        Sender known = registry.senders.get(id);
        return known != null && !known.active();
    }

    private void campaign(Entry owner) {
        Campaign campaign = carrying(owner);
        if (campaign == null) { // 10
            block("campaign_unknown", "public-interest");
        } else if (!campaign.open(now)) { // 11
            block("campaign_outside_window", "public-interest");
        } else if (!covers(campaign.regions(), event.region)) { // 12
            block("campaign_outside_region", "public-interest");
        } else if (!Text.normal(event.text == null ? "" : event.text).equals(campaign.text())) { // 13
            block("campaign_text_mismatch", "public-interest");
        } else { // 14
            allow("public_interest", "public-interest");
        }
    }

    private static boolean covers(List<String> regions, String region) {
        if (regions.isEmpty() || region == null || region.length() != 6 || !allDigits(region, 0)) {
            return true;
        }
        for (String covered : regions) {
            String stem = covered;
            while (stem.length() % 2 == 0 && stem.endsWith("00")) {
                stem = stem.substring(0, stem.length() - 2);
            }
            if (region.startsWith(stem)) {
                return true;
            }
        }
        return false;
    }

    private static boolean isSubscriber(String number) {
        int length = number.length();
        return length >= 8 && length <= 16 && number.charAt(0) == '+' && number.charAt(1) != '0' && allDigits(number, 1);
    }

    private static boolean isPort(String number) {
        return number.length() >= 3 && number.length() <= 20 && allDigits(number, 0);
    }

    private static boolean allDigits(String text, int from) {
        for (int i = from; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < '0' || c > '9') {
                return false;
            }
        }
        return true;
    }

    private void allow(String reason, String basis) {
        write("allow", reason, basis);
        writer.writeByte((byte) '}');
    }

    private void block(String reason, String basis) {
        write("block", reason, basis);
        refuse(reason, policy.appeal());
    }

    private void suspend(String reason, Order order) {
        write("suspend", reason, order.basis());
        refuse(reason, order.appeal() != null ? order.appeal() : policy.appeal());
    }

    private void write(String verdict, String reason, String basis) {
        writer.writeAscii("{\"kind\":\"decision\",\"event\":");
        writer.writeString(event.id);
        writer.writeAscii(",\"of\":\"sms\",\"time\":");
        NumberConverter.serialize(event.time, writer);
        writer.writeAscii(",\"decided\":");
        NumberConverter.serialize(now, writer);
        writer.writeAscii(",\"to\":");
        writer.writeString(event.to);
        field(",\"from\":", event.from);
        field(",\"sender\":", sender);
        field(",\"verdict\":", verdict);
        field(",\"reason\":", reason);
        field(",\"basis\":", basis);
        field(",\"policy\":", policy.version());
        field(",\"epoch\":", "file");
        field(",\"origin\":", event.origin);
    }

    private void refuse(String reason, String appeal) {
        writer.writeAscii(",\"code\":");
        writer.writeAscii(policy.codes().get(reason));
        field(",\"appeal\":", appeal);
        writer.writeByte((byte) '}');
    }

    private void field(String name, String value) {
        writer.writeAscii(name);
        if (value == null) {
            writer.writeNull();
        } else {
            writer.writeString(value);
        }
    }
}
