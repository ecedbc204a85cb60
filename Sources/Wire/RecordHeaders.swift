internal import Bytes
public import Ledger

/// A record's headers as they are read, one by one. Reused for the next record after `removeAll`.
///
/// Headers of other names are passed over: what carries records between clusters adds its own.
public struct RecordHeaders: Sendable {
    public typealias Name = RecordProblem.HeaderName

    private(set) var tenant: TenantID?
    private(set) var id: OperationID?
    private(set) var fingerprint: Fingerprint?
    private(set) var acceptedAt: Timestamp?
    private(set) var replyTo: String?
    public private(set) var traceparent: String?
    private var versionSeen = false
    private var unknownVersion: String?
    private var firstProblem: RecordProblem?

    public init() {}

    public mutating func removeAll() { self = RecordHeaders() }

    /// The payment's id as far as the headers tell it, for a record that is otherwise not readable.
    public var operation: (tenant: TenantID, id: OperationID)? {
        guard let tenant, let id else { return nil }
        return (tenant, id)
    }

    /// Takes in one header. What is wrong with it is told by `problem`.
    public mutating func add(name: Span<UInt8>, value: Span<UInt8>) {
        if name.equals("v") {
            addVersion(value)
        } else if name.equals("tenant") {
            let number = Self.integer(value)
            tenant = taken(tenant, number.flatMap { CommandRecord.tenants.contains($0) ? TenantID($0) : nil }, .tenant)
        } else if name.equals("id") {
            id = taken(id, OperationID(hex: value), .id)
        } else if name.equals("fingerprint") {
            fingerprint = taken(fingerprint, Fingerprint(hex: value), .fingerprint)
        } else if name.equals("accepted-at") {
            let time = Self.integer(value).map { Timestamp(microseconds: $0) }
            acceptedAt = taken(acceptedAt, time.flatMap { $0 <= .latest ? $0 : nil }, .acceptedAt)
        } else if name.equals("reply-to") {
            replyTo = taken(replyTo, CommandRecord.isChannel(value) ? value.string : nil, .replyTo)
        } else if name.equals("traceparent") {
            traceparent = taken(traceparent, TraceContext.isValid(traceparent: value) ? value.string : nil, .traceparent)
        }
    }

    /// Nil when the headers are all there and valid. An unknown version comes before everything else: what the other
    /// headers mean then is not known.
    public var problem: RecordProblem? {
        if let unknownVersion { return .unknownVersion(unknownVersion) }
        if let firstProblem { return firstProblem }
        if !versionSeen { return .missingHeader(.version) }
        if tenant == nil { return .missingHeader(.tenant) }
        if id == nil { return .missingHeader(.id) }
        if fingerprint == nil { return .missingHeader(.fingerprint) }
        return acceptedAt == nil ? .missingHeader(.acceptedAt) : nil
    }

    private mutating func addVersion(_ value: Span<UInt8>) {
        if versionSeen { firstProblem = firstProblem ?? .duplicateHeader(.version) }
        versionSeen = true
        if let number = Self.integer(value) {
            if number != CommandRecord.version { unknownVersion = unknownVersion ?? String(number) }
        } else {
            firstProblem = firstProblem ?? .invalidHeader(.version)
        }
    }

    /// What the header is after it was met with `new`, nil for an invalid one, on top of `old`.
    private mutating func taken<Value>(_ old: Value?, _ new: Value?, _ name: Name) -> Value? {
        if old != nil {
            firstProblem = firstProblem ?? .duplicateHeader(name)
        } else if new == nil {
            firstProblem = firstProblem ?? .invalidHeader(name)
        }
        return old ?? new
    }

    /// A number of up to 18 digits without leading zeros.
    private static func integer(_ text: Span<UInt8>) -> Int64? {
        guard text.count >= 1, text.count <= 18, text.count == 1 || text[0] != UInt8(ascii: "0") else { return nil }
        var value: Int64 = 0
        for index in 0..<text.count {
            guard isDigit(text[index]) else { return nil }
            value = value * 10 + Int64(text[index] - UInt8(ascii: "0"))
        }
        return value
    }
}

extension RequestReader {
    /// Reads a record of the log. Strict: the value must be the canonical JSON of a valid command, byte for byte, because its
    /// fingerprint is over exactly that.
    public func record(value: Span<UInt8>, headers: RecordHeaders) -> Result<CommandRecord, RecordProblem> {
        if let problem = headers.problem { return .failure(problem) }
        guard let tenant = headers.tenant, let id = headers.id, let fingerprint = headers.fingerprint, let acceptedAt = headers.acceptedAt
        else { preconditionFailure("headers without a problem are complete") }
        switch command(canonical: value) {
        case .failure(let problem): return .failure(problem)
        case .success(let command):
            let envelope = Envelope(
                id: id, tenant: tenant, fingerprint: fingerprint, acceptedAt: acceptedAt, command: command, traceparent: headers.traceparent
            )
            return .success(CommandRecord(envelope: envelope, replyTo: headers.replyTo))
        }
    }

    /// Reads a command's canonical JSON.
    public func command(canonical value: Span<UInt8>) -> Result<Command, RecordProblem> {
        guard json.read(value) == nil else { return .failure(.malformedJSON) }
        var form = Form(json, allowed: Self.recordMembers)
        let command = form.command()
        guard form.errorsFound == 0, let command else {
            return .failure(.invalidCommand(form.errors.first ?? ValidationProblem(.invalidValue, at: "", "no command")))
        }
        return Self.isCanonical(value, of: command, &scratch) ? .success(command) : .failure(.notCanonical)
    }

    private static func isCanonical(_ value: Span<UInt8>, of command: Command, _ scratch: inout [UInt8]) -> Bool {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(canonical: command)
        return value.equals(scratch.span)
    }
}
