/// Asks for a change of a payment that was decided before.
public struct ChangePayment: Equatable, Sendable {
    public enum Change: Equatable, Sendable {
        /// Moves money that is held: `amount` minor units, nil for all of it. After the final one nothing is held any longer.
        case capture(amount: Int64?, isFinal: Bool)
        /// Gives up what is still held.
        case void
        /// The hold ran out. The partition's owner puts it into the log: whether it comes before a capture is decided there, and
        /// by no clock afterwards.
        case expire
        /// Moves back what was captured: `amount` minor units, nil for all that is left.
        case refund(amount: Int64?)
    }

    public let payment: OperationID
    public let change: Change

    public init(payment: OperationID, change: Change) {
        self.payment = payment
        self.change = change
    }
}

/// What became of a change of a payment.
public struct PaymentChange: Equatable, Sendable {
    public enum Kind: UInt8, Sendable, CaseIterable {
        // The numbers are stored: never renumbered, never reused. Those of account commands are in the same column.
        case capture = 6
        case void = 7
        case expiry = 8
        case refund = 9

        public var name: StaticString {
            switch self {
            case .capture: "capture"
            case .void: "void"
            case .expiry: "expiry"
            case .refund: "refund"
            }
        }
    }

    public let id: OperationID
    public let tenant: TenantID
    public let request: ChangePayment
    public let decidedAt: Timestamp
    public let declineReason: DeclineReason?
    /// What was captured or refunded, minor units; 0 when nothing moved.
    public let moved: Int64
    /// What was held and was given up, minor units.
    public let released: Int64
    /// The payment's revision after it; nil when it was declined.
    public let paymentRevision: Int64?
    /// The number of the account that its movement debits; nil when nothing moved.
    public let debitAccount: Int64?
    public let debitResult: LegResult?
    public let creditResult: LegResult?

    public init(
        id: OperationID, tenant: TenantID, request: ChangePayment, decidedAt: Timestamp, declineReason: DeclineReason? = nil,
        moved: Int64 = 0, released: Int64 = 0, paymentRevision: Int64? = nil, debitAccount: Int64? = nil, debitResult: LegResult? = nil,
        creditResult: LegResult? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.request = request
        self.decidedAt = decidedAt
        self.declineReason = declineReason
        self.moved = moved
        self.released = released
        self.paymentRevision = paymentRevision
        self.debitAccount = debitAccount
        self.debitResult = debitResult
        self.creditResult = creditResult
    }
}

extension ChangePayment {
    public var kind: PaymentChange.Kind {
        switch change {
        case .capture: .capture
        case .void: .void
        case .expire: .expiry
        case .refund: .refund
        }
    }
}

/// One change in a payment's history.
public struct PaymentEvent: Equatable, Sendable {
    /// The operation's id.
    public let id: OperationID
    public let kind: PaymentChange.Kind
    /// What was captured or refunded, minor units.
    public let moved: Int64
    /// What was held and was given up, minor units.
    public let released: Int64
    public let at: Timestamp

    public init(id: OperationID, kind: PaymentChange.Kind, moved: Int64, released: Int64, at: Timestamp) {
        self.id = id
        self.kind = kind
        self.moved = moved
        self.released = released
        self.at = at
    }
}
