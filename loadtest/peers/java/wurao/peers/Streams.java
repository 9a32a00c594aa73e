package wurao.peers;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/**
 * The peer {@code kafka-streams}: {@code stream(events).mapValues(decide).to(decisions)} on one stream thread.
 *
 * <p>A decision's key is its event's, so the default partitioner puts it into the same partition. Tuned as Kafka's
 * documentation recommends for throughput: larger polls, batches and buffers, a linger, a commit every second (the
 * default is thirty), at least once. A pass ends by closing the application, which flushes and commits.
 */
final class Streams {
    private Streams() {}

    /** What the stream thread counts. One thread writes; the other reads after a latch. */
    private static final class Count {
        volatile double wallS;
        volatile double cpuS;
        volatile long taken;
        final CountDownLatch all = new CountDownLatch(1);

        void one(long stopAt) {
            if (taken == 0) {
                wallS = Run.wallS();
                cpuS = Run.cpuS();
            }
            long now = taken + 1;
            taken = now;
            if (now == stopAt) {
                all.countDown();
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Run run = Run.of(arguments);
        Decider decider = run.decider();
        run.measure((group, told) -> pass(told, group, decider));
    }

    private static Run.Measured pass(Run run, String group, Decider decider) throws Exception {
        Count count = new Count();
        AtomicReference<Throwable> failed = new AtomicReference<>();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(run.eventsTopic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .mapValues(event -> {
                    byte[] decision = decider.answer(event);
                    count.one(run.stopAt);
                    return decision;
                })
                .to(run.decisionsTopic, Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        Path state = Files.createTempDirectory("wurao-peer-streams");
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings(run, group, state))) {
            streams.setUncaughtExceptionHandler(error -> {
                failed.set(error);
                count.all.countDown();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.setStateListener((now, before) -> {
                if (now == KafkaStreams.State.RUNNING) {
                    run.ready();
                }
            });
            streams.start();
            while (!count.all.await(200, TimeUnit.MILLISECONDS)) {
                if (run.toldToEnd()) {
                    break;
                }
            }
            streams.close(Duration.ofSeconds(30));
        }
        if (failed.get() != null) {
            throw new IllegalStateException("the stream thread ended", failed.get());
        }
        Run.Measured measured = new Run.Measured(count.taken, Run.wallS() - count.wallS, Run.cpuS() - count.cpuS);
        try (var left = Files.walk(state)) {
            left.sorted(java.util.Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        }
        return measured;
    }

    private static Properties settings(Run run, String group, Path state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, run.bootstrap);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.ISOLATION_LEVEL_CONFIG), "read_committed");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MIN_BYTES_CONFIG), 100_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG), 100);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG), true);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), run.compression);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
        return settings;
    }
}
