/// A date as HTTP writes it, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7). One per loop, refreshed once
/// a second.
public struct HTTPDate: ~Copyable {
    private var text = InlineArray<29, UInt8>(repeating: 0)

    /// - Parameter unixSeconds: seconds since 1970, leap seconds not counted; the years 1970 to 9999.
    public init(unixSeconds: Int64) { refresh(unixSeconds: unixSeconds) }

    /// The 29 bytes of the date.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get { text.span }
    }

    public mutating func refresh(unixSeconds: Int64) {
        precondition(unixSeconds >= 0 && unixSeconds < 253_402_300_800)
        let days = Int(unixSeconds / 86_400)
        let second = Int(unixSeconds % 86_400)
        let (year, month, day) = Self.civil(days)
        put("SunMonTueWedThuFriSat", at: 0, from: (days + 4) % 7 * 3, count: 3)
        put(", ", at: 3, from: 0, count: 2)
        put(number: day, at: 5, digits: 2)
        put(" ", at: 7, from: 0, count: 1)
        put("JanFebMarAprMayJunJulAugSepOctNovDec", at: 8, from: (month - 1) * 3, count: 3)
        put(" ", at: 11, from: 0, count: 1)
        put(number: year, at: 12, digits: 4)
        put(" ", at: 16, from: 0, count: 1)
        put(number: second / 3600, at: 17, digits: 2)
        put(":", at: 19, from: 0, count: 1)
        put(number: second / 60 % 60, at: 20, digits: 2)
        put(":", at: 22, from: 0, count: 1)
        put(number: second % 60, at: 23, digits: 2)
        put(" GMT", at: 25, from: 0, count: 4)
    }

    /// The proleptic Gregorian date of a day counted from 1970-01-01, in years that start in March so that the leap
    /// day comes last.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private mutating func put(_ source: StaticString, at offset: Int, from start: Int, count: Int) {
        let bytes = unsafe UnsafeBufferPointer(start: source.utf8Start, count: source.utf8CodeUnitCount)
        for index in 0..<count { unsafe text[offset + index] = bytes[start + index] }
    }

    private mutating func put(number: Int, at offset: Int, digits: Int) {
        var rest = number
        for index in stride(from: digits - 1, through: 0, by: -1) {
            text[offset + index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}
