package wurao.peers;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import org.roaringbitmap.IntIterator;
import org.roaringbitmap.RoaringBitmap;
import org.roaringbitmap.longlong.Roaring64Bitmap;

/** A snapshot file of format 1 (docs/snapshot.md): the wills on SMS, and all other registry records. */
final class Snapshot {
    /** One scope of one set; null stands for any. */
    record Scope(String kind, String sender, String category) {}

    final Map<Scope, Roaring64Bitmap> wills = new HashMap<>();
    final List<Json> records = new ArrayList<>();

    private Snapshot() {}

    static Snapshot read(Path path) throws IOException {
        Snapshot snapshot = new Snapshot();
        try (FileChannel file = FileChannel.open(path)) {
            ByteBuffer head = at(file, 0, 32);
            if (head.getInt(8) != 1) {
                throw new IOException(path + " is no snapshot of format 1");
            }
            long at = 32L + head.getInt(12);
            for (int left = head.getInt(24); left > 0; left--) {
                ByteBuffer section = at(file, at, 20);
                int labelBytes = section.getInt(0);
                int bodyBytes = Math.toIntExact(section.getLong(4));
                byte[] label = new byte[labelBytes];
                at(file, at + 20, labelBytes).get(label);
                ByteBuffer body = at(file, at + 20 + labelBytes, bodyBytes);
                CRC32 checksum = new CRC32();
                checksum.update(body.duplicate());
                if ((int) checksum.getValue() != section.getInt(12)) {
                    throw new IOException(path + ": a section does not match its checksum");
                }
                snapshot.take(Json.of(label), body);
                at += 20L + labelBytes + bodyBytes;
            }
        }
        return snapshot;
    }

    private static ByteBuffer at(FileChannel file, long at, int bytes) throws IOException {
        return file.map(FileChannel.MapMode.READ_ONLY, at, bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void take(Json label, ByteBuffer body) throws IOException {
        switch (label.text("section")) {
            case "set" -> {
                if (label.text("channel").equals("sms")) {
                    wills.put(new Scope(label.text("kind"), label.text("sender"), label.text("category")), bitmap(body));
                }
            }
            case "records" -> {
                while (body.hasRemaining()) {
                    int topicBytes = body.getInt();
                    int keyBytes = body.getInt();
                    byte[] value = new byte[body.getInt()];
                    body.position(body.position() + topicBytes + keyBytes);
                    body.get(value);
                    records.add(Json.of(value));
                }
            }
            default -> {
                // What is left serves updates, and a peer makes none.
            }
        }
    }

    /** The portable format of 64 bits: a count, then for each upper half a bitmap of 32 bits. */
    private static Roaring64Bitmap bitmap(ByteBuffer body) throws IOException {
        Roaring64Bitmap numbers = new Roaring64Bitmap();
        for (long left = body.getLong(); left > 0; left--) {
            long high = (long) body.getInt() << 32;
            RoaringBitmap part = new RoaringBitmap();
            part.deserialize(body.slice().order(ByteOrder.LITTLE_ENDIAN));
            body.position(body.position() + part.serializedSizeInBytes());
            for (IntIterator each = part.getIntIterator(); each.hasNext(); ) {
                numbers.addLong(high | Integer.toUnsignedLong(each.next()));
            }
        }
        return numbers;
    }
}
