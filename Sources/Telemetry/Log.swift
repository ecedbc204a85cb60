internal import Glibc

/// One JSON object a line on standard error: time, level, process name, message, fields.
///
/// For events an operator reads, not for requests: each call formats and makes one `write`. A message that repeats is left out past
/// `LogGate.linesMax` lines in ten seconds; the next line of it, or one that `tellLeftOut` writes, has the count as `left_out`.
public enum Log {
    public enum Level: String, Sendable { case debug, info, warning, error }

    /// One named value of a line. Secrets never become fields.
    public struct Field: Sendable {
        public let name: String
        public let value: Value

        public enum Value: Sendable {
            case text(String)
            case integer(Int64)
            case flag(Bool)
            /// Nothing is written of the field.
            case absent
        }

        public static func text(_ name: String, _ value: String?) -> Field { Field(name: name, value: value.map(Value.text) ?? .absent) }
        public static func integer(_ name: String, _ value: some BinaryInteger) -> Field {
            Field(name: name, value: .integer(Int64(clamping: value)))
        }
        public static func flag(_ name: String, _ value: Bool) -> Field { Field(name: name, value: .flag(value)) }
    }

    private struct Settings {
        var process = "sluice"
        var debug = false
        var gate = LogGate()
    }
    private static let settings = Locked(Settings())

    /// Called once at start, before the first line. `process` is the instance's name, as `gateway-a`.
    public static func configure(process: String, debug: Bool) {
        settings.withLock { ($0.process, $0.debug) = (process, debug) }
    }

    /// Whether `debug` writes anything: for what is not worth making otherwise.
    public static var isDebugging: Bool { settings.withLock { $0.debug } }

    public static func debug(_ message: StaticString, _ fields: Field...) {
        guard isDebugging else { return }
        write(.debug, message, fields)
    }
    public static func info(_ message: StaticString, _ fields: Field...) { write(.info, message, fields) }
    public static func warning(_ message: StaticString, _ fields: Field...) { write(.warning, message, fields) }
    public static func error(_ message: StaticString, _ fields: Field...) { write(.error, message, fields) }

    public static func debug(_ message: StaticString, fields: [Field]) { if isDebugging { write(.debug, message, fields) } }
    public static func warning(_ message: StaticString, fields: [Field]) { write(.warning, message, fields) }
    public static func error(_ message: StaticString, fields: [Field]) { write(.error, message, fields) }

    /// Tells how many lines were left out of messages that have not come again. Called now and then, and at the end of the process.
    public static func tellLeftOut(isEnding: Bool = false) {
        let now = Clock.monotonicMilliseconds
        let (process, leftOut) = settings.withLock { ($0.process, $0.gate.takeLeftOut(nowMilliseconds: now, isEnding: isEnding)) }
        for one in leftOut { write(one.level, process, one.message, [.integer("left_out", one.count)]) }
    }

    private static func write(_ level: Level, _ message: StaticString, _ fields: [Field]) {
        let now = Clock.monotonicMilliseconds
        let (process, leftOut) = settings.withLock { settings in
            // Who asks for the finest lines wants all of them.
            (settings.process, level == .debug ? 0 : settings.gate.admit(message, level, nowMilliseconds: now))
        }
        guard let leftOut else { return }
        write(level, process, message, leftOut == 0 ? fields : fields + [.integer("left_out", leftOut)])
    }

    private static func write(_ level: Level, _ process: String, _ message: StaticString, _ fields: [Field]) {
        var line = "{\"time_us\":\(Clock.wallMicroseconds),\"level\":\"\(level.rawValue)\",\"process\":"
        line += quoted(process) + ",\"message\":" + quoted("\(message)")
        for field in fields {
            let value: String
            switch field.value {
            case .text(let text): value = quoted(text)
            case .integer(let number): value = String(number)
            case .flag(let flag): value = flag ? "true" : "false"
            case .absent: continue
            }
            line += "," + quoted(field.name) + ":" + value
        }
        line += "}\n"
        // One write a line, so that lines of several threads and processes do not mix.
        line.withUTF8 { bytes in _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
