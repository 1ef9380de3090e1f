import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.lang.management.ManagementFactory;
import software.amazon.event.ruler.Machine;

/**
 * How many events a second event-ruler decides on one thread: the counterpart of the bench `winners`, with the same
 * patterns, events and rounds. Arguments: the folder that the bench has written, and numbers of rules.
 */
public final class EventRuler {
    private static final int ROUNDS = 7;
    /** So long that the compiler is done, also where it has to share its processors. */
    private static final int WARM_UP_ROUNDS = 20;
    private static final long ROUND_NANOS = 300_000_000L;

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        List<String> events = Files.readAllLines(folder.resolve("events.jsonl"));
        System.out.println("| rules | build ms | events/s | slowest | fastest | heap MiB | matches/event |");
        System.out.println("|---|---|---|---|---|---|---|");
        for (int at = 1; at < arguments.length; at++) {
            measure(folder, arguments[at], events);
        }
    }

    private static void measure(Path folder, String size, List<String> events) throws Exception {
        List<String> patterns = Files.readAllLines(folder.resolve("patterns-" + size + ".jsonl"));
        long started = System.nanoTime();
        Machine machine = new Machine();
        for (int rule = 0; rule < patterns.size(); rule++) {
            machine.addRule("rule-" + rule, patterns.get(rule));
        }
        double buildMillis = (System.nanoTime() - started) / 1e6;
        for (int round = 0; round < WARM_UP_ROUNDS; round++) {
            round(machine, events);
        }
        List<Double> perSecond = new ArrayList<>();
        double matches = 0;
        for (int round = 0; round < ROUNDS; round++) {
            double[] result = round(machine, events);
            perSecond.add(result[0]);
            matches = result[1];
        }
        double[] sorted = perSecond.stream().mapToDouble(value -> value).sorted().toArray();
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        long heap = (runtime.totalMemory() - runtime.freeMemory()) / (1 << 20);
        System.out.printf(
                "| %s | %.0f | %.0f | %.0f | %.0f | %d | %.2f |%n",
                size, buildMillis, sorted[ROUNDS / 2], sorted[0], sorted[ROUNDS - 1], heap, matches);
    }

    /** Decides events until the time is over; returns events a second on the processor, and matches an event. */
    private static double[] round(Machine machine, List<String> events) throws Exception {
        long end = System.nanoTime() + ROUND_NANOS;
        long spent = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
        long decided = 0;
        long matches = 0;
        // Where one pass takes longer than a round, a part of it must do.
        while (decided == 0 || System.nanoTime() < end) {
            for (String event : events) {
                matches += machine.rulesForJSONEvent(event).size();
                decided++;
                if (System.nanoTime() >= end) {
                    break;
                }
            }
        }
        spent = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - spent;
        return new double[] {decided * 1e9 / spent, (double) matches / decided};
    }
}
