import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import software.amazon.event.ruler.Machine;

/**
 * What event-ruler says of patterns and events, for the test `beside_event_ruler`. A line of the input is a kind and a
 * document with a space between: `pattern` begins a machine of that rule alone, `event` asks it. One line is answered to
 * each: `taken`, or `refused` and why; `yes` or `no`, or `failed` and why.
 */
public final class Matches {
    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        Machine machine = new Machine();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] parts = line.split(" ", 2);
            String answer;
            try {
                if (parts[0].equals("pattern")) {
                    machine = new Machine();
                    machine.addRule("rule", parts[1]);
                    answer = "taken";
                } else {
                    answer = machine.rulesForJSONEvent(parts[1]).isEmpty() ? "no" : "yes";
                }
            } catch (Exception problem) {
                answer = (parts[0].equals("pattern") ? "refused " : "failed ") + problem;
            }
            output.println(answer.replace('\n', ' '));
        }
        output.flush();
    }
}
