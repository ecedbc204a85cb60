internal import Bytes
public import Ledger

/// Times as text: RFC 3339, written in UTC with six decimals, read with any offset.
extension Timestamp {
    /// 1970-01-01T00:00:00.000000Z.
    public static let earliest = Timestamp(microseconds: 0)
    /// 9999-12-31T23:59:59.999999Z, the last that has a text.
    public static let latest = Timestamp(microseconds: 253_402_300_799_999_999)

    /// Reads a `date-time` of RFC 3339 section 5.6, strictly: `T` and `Z` may be lowercase, the date must exist, at most six
    /// decimals of a second, years 1970 to 9999 after conversion to UTC.
    ///
    /// Nil for anything else. A leap second (`:60`) is refused: it has no place in a count of seconds since 1970.
    public init?(rfc3339 text: Span<UInt8>) {
        guard text.count >= 20, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), lowercase(text[10]) == UInt8(ascii: "t"),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            let year = decimal(text, 0, 4), let month = decimal(text, 5, 2), let day = decimal(text, 8, 2),
            let hour = decimal(text, 11, 2), let minute = decimal(text, 14, 2), let second = decimal(text, 17, 2),
            month >= 1, month <= 12, day >= 1, day <= CivilDate.daysIn(month: month, year: year), hour <= 23, minute <= 59, second <= 59
        else { return nil }
        var at = 19
        guard let fraction = Self.fraction(text, &at), let offset = Self.offset(text, at) else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSince1970
        let seconds = days * 86_400 + Int64(hour * 3600 + minute * 60 + second) - offset
        let result = Timestamp(microseconds: seconds * 1_000_000 + fraction)
        guard result >= .earliest, result <= .latest else { return nil }
        self = result
    }

    /// The microseconds after a full stop at `at`, which moves behind them; 0 when there is none.
    private static func fraction(_ text: Span<UInt8>, _ at: inout Int) -> Int64? {
        guard text[at] == UInt8(ascii: ".") else { return 0 }
        at += 1
        var value: Int64 = 0
        var digits = 0
        while let digit = decimal(text, at, 1) {
            value = value * 10 + Int64(digit)
            digits += 1
            at += 1
            if digits > 6 { return nil }
        }
        guard digits > 0 else { return nil }
        for _ in digits..<6 { value *= 10 }
        return value
    }

    /// The seconds that local time is ahead of UTC, from `Z` or `+hh:mm` at the very end.
    private static func offset(_ text: Span<UInt8>, _ at: Int) -> Int64? {
        if text.count == at + 1, lowercase(text[at]) == UInt8(ascii: "z") { return 0 }
        guard text.count == at + 6, text[at + 3] == UInt8(ascii: ":"), let hours = decimal(text, at + 1, 2),
            let minutes = decimal(text, at + 4, 2), hours <= 23, minutes <= 59
        else { return nil }
        let seconds = Int64(hours * 3600 + minutes * 60)
        switch text[at] {
        case UInt8(ascii: "+"): return seconds
        case UInt8(ascii: "-"): return -seconds
        default: return nil
        }
    }
}

/// The number that exactly `count` digits from `start` spell.
private func decimal(_ text: Span<UInt8>, _ start: Int, _ count: Int) -> Int? {
    guard start + count <= text.count else { return nil }
    var value = 0
    for index in start..<start + count {
        guard isDigit(text[index]) else { return nil }
        value = value * 10 + Int(text[index] - UInt8(ascii: "0"))
    }
    return value
}

extension [UInt8] {
    /// Appends 27 characters: `2026-11-27T00:00:00.000000Z`.
    ///
    /// - Precondition: `time` is within `Timestamp.earliest...latest`.
    public mutating func append(_ time: Timestamp) {
        precondition(time >= .earliest && time <= .latest, "a time that RFC 3339 has no text for")
        let (seconds, microseconds) = time.microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        let (days, secondOfDay) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let date = CivilDate(daysSince1970: days)
        var text = [27 of UInt8](repeating: 0)
        text.put(date.year, 0..<4, then: UInt8(ascii: "-"))
        text.put(date.month, 5..<7, then: UInt8(ascii: "-"))
        text.put(date.day, 8..<10, then: UInt8(ascii: "T"))
        text.put(Int(secondOfDay / 3600), 11..<13, then: UInt8(ascii: ":"))
        text.put(Int(secondOfDay / 60 % 60), 14..<16, then: UInt8(ascii: ":"))
        text.put(Int(secondOfDay % 60), 17..<19, then: UInt8(ascii: "."))
        text.put(Int(microseconds), 20..<26, then: UInt8(ascii: "Z"))
        append(text.span)
    }
}

extension [27 of UInt8] {
    /// Writes the digits of a number that fits into the range, and what stands behind it.
    fileprivate mutating func put(_ value: Int, _ range: Range<Int>, then separator: UInt8) {
        var rest = value
        for index in range.reversed() {
            self[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        self[range.upperBound] = separator
    }
}

/// A day of the proleptic Gregorian calendar, from year 0 on. The arithmetic is Howard Hinnant's `days_from_civil` and its
/// inverse: eras of 400 years that begin on the first of March, so that a leap day is the last of its year.
struct CivilDate: Equatable {
    let year: Int
    let month: Int
    let day: Int

    init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// - Precondition: `days` is not before the year 0.
    init(daysSince1970 days: Int64) {
        let shifted = Int(days) + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSince1970: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468)
    }

    static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
