public import Ledger
public import Postgres

/// Where a record stands in the log.
public struct LogPosition: Hashable, Sendable {
    public let partition: Int32
    public let offset: Int64
    public init(partition: Int32, offset: Int64) {
        self.partition = partition
        self.offset = offset
    }
}

/// Everything that one batch stores, in one transaction.
public struct StoredBatch: Sendable {
    /// The outcome of a command that is not a payment.
    public struct Operation: Sendable {
        public let envelope: Envelope
        /// Of an account command.
        public let account: AccountID?
        /// The account's revision after it; nil when it was declined.
        public let accountRevision: Int64?
        /// Of a change of a payment.
        public let change: PaymentChange?
        public let declineReason: DeclineReason?
        public let decidedAt: Timestamp
        public let position: LogPosition

        public init(
            envelope: Envelope, account: AccountID, accountRevision: Int64? = nil, declineReason: DeclineReason?, decidedAt: Timestamp,
            position: LogPosition
        ) {
            self.envelope = envelope
            self.account = account
            self.accountRevision = accountRevision
            change = nil
            self.declineReason = declineReason
            self.decidedAt = decidedAt
            self.position = position
        }

        public init(envelope: Envelope, change: PaymentChange, position: LogPosition) {
            self.envelope = envelope
            account = nil
            accountRevision = nil
            self.change = change
            declineReason = change.declineReason
            decidedAt = change.decidedAt
            self.position = position
        }
    }

    /// Another request under a key that was used.
    public struct Conflict: Sendable {
        public let envelope: Envelope
        public let decidedAt: Timestamp
        public let position: LogPosition

        public init(envelope: Envelope, decidedAt: Timestamp, position: LogPosition) {
            self.envelope = envelope
            self.decidedAt = decidedAt
            self.position = position
        }
    }

    /// A record that could not be read or applied.
    public struct DeadLetter: Sendable {
        public let position: LogPosition
        public let tenant: TenantID?
        public let operation: OperationID?
        public let reason: String
        public let key: [UInt8]
        public let value: [UInt8]
        /// A JSON object of texts.
        public let headers: String
        public let seenAt: Timestamp

        public init(
            position: LogPosition, tenant: TenantID?, operation: OperationID?, reason: String, key: [UInt8], value: [UInt8],
            headers: String,
            seenAt: Timestamp
        ) {
            self.position = position
            self.tenant = tenant
            self.operation = operation
            self.reason = reason
            self.key = key
            self.value = value
            self.headers = headers
            self.seenAt = seenAt
        }
    }

    public var logIncarnation: String
    public var advances: [OffsetAdvance] = []
    public var effects = Book.Effects()
    /// Where each of the effects' payments stands in the log, in the same order.
    public var paymentPositions: [LogPosition] = []
    public var operations: [Operation] = []
    public var conflicts: [Conflict] = []
    public var deadLetters: [DeadLetter] = []
    /// Whether it was asked before that its payments' ids are new. Where it was not, the ledger refuses those that are not
    /// (`isRefusalOfOldIDs`).
    public var isNewKnown = true

    public init(logIncarnation: String) { self.logIncarnation = logIncarnation }

    /// The batch as one implicit transaction, in one round trip.
    ///
    /// Each statement counts what it did and raises SL001 when that is not what the batch expects: another owner was
    /// here, or what the book knew is not so. The offsets come first, so that a worker that was replaced fails before it
    /// touches anything else.
    public var queries: [Query] {
        var queries = [PartitionQueries.advance(advances)]
        if !effects.opened.isEmpty { queries.append(AccountQueries.insert(effects.opened)) }
        if !effects.changed.isEmpty { queries.append(AccountQueries.update(effects.changed)) }
        if !isNewKnown, !effects.payments.isEmpty { queries.append(PaymentQueries.expectNew(effects)) }
        queries += PaymentQueries.insert(effects, at: paymentPositions)
        if !effects.changedPayments.isEmpty { queries.append(PaymentQueries.update(effects.changedPayments)) }
        if !effects.movements.isEmpty { queries.append(PaymentQueries.insertMovements(effects)) }
        if !operations.isEmpty { queries.append(OperationQueries.insert(operations)) }
        if !conflicts.isEmpty { queries.append(JournalQueries.insert(conflicts, logIncarnation: logIncarnation)) }
        if !deadLetters.isEmpty { queries.append(JournalQueries.insert(deadLetters, logIncarnation: logIncarnation)) }
        return queries
    }

    /// Whether a batch was refused because an id of it had been decided before: nothing of it was stored.
    public static func isRefusalOfOldIDs(_ error: PostgresError) -> Bool {
        guard case .serverError(let state, let message, _) = error else { return false }
        // The words of the message are in the server's language; the name of the key is not.
        return state == PaymentQueries.oldIDState || (state == "23505" && message.contains("payment_pkey"))
    }
}
