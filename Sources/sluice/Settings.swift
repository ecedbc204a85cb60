import Foundation
import Loop
import Telemetry

/// A setting that is missing or cannot be used: which one, and what is allowed.
struct SettingError: Error, CustomStringConvertible {
    let description: String

    init(_ name: SettingName, _ problem: String) { description = "\(name.variable)\(name.flag.map { " (--\($0))" } ?? ""): \(problem)" }
}

/// How a setting is called in the environment and on the command line: `SLUICE_KAFKA` and `--kafka`.
struct SettingName: Sendable, Hashable, ExpressibleByStringLiteral {
    /// Nil where the command line has none.
    let flag: String?
    let variable: String

    init(stringLiteral flag: StaticString) { self.init(flag: "\(flag)", of: "") }

    /// - Parameter role: stands in the variable's name, where another role has a flag of the same name.
    init(flag: String, of role: String) {
        self.flag = flag
        variable = "SLUICE_" + role + flag.uppercased().replacingOccurrences(of: "-", with: "_")
    }

    private init(variable: String) { (flag, self.variable) = (nil, variable) }

    /// For whoever looks for a fault: whole lines of librdkafka and PostgreSQL, and each decision.
    static let debug = SettingName(variable: "SLUICE_DEBUG")
    /// Everybody on a machine can read an argument list.
    static let redisPassword = SettingName(variable: "SLUICE_REDIS_PASSWORD")
}

/// Reads settings: what the command line says, else the environment, else a file that the environment names for this one setting
/// (`SLUICE_REDIS_PASSWORD_FILE`), else the file that `SLUICE_SETTINGS` names. An empty text is as good as none, so that a script can pass
/// a variable on that may not be set.
enum Settings {
    /// What was read, for `--check-config`.
    struct Reading: Sendable {
        let name: SettingName
        /// As it may be shown: nothing of a secret but that it is set. Nil when nothing says anything.
        var shown: String?
        var source: String
        /// What is allowed.
        let allowed: String
    }
    private static let readings = Locked<[Reading]>([])

    /// In the order in which they were asked for.
    static var all: [Reading] { readings.withLock { $0 } }

    /// Nil when nothing says anything.
    ///
    /// - Parameters:
    ///   - allowed: what may stand there, for people.
    ///   - isSecret: its value is shown nowhere and not taken from the command line, which everybody on the machine can read.
    ///   - shown: what of the value may be shown.
    static func text(
        _ name: SettingName, _ flag: String?, allowed: String = "text", isSecret: Bool = false, shown: (String) -> String = { $0 }
    ) throws(SettingError) -> String? {
        let found = try find(name, flag)
        let reading = Reading(
            name: name, shown: found.map { isSecret ? "set" : shown($0.value) }, source: found?.source ?? "-", allowed: allowed)
        readings.withLock { readings in
            readings.removeAll { $0.name == name }
            readings.append(reading)
        }
        return found?.value
    }

    /// Notes the value that stands where nothing says anything.
    private static func noteDefault(_ name: SettingName, _ value: String) {
        readings.withLock { readings in
            guard let index = readings.firstIndex(where: { $0.name == name }), readings[index].shown == nil else { return }
            (readings[index].shown, readings[index].source) = (value, "default")
        }
    }

    private static func find(_ name: SettingName, _ flag: String?) throws(SettingError) -> (value: String, source: String)? {
        if let flag, !flag.isEmpty { return (flag, "flag") }
        let environment = ProcessInfo.processInfo.environment
        // A flag that is given empty says that there is none.
        if flag == nil, let value = environment[name.variable], !value.isEmpty { return (value, "environment") }
        if flag == nil, let path = environment[name.variable + "_FILE"], !path.isEmpty {
            let value = try contents(of: path, name).trimmingCharacters(in: .newlines)
            return value.isEmpty ? nil : (value, path)
        }
        if flag == nil, let path = environment["SLUICE_SETTINGS"], !path.isEmpty,
            let value = SettingsFile.value(of: name.variable, in: try contents(of: path, name)), !value.isEmpty
        {
            return (value, path)
        }
        return nil
    }

    private static func contents(of path: String, _ name: SettingName) throws(SettingError) -> String {
        do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw SettingError(name, "the file \(path) cannot be read")
        }
    }

    /// - Parameter what: what it is, and in which form: `the primary's libpq connection string`.
    static func required(
        _ name: SettingName, _ flag: String?, _ what: String, shown: (String) -> String = { $0 }
    ) throws(SettingError) -> String {
        guard let value = try text(name, flag, allowed: what, shown: shown) else { throw SettingError(name, "missing: give \(what)") }
        return value
    }

    /// A text with a default.
    static func text(_ name: SettingName, _ flag: String?, allowed: String, absent: String) throws(SettingError) -> String {
        if let value = try text(name, flag, allowed: allowed) { return value }
        noteDefault(name, absent)
        return absent
    }

    /// A whole number within a range; `absent` when nothing is said.
    static func integer(_ name: SettingName, _ flag: String?, in range: ClosedRange<Int>, absent: Int) throws(SettingError) -> Int {
        let allowed = "\(range.lowerBound) to \(range.upperBound)"
        guard let value = try text(name, flag, allowed: allowed) else {
            noteDefault(name, "\(absent)")
            return absent
        }
        guard let number = Int(value), range.contains(number) else { throw SettingError(name, "'\(value)' is not allowed: use \(allowed)") }
        return number
    }

    /// A TCP address with a port, or `unix:/path`; nil when nothing is said.
    static func address(_ name: SettingName, _ flag: String?) throws(SettingError) -> SocketAddress? {
        let allowed = "ADDRESS:PORT, [IPV6]:PORT or unix:/path"
        guard let value = try text(name, flag, allowed: allowed) else { return nil }
        guard let address = SocketAddress(value) else { throw SettingError(name, "'\(value)' is not allowed: use \(allowed)") }
        return address
    }

    /// The name of an instance: it becomes part of a Redis channel, a Kafka client's id and a database session's name.
    static func instanceName(_ flag: String?, absent: String) throws(SettingError) -> String {
        let name: SettingName = "name"
        let allowed = "1 to 40 of A-Z a-z 0-9 . _ -"
        let value = try text(name, flag, allowed: allowed, absent: absent)
        guard (1...40).contains(value.utf8.count), value.utf8.allSatisfy(isPlain) else {
            throw SettingError(name, "'\(value)' is not allowed: use \(allowed)")
        }
        return value
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
    }
}

/// The lines of a settings file: `NAME=VALUE`, as systemd's EnvironmentFile and `settings.env` of `sluice up` have them.
enum SettingsFile {
    /// The last line that names it counts; quotes around the whole value are taken off.
    static func value(of variable: String, in text: String) -> String? {
        var result: String?
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop(while: \.isWhitespace)
            guard line.hasPrefix(variable), line.dropFirst(variable.count).first == "=" else { continue }
            var value = line.dropFirst(variable.count + 1).trimmingCharacters(in: .whitespaces)
            for quote in ["'", "\""] where value.count >= 2 && value.hasPrefix(quote) && value.hasSuffix(quote) {
                value = String(value.dropFirst().dropLast())
                break
            }
            result = value
        }
        return result
    }
}

/// Runs what may find a setting wrong: says so on standard error and ends the process with 2.
func withSettings<Result>(_ body: () throws(SettingError) -> Result) throws -> Result {
    do {
        return try body()
    } catch {
        FileHandle.standardError.write(Data("sluice: \(error)\n".utf8))
        throw CommandExit.wrongSetting
    }
}
