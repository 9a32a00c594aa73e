package wurao.peers;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The arguments of a Java peer, how it warms up, and its report: the contract of {@code arguments.py}.
 *
 * <p>A Java program is slow until its hot methods are compiled. So a peer decides the same events several times in one
 * process, in a new group each time, at least five times, until it has settled: the processor time of each of the last
 * three passes lies within {@value #SPREAD_MAX} of their median. The report is of that median pass. It says how many
 * passes it took, and whether it settled within {@value #PASSES_MAX}.
 */
final class Run {
    static final double SPREAD_MAX = 0.07;
    static final int PASSES_MAX = 10;
    static final int PASSES_ALIKE = 3;
    static final int PASSES_MIN = 5;

    /** One pass over the events: it returns once all decisions of the pass are acknowledged and committed. */
    interface Pass {
        Measured over(String group, Run run) throws Exception;
    }

    /** What a pass took, from its first event to its last acknowledgement. */
    record Measured(long events, double wallS, double cpuS) {
        double perEvent() {
            return cpuS / Math.max(1, events);
        }
    }

    private static final com.sun.management.OperatingSystemMXBean SYSTEM =
            (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    final String bootstrap;
    final String eventsTopic;
    final String decisionsTopic;
    final String compression;
    final long stopAt;
    final Path snapshot;
    final Path policy;
    private final String group;
    private final int passesMax;
    private final AtomicBoolean toldToEnd = new AtomicBoolean();
    private boolean saidReady;

    private Run(Map<String, String> options) {
        bootstrap = options.get("bootstrap");
        group = options.get("group");
        eventsTopic = options.get("events-topic");
        decisionsTopic = options.get("decisions-topic");
        compression = options.get("compression");
        stopAt = Long.parseLong(options.getOrDefault("stop-at", String.valueOf(Long.MAX_VALUE)));
        snapshot = Path.of(options.get("snapshot"));
        policy = Path.of(options.get("policy"));
        passesMax = Integer.parseInt(options.getOrDefault("passes", String.valueOf(PASSES_MAX)));
    }

    static Run of(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i].substring(2), arguments[i + 1]);
        }
        Run run = new Run(options);
        // The virtual machine ends once its shutdown hooks have: this one waits for the last line.
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            run.toldToEnd.set(true);
            try {
                main.join(20_000);
            } catch (InterruptedException ignored) {
                Thread.currentThread().interrupt();
            }
        }));
        return run;
    }

    Decider decider() throws IOException {
        return new Decider(Policy.read(policy), Snapshot.read(snapshot));
    }

    boolean toldToEnd() {
        return toldToEnd.get();
    }

    void ready() {
        if (!saidReady) {
            saidReady = true;
            System.out.println("ready");
        }
    }

    static double cpuS() {
        return SYSTEM.getProcessCpuTime() / 1e9;
    }

    static double wallS() {
        return System.nanoTime() / 1e9;
    }

    /** Pass after pass until settled, asked to end, or out of passes; then the last line. */
    void measure(Pass pass) throws Exception {
        Measured[] passes = new Measured[passesMax];
        int count = 0;
        Measured settled = null;
        while (count < passesMax && settled == null && !toldToEnd()) {
            passes[count] = pass.over(group + "-" + count, this);
            count++;
            settled = settledOf(passes, count);
        }
        Measured reported = settled != null ? settled : passes[Math.max(0, count - 1)];
        StringBuilder each = new StringBuilder();
        for (int i = 0; i < count; i++) {
            each.append(i == 0 ? "" : ",").append(String.format(Locale.ROOT, "%.3f", 1e6 * passes[i].perEvent()));
        }
        System.out.println(String.format(
                Locale.ROOT,
                "{\"events\":%d,\"wall_s\":%.4f,\"cpu_s\":%.4f,\"passes\":%d,\"settled\":%b,\"pass_us\":[%s]}",
                reported.events(), reported.wallS(), reported.cpuS(), count, settled != null, each));
    }

    private static Measured settledOf(Measured[] passes, int count) {
        if (count < PASSES_MIN) {
            return null;
        }
        Measured[] last = java.util.Arrays.copyOfRange(passes, count - PASSES_ALIKE, count);
        java.util.Arrays.sort(last, java.util.Comparator.comparingDouble(Measured::perEvent));
        double median = last[PASSES_ALIKE / 2].perEvent();
        boolean alike = last[0].perEvent() >= median * (1 - SPREAD_MAX)
                && last[PASSES_ALIKE - 1].perEvent() <= median * (1 + SPREAD_MAX);
        return alike ? last[PASSES_ALIKE / 2] : null;
    }
}
