internal import Ledger
internal import Store
internal import Telemetry
internal import Wire

/// A record of the log as the worker sees it.
struct LogRecord: Sendable {
    let position: LogPosition
    var content: Content

    enum Content: Sendable {
        /// Kept aside: on its way through the worker a record is handed on a dozen times.
        indirect case command(CommandRecord)
        /// Kept as a dead letter; the partition goes on.
        case unreadable(Unreadable)
        /// Written by a build that knows more: the partition stops before it.
        case unknownVersion(String)
    }

    /// What is kept of a record that could not be read or applied.
    struct Unreadable: Sendable {
        let reason: String
        let tenant: TenantID?
        let operation: OperationID?
        /// The one that it was to change, where that could be read.
        var payment: OperationID?
        let replyTo: String?
        /// A valid one.
        let traceparent: String?
        let key: [UInt8]
        let value: [UInt8]
        /// A JSON object of texts.
        let headers: String

        /// As little as can be stored of it, for one that was refused even as a dead letter. The record itself stays in the log.
        var bare: Unreadable {
            Unreadable(
                reason: Self.bareReason, tenant: tenant, operation: operation, payment: payment, replyTo: replyTo,
                traceparent: traceparent, key: [], value: [], headers: "{}")
        }
        var isBare: Bool { reason == Self.bareReason }
        private static let bareReason = "it could not be stored as a dead letter either: see the log at this offset"
    }

    /// For a line of the worker's log that speaks of this record: where it stands, and by what it is found again elsewhere.
    var logFields: [Log.Field] {
        let (id, traceparent, reason): (OperationID?, String?, String?)
        var payment: OperationID?
        switch content {
        case .command(let command):
            (id, traceparent, reason) = (command.envelope.id, command.envelope.traceparent, nil)
            if case .changePayment(let change) = command.envelope.command { payment = change.payment }
        case .unreadable(let unreadable):
            (id, traceparent, reason) = (unreadable.operation, unreadable.traceparent, unreadable.reason)
            payment = unreadable.payment
        case .unknownVersion(let version): (id, traceparent, reason) = (nil, nil, "version \(version)")
        }
        return [
            .integer("partition", position.partition), .integer("offset", position.offset), .text("id", id?.description),
            .text("payment", payment?.description), .text("trace_id", traceparent.map { TraceContext.traceID($0) }),
            .text("reason", reason),
        ]
    }

    /// Of the command that it is; nil when it is none.
    var id: OperationID? {
        if case .command(let command) = content { command.envelope.id } else { nil }
    }

    var isUnreadable: Bool {
        if case .unreadable = content { true } else { false }
    }
}
