internal import CLibpq

/// A connection string taken apart, so that an attempt can begin with another host than the first.
///
/// libpq tries the hosts in order and gives each one up only when its own time-out passes, which exists only in the
/// blocking connect. So a frozen first host would keep a loop's attempts from ever reaching the second one.
@safe
struct ConnectionTarget {
    private var options: [(keyword: String, value: String)] = []

    /// Throws `.connectFailed` for what is no connection string.
    init(_ connectionString: String) throws(PostgresError) {
        var message: UnsafeMutablePointer<CChar>?
        guard let parsed = unsafe PQconninfoParse(connectionString, &message) else {
            defer { unsafe PQfreemem(message) }
            throw .connectFailed(message: unsafe message.map { unsafe trimmed(String(cString: $0)) } ?? "out of memory")
        }
        defer { unsafe PQconninfoFree(parsed) }
        var option = unsafe parsed
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val { unsafe options.append((String(cString: keyword), String(cString: value))) }
            unsafe option += 1
        }
    }

    private static let secrets = ["password", "sslpassword"]

    var hasPassword: Bool { options.contains { Self.secrets.contains($0.keyword) } }

    /// Without the values of secrets.
    var shown: String {
        options.map { option in
            let value = Self.secrets.contains(option.keyword) ? "set" : option.value
            return "\(option.keyword)=" + (value.isEmpty || value.contains(" ") ? "'\(value)'" : value)
        }.joined(separator: " ")
    }

    /// How many hosts are named; 1 when the environment or libpq's default says where.
    var hostCount: Int {
        options.filter { $0.keyword == "host" || $0.keyword == "hostaddr" }.map { Self.parts($0.value).count }.max() ?? 1
    }

    /// The options, with host number `rotation` (modulo their count) first. `defaults` give way to the string's own.
    func options(rotation: Int, defaults: [(keyword: String, value: String)]) -> [(keyword: String, value: String)] {
        let own = options.map { option in
            guard ["host", "hostaddr", "port"].contains(option.keyword) else { return option }
            let parts = Self.parts(option.value)
            let offset = rotation % parts.count
            return (option.keyword, (parts[offset...] + parts[..<offset]).joined(separator: ","))
        }
        return defaults.filter { candidate in !own.contains { $0.keyword == candidate.keyword } } + own
    }

    private static func parts(_ value: String) -> [Substring] { value.split(separator: ",", omittingEmptySubsequences: false) }
}

/// libpq ends its messages with a line break, and puts several on lines of their own.
func trimmed(_ message: String) -> String {
    message.split(separator: "\n").joined(separator: "; ")
}
