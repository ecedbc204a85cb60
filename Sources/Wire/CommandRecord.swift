internal import Bytes
public import Ledger

/// A record of `payments.commands`: the command, and what its headers tell (docs/architecture.md, "The log").
public struct CommandRecord: Equatable, Sendable {
    /// The version that is written, and the only one that is read.
    public static let version = 1

    public private(set) var envelope: Envelope
    /// The longest name of a channel that waits.
    public static let replyToBytesMax = 80
    /// The Redis channel that waits for the outcome: 1 to `replyToBytesMax` visible ASCII characters.
    public let replyTo: String?

    /// A trace that is not valid is left out: it comes from the client, and no payment is refused for it.
    ///
    /// - Precondition: tenant, time and channel are within what a reader takes. A record that is refused after its command
    ///   was accepted is the worst that can be written.
    public init(envelope: Envelope, replyTo: String? = nil) {
        precondition(Self.tenants.contains(envelope.tenant.rawValue), "a tenant's number is 1 or more")
        precondition((.earliest ... .latest).contains(envelope.acceptedAt), "a time outside of RFC 3339")
        if var replyTo { replyTo.withUTF8 { precondition(unsafe Self.isChannel($0.span), "a channel's name that no reader takes") } }
        self.envelope = envelope
        if var trace = envelope.traceparent, !trace.withUTF8({ unsafe TraceContext.isValid(traceparent: $0.span) }) {
            self.envelope.traceparent = nil
        }
        self.replyTo = replyTo
    }

    /// Up to 18 digits.
    static let tenants: ClosedRange<Int64> = 1...999_999_999_999_999_999

    static func isChannel(_ text: Span<UInt8>) -> Bool {
        guard text.count >= 1, text.count <= replyToBytesMax else { return false }
        for index in 0..<text.count where !isVisible(text[index]) { return false }
        return true
    }

    /// Appends the record's value.
    public func appendValue(to buffer: inout [UInt8]) { buffer.append(canonical: envelope.command) }

    /// Lends the headers in order, each for the length of the call.
    ///
    /// - Parameter scratch: emptied and used; kept by the caller, so that nothing is allocated.
    public func forEachHeader(scratch: inout [UInt8], _ body: (_ name: StaticString, _ value: Span<UInt8>) -> Void) {
        func emit(_ name: StaticString, _ write: (inout [UInt8]) -> Void) {
            scratch.removeAll(keepingCapacity: true)
            write(&scratch)
            body(name, scratch.span)
        }
        emit("v") { $0.append(decimal: Int64(Self.version)) }
        emit("tenant") { $0.append(decimal: envelope.tenant.rawValue) }
        emit("id") { $0.append(envelope.id) }
        emit("fingerprint") { $0.append(envelope.fingerprint) }
        emit("accepted-at") { $0.append(decimal: envelope.acceptedAt.microseconds) }
        if let replyTo { emit("reply-to") { $0.append(text: replyTo) } }
        if let trace = envelope.traceparent { emit("traceparent") { $0.append(text: trace) } }
    }
}

/// Why a record is none. What is stored with a dead letter; no case says anything about the machine that reads.
public enum RecordProblem: Error, Equatable, Sendable, CustomStringConvertible {
    /// Written by a later build: not a fault of the record, so it must never become a dead letter.
    case unknownVersion(String)
    case missingHeader(HeaderName)
    case duplicateHeader(HeaderName)
    case invalidHeader(HeaderName)
    case malformedJSON
    /// Valid JSON that is no valid command, and the first thing that is wrong with it.
    case invalidCommand(ValidationProblem)
    /// A valid command, written in another way than the one that it has.
    case notCanonical

    /// The headers that mean something.
    public enum HeaderName: String, Sendable, CaseIterable {
        case version = "v"
        case tenant
        case id
        case fingerprint
        case acceptedAt = "accepted-at"
        case replyTo = "reply-to"
        case traceparent
    }

    /// One line for an operator.
    public var description: String {
        switch self {
        case .unknownVersion(let version): "the record's version is `\(version)`, and this build reads \(CommandRecord.version)"
        case .missingHeader(let name): "the header `\(name.rawValue)` is missing"
        case .duplicateHeader(let name): "the header `\(name.rawValue)` appears more than once"
        case .invalidHeader(let name): "the header `\(name.rawValue)` is not valid"
        case .malformedJSON: "the value is not JSON"
        case .invalidCommand(let problem): "the value is no command: \(problem.code.text) at `\(problem.pointer)`: \(problem.detail)"
        case .notCanonical: "the value is not in canonical form"
        }
    }
}
