import com.thoughtworks.xstream.XStream;
import com.thoughtworks.xstream.security.AnyTypePermission;
import java.lang.reflect.Field;
import org.apache.jmeter.JMeter;
import org.apache.jmeter.save.SaveService;
import org.apache.jmeter.util.JMeterUtils;

/**
 * Starts Debian's JMeter 2.13. Its XStream is newer than it and loads no class that was not allowed, and JMeter allows none: it
 * reads no plan, says so in its log, and exits with 0. Plans are our own files, so every class is allowed here.
 *
 * The class path has all of JMeter's jars: its own driver would load SaveService a second time, with the filter closed.
 */
public final class OpenXStream {
    public static void main(String[] arguments) throws Exception {
        String home = System.getProperty("jmeter.home");
        JMeterUtils.setJMeterHome(home);
        JMeterUtils.loadJMeterProperties(home + "/bin/jmeter.properties");
        for (String name : new String[] {"JMXSAVER", "JTLSAVER"}) {
            Field field = SaveService.class.getDeclaredField(name);
            field.setAccessible(true);
            ((XStream) field.get(null)).addPermission(AnyTypePermission.ANY);
        }
        new JMeter().start(arguments);
    }
}
