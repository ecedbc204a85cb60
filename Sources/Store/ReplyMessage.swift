internal import Bytes
public import Ledger
internal import Wire

/// The channel on which a gateway thread hears of outcomes that its clients wait for: `w:GATEWAY:THREAD`.
public enum ReplyChannel {
    public static let bytesMax = CommandRecord.replyToBytesMax

    public static func name(gateway: String, thread: Int) -> String { "w:\(gateway):\(thread)" }
}

/// One outcome on a reply channel: `ID` `\n` `KIND` `\n` body.
///
/// Lives as long as the bytes it was read from.
public struct ReplyMessage: ~Escapable {
    /// What happened to the command.
    public enum Kind: Equatable, Sendable {
        /// A payment was settled; the body shows it.
        case settled
        /// A payment was declined; the body shows it.
        case declined(DeclineReason)
        /// An account command was carried out; the body shows the account.
        case account
        /// An account command was refused; there is no body.
        case accountDeclined(DeclineReason)
        /// A change of an account or a payment was made; the body shows the fingerprint of the request and, after a line end, the
        /// account or the change.
        case changed
        /// A change of an account or a payment was refused; the body is the fingerprint of the request.
        case changeDeclined(DeclineReason)
        /// The key belongs to another request; there is no body.
        case keyReused
        /// The command's record could not be applied; an operator decides. There is no body.
        case quarantined
    }

    public let id: OperationID
    public let kind: Kind
    public let body: Span<UInt8>

    /// Nil when the bytes are no message of ours.
    @_lifetime(copy bytes)
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count >= 34, bytes[32] == UInt8(ascii: "\n"),
            let high = Hex.word(bytes.extracting(0..<16)), let low = Hex.word(bytes.extracting(16..<32))
        else { return nil }
        var end = 33
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
        guard end < bytes.count, let kind = Self.kind(bytes.extracting(33..<end)) else { return nil }
        id = OperationID(high: high, low: low)
        self.kind = kind
        body = bytes.extracting((end + 1)...)
    }

    /// Appends a message.
    public static func append(id: OperationID, kind: Kind, body: Span<UInt8>, to buffer: inout [UInt8]) {
        buffer.append(hex: id.high)
        buffer.append(hex: id.low)
        buffer.append(UInt8(ascii: "\n"))
        switch kind {
        case .settled: buffer.append("s")
        case .declined(let reason): append(UInt8(ascii: "d"), reason, to: &buffer)
        case .account: buffer.append("a")
        case .accountDeclined(let reason): append(UInt8(ascii: "x"), reason, to: &buffer)
        case .changed: buffer.append("c")
        case .changeDeclined(let reason): append(UInt8(ascii: "y"), reason, to: &buffer)
        case .keyReused: buffer.append("r")
        case .quarantined: buffer.append("q")
        }
        buffer.append(UInt8(ascii: "\n"))
        buffer.append(body)
    }

    private static func append(_ letter: UInt8, _ reason: DeclineReason, to buffer: inout [UInt8]) {
        buffer.append(letter)
        buffer.append(decimal: UInt64(reason.rawValue))
    }

    private static func kind(_ text: Span<UInt8>) -> Kind? {
        guard text.count >= 1, text.count <= 4 else { return nil }
        var number: UInt16 = 0
        for index in 1..<text.count {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            number = number * 10 + UInt16(digit)
        }
        let reason = UInt8(exactly: number).flatMap(DeclineReason.init(rawValue:))
        switch text[0] {
        case UInt8(ascii: "s"): return text.count == 1 ? .settled : nil
        case UInt8(ascii: "a"): return text.count == 1 ? .account : nil
        case UInt8(ascii: "r"): return text.count == 1 ? .keyReused : nil
        case UInt8(ascii: "q"): return text.count == 1 ? .quarantined : nil
        case UInt8(ascii: "d"): return reason.map(Kind.declined)
        case UInt8(ascii: "c"): return text.count == 1 ? .changed : nil
        case UInt8(ascii: "y"): return reason.map(Kind.changeDeclined)
        case UInt8(ascii: "x"): return reason.map(Kind.accountDeclined)
        default: return nil
        }
    }
}
