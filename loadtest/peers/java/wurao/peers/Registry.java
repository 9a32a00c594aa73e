package wurao.peers;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.roaringbitmap.longlong.Roaring64Bitmap;
import wurao.peers.Snapshot.Scope;

/** The registry as SMS needs it: who owns which prefix, which orders stand, what subscribers refused and agreed to. */
final class Registry {
    /** A registered sender, and how it makes itself known in a text. */
    record Sender(String id, boolean active, List<String> names, Pattern contact, List<Order> orders) {
        boolean identifiedIn(String folded) {
            return names.stream().anyMatch(folded::contains) && contact.matcher(folded).find();
        }
    }

    /** A prefix of a sender's, and the questions asked of its categories so far. */
    record Entry(
            Sender sender,
            String senderId,
            Set<String> purposes,
            List<String> categories,
            long since,
            int came,
            Map<String, Probe> probes) {}

    record Order(String id, String measure, long from, long until, String basis, String appeal) {
        boolean inForce(long now) {
            return from <= now && now < until;
        }
    }

    record Campaign(
            boolean approved,
            boolean emergency,
            String sender,
            List<String> numbers,
            long from,
            long until,
            List<String> regions,
            String text) {
        boolean open(long now) {
            return from <= now && now < until;
        }
    }

    /** What a subscriber's will toward one sender and category depends on: one set of consents, up to four of refusals. */
    record Probe(Roaring64Bitmap consents, Roaring64Bitmap[] refusals) {}

    final Map<String, Sender> senders = new HashMap<>();
    final Map<String, Campaign> campaigns = new HashMap<>();
    final Terms terms;
    private final Map<String, Entry> owners = new HashMap<>();
    private final Map<String, List<Order>> ordersOnNumber = new HashMap<>();
    private final Map<Scope, Roaring64Bitmap> wills;
    private final int[] lengths;

    Registry(Snapshot snapshot, Text text) {
        wills = snapshot.wills;
        List<String> words = new ArrayList<>();
        Map<String, List<Order>> ordersOnSender = new HashMap<>();
        for (Json record : snapshot.records) {
            switch (record.text("kind")) {
                case "order" -> take(order(record), record, ordersOnSender);
                case "campaign" -> campaigns.put(record.text("campaign"), campaign(record));
                case "wordlist" -> words.addAll(record.texts("terms"));
                default -> {
                    // Senders come next, when their orders are known.
                }
            }
        }
        ordersOnSender.values().forEach(orders -> orders.sort(Comparator.comparing(Order::id)));
        ordersOnNumber.values().forEach(orders -> orders.sort(Comparator.comparing(Order::id)));
        int came = 0;
        for (Json record : snapshot.records) {
            if (record.text("kind").equals("sender")) {
                take(record, text, ordersOnSender, came++);
            }
        }
        terms = new Terms(text, words);
        lengths = owners.keySet().stream().mapToInt(String::length).distinct().map(n -> -n).sorted().map(n -> -n).toArray();
    }

    private void take(Order order, Json record, Map<String, List<Order>> ordersOnSender) {
        if ("call".equals(record.text("channel"))) {
            return;
        }
        String sender = record.text("sender");
        Map<String, List<Order>> index = sender == null ? ordersOnNumber : ordersOnSender;
        index.computeIfAbsent(sender == null ? record.text("number") : sender, name -> new ArrayList<>()).add(order);
    }

    private static Order order(Json record) {
        return new Order(
                record.text("order"),
                record.text("measure"),
                record.number("from", 0),
                record.number("until", Long.MAX_VALUE),
                record.text("basis"),
                record.text("appeal"));
    }

    private static Campaign campaign(Json record) {
        return new Campaign(
                record.text("status").equals("approved"),
                record.yes("emergency"),
                record.text("sender"),
                record.texts("numbers"),
                record.number("from", 0),
                record.number("until", 0),
                record.texts("regions"),
                Text.normal(record.text("text")));
    }

    private void take(Json record, Text text, Map<String, List<Order>> ordersOnSender, int came) {
        List<String> names = new ArrayList<>(List.of(text.fold(record.text("name"))));
        record.texts("signatures").forEach(signature -> names.add("【" + text.fold(signature) + "】"));
        String digits = Text.digitsOf(record.text("contact"))
                .chars()
                .mapToObj(digit -> String.valueOf((char) digit))
                .collect(Collectors.joining("[\\s\\-]*"));
        String id = record.text("sender");
        Sender sender = new Sender(
                id,
                record.text("status").equals("active"),
                names,
                Pattern.compile("(?<![0-9])" + digits + "(?![0-9])", Pattern.UNICODE_CHARACTER_CLASS),
                ordersOnSender.getOrDefault(id, List.of()));
        senders.put(id, sender);
        for (Json number : record.parts("numbers")) {
            if (!number.text("channel").equals("sms")) {
                continue;
            }
            Entry entry = new Entry(
                    sender,
                    id,
                    new HashSet<>(number.texts("purposes")),
                    number.texts("categories"),
                    number.number("since", 0),
                    came,
                    new HashMap<>());
            owners.merge(number.text("prefix"), entry, (held, later) -> later.since() >= held.since() ? later : held);
        }
    }

    Entry owner(String from) {
        for (int length : lengths) {
            if (length <= from.length()) {
                Entry entry = owners.get(from.substring(0, length));
                if (entry != null) {
                    return entry;
                }
            }
        }
        return null;
    }

    /** The order of this measure in force with the smallest id, or null. */
    Order inForce(String measure, long now, Sender sender, Sender owner, String number) {
        Order found = smallest(measure, now, sender == null ? List.of() : sender.orders(), null);
        if (owner != null && owner != sender) {
            found = smallest(measure, now, owner.orders(), found);
        }
        return ordersOnNumber.isEmpty() ? found : smallest(measure, now, ordersOnNumber.getOrDefault(number, List.of()), found);
    }

    private static Order smallest(String measure, long now, List<Order> orders, Order found) {
        for (Order order : orders) {
            if (order.measure().equals(measure) && order.inForce(now)) {
                return found == null || order.id().compareTo(found.id()) < 0 ? order : found;
            }
        }
        return found;
    }

    Probe probe(Entry entry, String category) {
        Probe known = entry.probes().get(category);
        return known != null ? known : entry.probes().computeIfAbsent(category, c -> probe(entry.senderId(), c));
    }

    private Probe probe(String sender, String category) {
        Roaring64Bitmap[] refusals = List.of(
                        new Scope("refusal", null, null),
                        new Scope("refusal", sender, null),
                        new Scope("refusal", null, category),
                        new Scope("refusal", sender, category))
                .stream()
                .map(wills::get)
                .filter(java.util.Objects::nonNull)
                .toArray(Roaring64Bitmap[]::new);
        return new Probe(wills.get(new Scope("consent", sender, category)), refusals);
    }
}
