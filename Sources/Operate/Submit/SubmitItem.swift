internal import Ledger

/// One line of the file on its way.
final class SubmitItem {
    /// What is asked next.
    enum Step { case submit, follow }

    /// The line's number, from 1.
    let line: Int
    let key: String
    /// The request's body.
    let body: [UInt8]
    /// Nil for an account.
    let payment: Pay?
    /// Whether the request asks for the outcome (`Prefer: wait`).
    let waitsForOutcome: Bool

    var step = Step.submit
    /// How many of its accounts' queues it still waits in.
    var blockers = 0
    /// Of this step's first request, monotonic milliseconds; 0 before it.
    var firstSentMilliseconds: UInt64 = 0
    /// When the first request of all was sent, monotonic nanoseconds.
    var startedNanoseconds: UInt64 = 0
    /// Requests of this step that came to nothing.
    var failures = 0
    /// Not before this, monotonic milliseconds.
    var dueMilliseconds: UInt64 = 0
    /// Known once it was accepted.
    var paymentID = ""

    init(line: Int, key: String, body: [UInt8], payment: Pay?, waitsForOutcome: Bool) {
        self.line = line
        self.key = key
        self.body = body
        self.payment = payment
        self.waitsForOutcome = waitsForOutcome
    }
}
