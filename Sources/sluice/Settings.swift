import Foundation
import Loop

/// A setting that is missing or cannot be used: which one, and what is allowed.
struct SettingError: Error, CustomStringConvertible {
    let description: String

    init(_ name: SettingName, _ problem: String) { description = "\(name.variable) (--\(name.flag)): \(problem)" }
}

/// How a setting is called in the environment and on the command line: `SLUICE_KAFKA` and `--kafka`.
struct SettingName: Sendable, ExpressibleByStringLiteral {
    let flag: String

    init(stringLiteral flag: StaticString) { self.flag = "\(flag)" }

    var variable: String { "SLUICE_" + flag.uppercased().replacingOccurrences(of: "-", with: "_") }
}

/// Reads settings: what the command line says, else the environment. An empty text is as good as none, so that a script
/// can pass a variable on that may not be set.
enum Settings {
    /// Nil when neither says anything.
    static func text(_ name: SettingName, _ flag: String?) -> String? {
        let value = flag ?? ProcessInfo.processInfo.environment[name.variable] ?? ""
        return value.isEmpty ? nil : value
    }

    /// - Parameter what: what it is, and in which form: `the primary's libpq connection string`.
    static func required(_ name: SettingName, _ flag: String?, _ what: String) throws(SettingError) -> String {
        guard let value = text(name, flag) else { throw SettingError(name, "missing: give \(what)") }
        return value
    }

    /// A whole number within a range; `absent` when nothing is said.
    static func integer(_ name: SettingName, _ flag: String?, in range: ClosedRange<Int>, absent: Int) throws(SettingError) -> Int {
        guard let value = text(name, flag) else { return absent }
        guard let number = Int(value), range.contains(number) else {
            throw SettingError(name, "'\(value)' is not allowed: use \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A TCP address with a port, or `unix:/path`; nil when nothing is said.
    static func address(_ name: SettingName, _ flag: String?) throws(SettingError) -> SocketAddress? {
        guard let value = text(name, flag) else { return nil }
        guard let address = SocketAddress(value) else {
            throw SettingError(name, "'\(value)' is not allowed: use ADDRESS:PORT, [IPV6]:PORT or unix:/path")
        }
        return address
    }

    /// The name of an instance: it becomes part of a Redis channel, a Kafka client's id and a database session's name.
    static func instanceName(_ flag: String?, absent: String) throws(SettingError) -> String {
        let name: SettingName = "name"
        let value = text(name, flag) ?? absent
        guard (1...40).contains(value.utf8.count), value.utf8.allSatisfy(isPlain) else {
            throw SettingError(name, "'\(value)' is not allowed: use 1 to 40 of A-Z a-z 0-9 . _ -")
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

/// Runs what may find a setting wrong: says so on standard error and ends the process with 2.
func withSettings<Result>(_ body: () throws(SettingError) -> Result) throws -> Result {
    do {
        return try body()
    } catch {
        FileHandle.standardError.write(Data("sluice: \(error)\n".utf8))
        throw CommandExit.wrongSetting
    }
}
