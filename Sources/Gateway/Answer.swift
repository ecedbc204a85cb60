internal import Bytes
internal import HTTP1
internal import Ledger
internal import Wire

/// An answer's status and fields; its body goes beside it, so that a cached one is copied once, from Redis's buffer into the
/// connection's. Pure: `write` renders and does nothing else.
struct Answer {
    enum ContentType: Equatable { case json, problem }

    enum Location: Equatable {
        case payment(OperationID)
        case account(AccountID)
    }

    var status: Status
    var contentType = ContentType.json
    /// What `ETag` is made of; nil for none.
    var revision: Int64?
    var location: Location?
    var retryAfterSeconds: UInt64?
    /// Whether the command was asked for before.
    var isReplayed = false
    /// The seconds of `Prefer: wait` when it was honoured.
    var appliedWaitSeconds: Int?
    /// The `Allow` field of a 405.
    var allow: StaticString?
    /// The quota that a 429 is about.
    var quota: QuotaPolicy?

    init(_ status: Status) { self.status = status }

    /// What goes around a problem's body.
    init(_ code: ProblemCode) {
        guard let status = UInt16(exactly: code.status).flatMap(Status.init(rawValue:)) else {
            preconditionFailure("a problem has a status that is not served")
        }
        self.status = status
        contentType = .problem
        switch code {
        case .notAccepted, .serviceUnavailable, .outcomeUnknown, .tooManyRequests, .paymentNotVisibleYet, .revisionNotReached:
            retryAfterSeconds = 1
        default: break
        }
    }

    /// Appends the whole answer.
    func write(body: Span<UInt8>, _ rendering: ConnectionMachine.Rendering, to output: inout [UInt8], date: Span<UInt8>) {
        let writer = ResponseWriter(status, rendering)
        writer.begin(&output, date: date)
        if !status.excludesBody {
            writer.field(&output, "Content-Type", contentType == .json ? "application/json" : "application/problem+json")
        }
        if let revision {
            output.append("ETag: ")
            EntityTag.append(revision: revision, to: &output)
            output.append("\r\n")
        }
        if let location { Self.append(location, to: &output) }
        if let retryAfterSeconds { writer.field(&output, "Retry-After", decimal: retryAfterSeconds) }
        if isReplayed { writer.field(&output, "Idempotency-Replayed", "true") }
        if let appliedWaitSeconds {
            output.append("Preference-Applied: wait=")
            output.append(decimal: UInt64(appliedWaitSeconds))
            output.append("\r\n")
        }
        quota?.append(remaining: 0, to: &output)
        if let allow { writer.field(&output, "Allow", allow) }
        // RFC 9110 section 11.6.1: a 401 names the scheme.
        if status == .unauthorized { writer.field(&output, "WWW-Authenticate", "Bearer realm=\"sluice\"") }
        writer.end(&output, body: body)
    }

    /// Ids hold no byte that a field's value or a path must not have.
    private static func append(_ location: Location, to output: inout [UInt8]) {
        switch location {
        case .payment(let id):
            output.append("Location: /v1/payments/")
            output.append(id)
        case .account(let id):
            output.append("Location: /v1/accounts/")
            output.append(text: id.text)
        }
        output.append("\r\n")
    }
}

extension Problem {
    /// A parser's refusal as a problem.
    init(_ refusal: Refusal) {
        let code: ProblemCode =
            switch refusal.status {
            case .requestTimeout: .requestTimeout
            case .lengthRequired: .lengthRequired
            case .contentTooLarge: .contentTooLarge
            case .uriTooLong: .uriTooLong
            case .expectationFailed: .expectationFailed
            case .requestHeaderFieldsTooLarge: .headerFieldsTooLarge
            case .notImplemented: .notImplemented
            case .httpVersionNotSupported: .httpVersionNotSupported
            default: .badRequest
            }
        self.init(code, detail: "\(refusal.reason)")
    }

    /// A database that cannot be asked now.
    static var noDatabase: Problem { Problem(.serviceUnavailable, detail: "no database can answer now") }
    /// For one that has ended only its own side of the connection, and reads on.
    static var clientHasLeft: Problem { Problem(.serviceUnavailable, detail: "the client ended the connection before the answer came") }
}
