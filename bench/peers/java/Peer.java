import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ConfirmListener;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.Deflater;

/** RabbitMQ's Java client: publications with a window of unconfirmed ones. */
public class Peer {
    static final String EXCHANGE = "Orderbook";
    static final String KEY = "simulated.BTC/USDT";

    static final Map<String, String> options = new HashMap<>();

    static int number(String name, int otherwise) {
        return Integer.parseInt(options.getOrDefault(name, Integer.toString(otherwise)));
    }

    // -- what was used --------------------------------------------------------------

    record Usage(long nanoseconds, double cpu, double broker) {}

    static double cpuOf(String process) throws Exception {
        String text = Files.readString(Path.of("/proc/" + process + "/stat"));
        String[] fields = text.substring(text.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) * 1e4;
    }

    static Usage now() throws Exception {
        String broker = options.getOrDefault("--broker-process", "0");
        return new Usage(System.nanoTime(), cpuOf("self"), broker.equals("0") ? 0 : cpuOf(broker));
    }

    static void print(Usage begin, Usage end, int events) {
        System.out.printf(
                Locale.ROOT, "{\"events\": %d, \"rate\": %f, \"cpu\": %f, \"broker\": %f}%n", events,
                events / ((end.nanoseconds - begin.nanoseconds) / 1e9),
                (end.cpu - begin.cpu) / events, (end.broker - begin.broker) / events);
    }

    // -- publishing -----------------------------------------------------------------

    static byte[] seal(Deflater deflater, byte[] buffer, String data) {
        String text = "{\"n\": \"EVENT_ORDERBOOK\", \"d\": " + data + "}";
        deflater.reset();
        deflater.setInput(text.getBytes(StandardCharsets.UTF_8));
        deflater.finish();
        int size = deflater.deflate(buffer);
        return java.util.Arrays.copyOf(buffer, size);
    }

    /** Counts what the broker has confirmed, and makes room in the window. */
    static class Confirms implements ConfirmListener {
        final Semaphore room;
        final AtomicLong last = new AtomicLong();

        Confirms(int window) {
            room = new Semaphore(window);
        }

        @Override
        public void handleAck(long tag, boolean multiple) {
            // Of one queue the confirms come in order.
            room.release((int) (tag - last.getAndSet(tag)));
        }

        @Override
        public void handleNack(long tag, boolean multiple) {
            throw new IllegalStateException("not confirmed");
        }
    }

    static void confirms(Channel channel) throws Exception {
        int count = number("--count", 50_000);
        int warmUp = number("--warm-up", 5_000);
        int window = number("--window", 1_000);
        List<String> texts = Files.readAllLines(Path.of(options.get("--texts")));
        channel.confirmSelect();
        Confirms answers = new Confirms(window);
        channel.addConfirmListener(answers);
        Deflater deflater = new Deflater(6);
        byte[] buffer = new byte[64 * 1024];
        Usage begin = now();
        for (int i = 1; i <= count; ++i) {
            answers.room.acquire();
            channel.basicPublish(
                    EXCHANGE, KEY, null, seal(deflater, buffer, texts.get(i % texts.size())));
            if (i == warmUp) {
                begin = now();
            }
        }
        answers.room.acquire(window);
        print(begin, now(), count - warmUp);
    }

    public static void main(String[] args) throws Exception {
        for (int i = 1; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(options.get("--url"));
        try (Connection connection = factory.newConnection()) {
            confirms(connection.createChannel());
        }
    }
}
