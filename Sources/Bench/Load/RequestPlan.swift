/// What is asked of the API. The raw values are places in arrays.
public enum RequestKind: Int, Sendable, CaseIterable {
    case balance
    case status
    case transactions
    /// Answered when it is accepted.
    case payment
    /// Answered when it is decided: `Prefer: wait`.
    case waitingPayment
    /// A payment of this run again, under its key.
    case duplicate

    public var isWrite: Bool { rawValue >= RequestKind.payment.rawValue }

    /// As reports call it.
    public var name: String {
        switch self {
        case .balance: "balance"
        case .status: "payment_status"
        case .transactions: "transactions"
        case .payment: "payment"
        case .waitingPayment: "payment_wait"
        case .duplicate: "duplicate"
        }
    }
}

/// A payment's id.
public struct PaymentID: Sendable, Hashable {
    public let high: UInt64
    public let low: UInt64
}

extension PaymentID {
    /// Reads 32 hexadecimal digits.
    init?(hex digits: Span<UInt8>) {
        guard digits.count == 32 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        for index in 0..<32 {
            let digit: UInt8
            switch digits[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = digits[index] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = digits[index] - UInt8(ascii: "a") + 10
            default: return nil
            }
            if index < 16 { words.0 = words.0 << 4 | UInt64(digit) } else { words.1 = words.1 << 4 | UInt64(digit) }
        }
        self.init(high: words.0, low: words.1)
    }
}

/// One request as it was drawn: enough to write it, and to write the same again.
struct RequestPlan {
    var kind: RequestKind
    /// Accounts by their place in the set: whose balance, or who pays and who is paid.
    var account = 0
    var credit = 0
    var amount = 0
    /// The number in the idempotency key.
    var key: UInt64 = 0
    /// Whose status is read; of a duplicate, what the first was accepted as.
    var payment: PaymentID?
    /// When it should have been sent, monotonic nanoseconds.
    var intended: UInt64 = 0
    /// How often it was sent before.
    var attempt = 0
    /// Which part of the run its time falls in.
    var phase = 0
    var interval = 0
}

/// What an answer says, as far as a load needs to know.
struct LoadAnswer {
    var status: Int
    /// Of an answer that shows a payment.
    var payment: PaymentID?
    /// Whether it shows one that is decided.
    var isFinal = false
    /// `Retry-After`.
    var retryAfterSeconds: Int?

    var isSuccess: Bool { (200..<300).contains(status) || isDeclined }
    /// A business outcome, not a failure.
    var isDeclined: Bool { status == 402 }
    /// Of a payment's status: it was not there, and the server says that it may only not be seen yet.
    var isNotVisibleYet = false
    /// Whether the same request may do better a little later.
    var isForTheMoment: Bool { status == 429 || status == 503 || status == 504 || isNotVisibleYet }

    /// Reads the start of a body that shows a payment: `{"id":"32 digits","status":"NAME"`, as the API writes it; or why there is none.
    mutating func readPayment(_ body: Span<UInt8>) {
        let notYet: StaticString = "{\"type\":\"/problems/payment_not_visible_yet\""
        isNotVisibleYet = status == 404 && Self.stands(notYet, in: body, at: 0)
        let opening: StaticString = "{\"id\":\""
        let middle: StaticString = "\",\"status\":\""
        let undecided: StaticString = "processing"
        let idStart = opening.utf8CodeUnitCount
        guard Self.stands(opening, in: body, at: 0), body.count >= idStart + 32 else { return }
        payment = PaymentID(hex: body.extracting(idStart..<idStart + 32))
        let statusStart = idStart + 32 + middle.utf8CodeUnitCount
        isFinal = Self.stands(middle, in: body, at: idStart + 32) && !Self.stands(undecided, in: body, at: statusStart)
    }

    private static func stands(_ text: StaticString, in body: Span<UInt8>, at start: Int) -> Bool {
        let count = text.utf8CodeUnitCount
        guard body.count >= start + count else { return false }
        for index in 0..<count where unsafe body[start + index] != text.utf8Start[index] { return false }
        return true
    }
}
