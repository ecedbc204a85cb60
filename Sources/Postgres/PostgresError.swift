/// The five characters of an SQLSTATE (PostgreSQL's manual, appendix A), as `"23505"`.
public struct SQLState: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// The five ASCII bytes in the low 40 bits, the first one highest.
    private let packed: UInt64

    /// Anything but five bytes is "XX000", internal error.
    public init(_ text: String) {
        let bytes = text.utf8.count == 5 ? Array(text.utf8) : Array("XX000".utf8)
        packed = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    public init(stringLiteral text: StaticString) { self.init("\(text)") }

    /// The first two characters, as `"23"`.
    public var errorClass: String { String(description.prefix(2)) }

    public var description: String {
        String(decoding: (0..<5).map { UInt8(truncatingIfNeeded: packed >> (32 - 8 * UInt64($0))) }, as: UTF8.self)
    }
}

/// What went wrong with a query or a connection.
public enum PostgresError: Error, Hashable, Sendable {
    /// The server refused a command. The queries that were executed together with it had no effect.
    case serverError(sqlState: SQLState, message: String, detail: String?)
    /// The connection broke before the answer was complete. With `afterSending` the outcome is unknown: the commit may
    /// have happened. Without it, it has not.
    case lost(afterSending: Bool)
    /// No answer by the deadline; the connection was dropped. The outcome is unknown.
    case timedOut
    /// There is no usable connection; nothing was sent.
    case notReady
    /// The session was closed, or the execution cancelled, by its owner. The outcome is unknown.
    case cancelled
    /// A connection could not be opened or set up; libpq's own words.
    case connectFailed(message: String)
    /// The server answered with something that has no place in a pipeline, as COPY data: a bug in the statement. The
    /// connection was dropped; the outcome is unknown.
    case unexpectedAnswer(message: String)

    /// What to do about it.
    public enum Recovery: Sendable {
        /// The same may succeed later or elsewhere; see `isOutcomeUnknown` before repeating a write.
        case retry
        /// These values will never be accepted: an error of class 22 or 23.
        case dataRefused
        /// A bug or a broken set-up: repeating it does not help.
        case giveUp
    }

    public var recovery: Recovery {
        switch self {
        case .lost, .timedOut, .notReady, .cancelled, .connectFailed: .retry
        case .unexpectedAnswer: .giveUp
        case .serverError(let state, _, _): Self.recovery(of: state)
        }
    }

    /// Whether what was sent may have been committed all the same.
    public var isOutcomeUnknown: Bool {
        switch self {
        case .lost(let afterSending): afterSending
        case .timedOut, .cancelled, .unexpectedAnswer: true
        case .serverError, .notReady, .connectFailed: false
        }
    }

    private static func recovery(of state: SQLState) -> Recovery {
        // A parameter in the wrong binary form is our bug, not the data's.
        if state == "22P03" { return .giveUp }
        // A write on a server that is (still or again) read-only: another one is, or will be, the primary.
        if state == "25006" { return .retry }
        // A statement that the server knew no more, or whose plan a migration made void: prepared anew on next use.
        if state == "26000" || state == "0A000" { return .retry }
        return switch state.errorClass {
        case "22", "23": .dataRefused
        // Connection, rollback (serialization, deadlock, recovery conflict), resources, locks, operator, system.
        case "08", "40", "53", "55", "57", "58": .retry
        default: .giveUp
        }
    }
}

extension PostgresError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .serverError(let state, let message, let detail): "\(message) (SQLSTATE \(state))" + (detail.map { ": \($0)" } ?? "")
        case .lost(let afterSending):
            afterSending ? "the connection was lost; the outcome is unknown" : "the connection was lost before anything was sent"
        case .timedOut: "no answer by the deadline"
        case .notReady: "not connected"
        case .cancelled: "closed while in flight"
        case .connectFailed(let message): message
        case .unexpectedAnswer(let message): message
        }
    }
}
