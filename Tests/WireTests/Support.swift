import Bytes
import Ledger
import Wire

/// A generator that repeats: SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension RequestReader {
    func payment(text: String) -> Result<Pay, Problem> {
        let bytes: [UInt8] = Array(text.utf8)
        return payment(bytes.span)
    }

    func account(text: String) -> Result<OpenAccount, Problem> {
        let bytes: [UInt8] = Array(text.utf8)
        return account(bytes.span)
    }
}

/// What writing appends, as text.
func written(_ write: (inout [UInt8]) -> Void) -> String {
    var buffer: [UInt8] = []
    write(&buffer)
    return String(decoding: buffer, as: UTF8.self)
}

/// Calls with the text's bytes.
func withBytes<Value>(_ text: String, _ body: (Span<UInt8>) -> Value) -> Value {
    let bytes: [UInt8] = Array(text.utf8)
    return body(bytes.span)
}

func time(_ text: String) -> Timestamp { withBytes(text) { Timestamp(rfc3339: $0)! } }

/// Random values of everything that a command may have, the odd ones included.
struct RandomValues {
    var generator: SeededGenerator
    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &generator) == 0 }

    mutating func account() -> AccountID {
        let alphabet = Array("ABCXYZabcxyz0189._:-")
        let length = chance(8) ? 64 : Int.random(in: 1...20, using: &generator)
        return AccountID(String((0..<length).map { _ in alphabet.randomElement(using: &generator)! }))!
    }

    mutating func amount(from least: Int64) -> Int64 {
        if chance(6) { return Money.minorUnitsMax }
        if chance(6) { return least }
        return Int64.random(in: least...(chance(2) ? 100_000 : Money.minorUnitsMax), using: &generator)
    }

    mutating func currency() -> Currency { Currency(["USD", "EUR", "CZK", "JPY", "KWD"].randomElement(using: &generator)!)! }

    mutating func time() -> Timestamp {
        Timestamp(microseconds: Int64.random(in: 0...Timestamp.latest.microseconds, using: &generator))
    }

    /// Characters that JSON escapes, that take 1 to 4 bytes, and the ends of their ranges.
    mutating func text(bytesMax: Int, controls: Bool) -> String {
        var scalars = Array(
            "aZ0 \"\\/<>&'~\u{A0}é\u{7FF}\u{800}\u{20AC}\u{D7FF}\u{E000}\u{FFFD}\u{FFFF}\u{10000}\u{1F4B6}\u{10FFFF}".unicodeScalars)
        if controls { scalars += "\u{1}\u{8}\t\n\u{C}\r\u{1F}\u{7F}\u{85}".unicodeScalars }
        var text = ""
        for _ in 0..<Int.random(in: 1...bytesMax, using: &generator) {
            let scalar = scalars.randomElement(using: &generator)!
            if text.utf8.count + String(scalar).utf8.count > bytesMax { break }
            text.unicodeScalars.append(scalar)
        }
        return text
    }

    mutating func metadata() -> [String: String] {
        let alphabet = Array("abzABZ019_.-")
        var members: [String: String] = [:]
        for _ in 0..<Int.random(in: 1...16, using: &generator) {
            let length = chance(8) ? 40 : Int.random(in: 1...12, using: &generator)
            members[String((0..<length).map { _ in alphabet.randomElement(using: &generator)! })] = text(bytesMax: 200, controls: true)
        }
        return members
    }

    mutating func id() -> OperationID { OperationID(high: generator.next(), low: generator.next()) }

    private mutating func change() -> Command {
        let amount = chance(2) ? self.amount(from: 1) : nil
        let sides = AccountFlags(rawValue: Int16.random(in: 1...3, using: &generator))
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: return .changePayment(ChangePayment(payment: id(), change: .capture(amount: amount, isFinal: chance(2))))
        case 1: return .changePayment(ChangePayment(payment: id(), change: .void))
        case 2: return .changePayment(ChangePayment(payment: id(), change: .expire))
        case 3: return .changePayment(ChangePayment(payment: id(), change: .refund(amount: amount)))
        case 4: return .changeAccount(ChangeAccount(account: account(), change: .freeze(sides)))
        case 5: return .changeAccount(ChangeAccount(account: account(), change: .unfreeze(sides)))
        case 6: return .changeAccount(ChangeAccount(account: account(), change: .close))
        default: return .changeAccount(ChangeAccount(account: account(), change: .setOverdraftLimit(self.amount(from: 0))))
        }
    }

    mutating func command() -> Command {
        if chance(3) { return change() }
        return asked()
    }

    /// A payment or an opening: what a file may ask for.
    mutating func asked() -> Command {
        if chance(4) {
            let kind: AccountKind = chance(3) ? .external : .normal
            return .openAccount(
                OpenAccount(account: account(), currency: currency(), kind: kind, overdraftLimit: kind == .external ? 0 : amount(from: 0)))
        }
        let debit = account()
        var credit = account()
        while credit == debit { credit = account() }
        let isManual = chance(3)
        return .pay(
            Pay(
                debit: debit, credit: credit, amount: amount(from: 1), currency: currency(),
                reference: chance(2) ? text(bytesMax: 128, controls: false) : nil, metadata: nil, expiresAt: chance(2) ? time() : nil,
                capture: isManual ? .manual : .automatic, captureBefore: isManual && chance(2) ? time() : nil))
    }
}
