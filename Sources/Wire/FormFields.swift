internal import CSimdJSON
internal import Ledger

/// The types that members have. Each reports what is wrong and then is nil.
extension Form {
    mutating func account(_ member: Member) -> AccountID? {
        guard let value = string(member, required: true) else { return nil }
        if let account = AccountID(reader.text(value)) { return account }
        if reader.text(value).count > AccountID.bytesMax {
            report(.tooLong, at: member.pointer, "an account id has at most \(AccountID.bytesMax) characters")
        } else {
            report(.invalidValue, at: member.pointer, "an account id has 1 to \(AccountID.bytesMax) of A-Z a-z 0-9 . _ : -")
        }
        return nil
    }

    mutating func currency() -> Currency? {
        guard let value = string(.currency, required: true) else { return nil }
        if let currency = Currency(reader.text(value)) { return currency }
        report(.invalidValue, at: Member.currency.pointer, "not a currency code of ISO 4217")
        return nil
    }

    /// An integer in the range; `absent` when the member is not there, or nil then if it is required.
    mutating func integer(_ member: Member, in range: ClosedRange<Int64>, absent: Int64?) -> Int64? {
        guard let value = value(member, required: absent == nil) else { return absent }
        switch reader.kind(value) {
        case .integer: break
        case .decimal:
            report(.notAnInteger, at: member.pointer, "an integer in minor units, without fraction or exponent, is required")
            return nil
        default:
            report(.wrongType, at: member.pointer, "an integer is required")
            return nil
        }
        let reader = reader
        let text = reader.text(value)
        // JSON has a negative zero, integers do not: what wrote it counts in floating point.
        if text.equals("-0") {
            report(.notAnInteger, at: member.pointer, "-0 is not an integer")
            return nil
        }
        if let integer = Self.integer(text), range.contains(integer) { return integer }
        report(.outOfRange, at: member.pointer, "an integer from \(range.lowerBound) to \(range.upperBound) is required")
        return nil
    }

    mutating func reference() -> String? {
        guard let value = string(.reference, required: false) else { return nil }
        let reader = reader
        let text = reader.text(value)
        if text.count == 0 {
            report(.invalidValue, at: Member.reference.pointer, "a reference has at least one character")
        } else if text.count > Limits.referenceBytesMax {
            report(.tooLong, at: Member.reference.pointer, "a reference has at most \(Limits.referenceBytesMax) bytes")
        } else if Self.hasControlCharacter(text) {
            report(.invalidValue, at: Member.reference.pointer, "a reference has no control characters")
        } else {
            return text.string
        }
        return nil
    }

    mutating func time(_ member: Member) -> Timestamp? {
        guard let value = string(member, required: false) else { return nil }
        if let time = Timestamp(rfc3339: reader.text(value)) { return time }
        report(
            .invalidValue, at: member.pointer,
            "a time of RFC 3339 with at most six decimals, as 2026-11-27T09:30:00Z, is required")
        return nil
    }

    mutating func kind(absent: AccountKind?) -> AccountKind? {
        guard let value = string(.kind, required: absent == nil) else {
            return has(.kind) ? nil : absent
        }
        for kind in AccountKind.allCases where reader.text(value).string == kind.name { return kind }
        report(.invalidValue, at: Member.kind.pointer, "`normal` or `external` is required")
        return nil
    }

    /// Automatic when it is not there.
    mutating func capture() -> CaptureMode {
        guard let value = string(.capture, required: false) else { return .automatic }
        if reader.text(value).equals("manual") { return .manual }
        // The canonical form has no word for it: what is decided at once is what a payment is.
        if reader.text(value).equals("automatic") { return .automatic }
        report(.invalidValue, at: Member.capture.pointer, "`automatic` or `manual` is required")
        return .automatic
    }

    /// Both sides when it is not there and may be left out.
    mutating func sides(required: Bool) -> AccountFlags? {
        guard let value = string(.side, required: required) else { return has(.side) || required ? nil : .sides }
        if reader.text(value).equals("debit") { return .debitFrozen }
        if reader.text(value).equals("credit") { return .creditFrozen }
        if reader.text(value).equals("both") { return .sides }
        report(.invalidValue, at: Member.side.pointer, "`debit`, `credit` or `both` is required")
        return nil
    }

    /// False when it is not there.
    mutating func final() -> Bool {
        guard let value = value(.final, required: false) else { return false }
        if reader.kind(value) == .true { return true }
        if reader.kind(value) != .false { report(.wrongType, at: Member.final.pointer, "`true` or `false` is required") }
        return false
    }

    /// An amount that may be left out, which stands for all there is.
    mutating func optionalAmount() -> Int64? {
        has(.amount) ? integer(.amount, in: 1...Money.minorUnitsMax, absent: nil) : nil
    }

    mutating func paymentID() -> OperationID? {
        guard let value = string(.payment, required: true) else { return nil }
        if let id = OperationID(hex: reader.text(value)) { return id }
        report(.invalidValue, at: Member.payment.pointer, "a payment's id has 32 lowercase hexadecimal digits")
        return nil
    }

    /// The index of a member that is a string.
    mutating func string(_ member: Member, required: Bool) -> Int? {
        guard let value = value(member, required: required) else { return nil }
        if reader.kind(value) == .string { return value }
        report(.wrongType, at: member.pointer, "a string is required")
        return nil
    }

    /// Nil beyond 64 bits. The text is an integer of JSON.
    private static func integer(_ text: Span<UInt8>) -> Int64? {
        let isNegative = text[0] == UInt8(ascii: "-")
        var value: Int64 = 0
        for index in (isNegative ? 1 : 0)..<text.count {
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowToo) = shifted.subtractingReportingOverflow(Int64(text[index] - UInt8(ascii: "0")))
            if overflow || overflowToo { return nil }
            value = sum
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }

    /// U+0000 to U+001F and U+007F to U+009F.
    private static func hasControlCharacter(_ text: Span<UInt8>) -> Bool {
        for index in 0..<text.count {
            if text[index] < 0x20 || text[index] == 0x7F { return true }
            if text[index] == 0xC2, index + 1 < text.count, text[index + 1] < 0xA0 { return true }
        }
        return false
    }
}
