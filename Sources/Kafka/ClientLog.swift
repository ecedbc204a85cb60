internal import CRdkafka
internal import Telemetry

/// Writes librdkafka's log lines.
///
/// librdkafka masks passwords in its own lines; nothing of a record's contents is ever in them.
enum ClientLog {
    static func write(_ event: OpaquePointer) {
        var facility: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        var level: Int32 = 0
        guard unsafe rd_kafka_event_log(event, &facility, &text, &level) == 0, let facility = unsafe facility, let text = unsafe text else {
            return
        }
        // It warns at each start that this setting, which we chose, is experimental.
        if unsafe String(cString: text).hasPrefix("Configuration property enable.gapless.guarantee") { return }
        let fields = unsafe (Log.Field.text("facility", String(cString: facility)), Log.Field.text("text", String(cString: text)))
        // syslog's levels: up to 3 an error, 4 a warning, 7 debugging.
        switch level {
        case ...3: Log.error("librdkafka", fields.0, fields.1)
        case 4: Log.warning("librdkafka", fields.0, fields.1)
        case 7...: Log.debug("librdkafka", fields.0, fields.1)
        default: Log.info("librdkafka", fields.0, fields.1)
        }
    }
}
