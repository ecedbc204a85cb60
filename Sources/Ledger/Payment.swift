/// Where a payment stands.
public enum PaymentStatus: UInt8, Sendable, CaseIterable {
    // The numbers are stored: never renumbered, never reused.
    /// Durable in the log, not decided yet.
    case processing = 0
    /// Money moved, and nothing is held for it.
    case settled = 1
    case declined = 2
    /// Its record in the log could not be read; an operator decides.
    case quarantined = 3
    /// The money is held, and perhaps captured in part.
    case authorized = 4
    /// The hold was given up before anything was captured.
    case voided = 5
    /// The hold ran out before anything was captured.
    case expired = 6

    public var name: StaticString {
        switch self {
        case .processing: "processing"
        case .settled: "settled"
        case .declined: "declined"
        case .quarantined: "quarantined"
        case .authorized: "authorized"
        case .voided: "voided"
        case .expired: "expired"
        }
    }
}

/// A payment with its outcome: what is stored, cached and shown.
public struct Payment: Equatable, Sendable {
    public let id: OperationID
    public let tenant: TenantID
    public let request: Pay
    public let acceptedAt: Timestamp
    public internal(set) var status: PaymentStatus
    public let declineReason: DeclineReason?
    /// Nil while it is processing.
    public let decidedAt: Timestamp?
    /// Rises by one with every change; 0 while it is processing.
    public internal(set) var revision: Int64
    /// Both set when it moved its money as it was decided.
    public let debitResult: LegResult?
    public let creditResult: LegResult?
    /// Of what was moved, minor units, 0 to the amount: all of it for one that is captured automatically.
    public internal(set) var captured: Int64
    /// Of what was moved back, minor units, 0 to `captured`.
    public internal(set) var refunded: Int64
    /// When its hold runs out; nil for one that was never held.
    public let holdUntil: Timestamp?
    /// What happened to it after its decision, oldest first; at most `changesMax` and the one that ends its hold.
    public internal(set) var history: [PaymentEvent]
    /// W3C trace context of the request that asked for it.
    public let traceparent: String?

    /// How long money is held unless the payment says otherwise: seven days.
    public static let holdMicroseconds: Int64 = 7 * 86_400 * 1_000_000
    /// Captures and refunds of one payment, so that what is known of it has a bound.
    public static let changesMax = 100

    /// What is still held for it, minor units.
    public var held: Int64 { status == .authorized ? request.amount - captured : 0 }
    /// What may still be refunded, minor units.
    public var refundable: Int64 { captured - refunded }

    /// - Parameter captured: nil for all of it where it is settled, and nothing else.
    public init(
        id: OperationID, tenant: TenantID, request: Pay, acceptedAt: Timestamp, status: PaymentStatus, declineReason: DeclineReason? = nil,
        decidedAt: Timestamp? = nil, revision: Int64 = 0, debitResult: LegResult? = nil, creditResult: LegResult? = nil,
        captured: Int64? = nil, refunded: Int64 = 0, holdUntil: Timestamp? = nil, history: [PaymentEvent] = [],
        traceparent: String? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.request = request
        self.acceptedAt = acceptedAt
        self.status = status
        self.declineReason = declineReason
        self.decidedAt = decidedAt
        self.revision = revision
        self.debitResult = debitResult
        self.creditResult = creditResult
        self.captured = captured ?? (status == .settled ? request.amount : 0)
        self.refunded = refunded
        self.holdUntil = holdUntil
        self.history = history
        self.traceparent = traceparent
    }
}
