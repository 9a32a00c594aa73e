package wurao.peers;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The peer {@code java}: one thread that polls, decides, sends, and commits what is acknowledged.
 *
 * <p>Tuned as Kafka's documentation recommends for throughput: large polls and batches, a linger, and a flush with a
 * commit for some tens of thousands of events at a time.
 */
final class Loop {
    private static final int COMMIT_EVERY = 50_000;
    private static final Duration POLL = Duration.ofMillis(200);

    private Loop() {}

    public static void main(String[] arguments) throws Exception {
        Run run = Run.of(arguments);
        Decider decider = run.decider();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(producing(run))) {
            run.measure((group, told) -> pass(told, group, decider, producer));
        }
    }

    private static Run.Measured pass(Run run, String group, Decider decider, KafkaProducer<byte[], byte[]> producer) {
        AtomicReference<Exception> failed = new AtomicReference<>();
        long taken = 0;
        long committed = 0;
        double wallS = 0;
        double cpuS = 0;
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(consuming(run, group))) {
            consumer.subscribe(List.of(run.eventsTopic));
            while (taken < run.stopAt && !run.toldToEnd()) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
                if (!consumer.assignment().isEmpty()) {
                    run.ready();
                }
                if (wallS == 0 && !records.isEmpty()) {
                    wallS = Run.wallS();
                    cpuS = Run.cpuS();
                }
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    byte[] decision = decider.answer(record.value());
                    producer.send(
                            new ProducerRecord<>(run.decisionsTopic, record.partition(), record.key(), decision),
                            (metadata, error) -> {
                                if (error != null) {
                                    failed.set(error);
                                }
                            });
                }
                taken += records.count();
                if (taken - committed >= COMMIT_EVERY || taken >= run.stopAt || run.toldToEnd()) {
                    producer.flush();
                    if (failed.get() != null) {
                        throw new IllegalStateException("a decision was not acknowledged", failed.get());
                    }
                    consumer.commitSync();
                    committed = taken;
                }
            }
            return new Run.Measured(taken, Run.wallS() - wallS, Run.cpuS() - cpuS);
        }
    }

    private static Properties consuming(Run run, String group) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, run.bootstrap);
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 10_000);
        settings.put(ConsumerConfig.FETCH_MIN_BYTES_CONFIG, 100_000);
        settings.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 100);
        settings.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 1 << 20);
        return settings;
    }

    private static Properties producing(Run run) {
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, run.bootstrap);
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        settings.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, run.compression);
        settings.put(ProducerConfig.LINGER_MS_CONFIG, 20);
        settings.put(ProducerConfig.BATCH_SIZE_CONFIG, 256 * 1024);
        settings.put(ProducerConfig.BUFFER_MEMORY_CONFIG, 128L << 20);
        return settings;
    }
}
