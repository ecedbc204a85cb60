import Ledger
import Testing

@testable import Wire

@Suite struct RFC3339Tests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (951_868_799_999_999, "2000-02-29T23:59:59.999999Z"),
            (1_795_737_600_000_000, "2026-11-27T00:00:00.000000Z"),
            (4_107_585_600_000_001, "2100-03-01T12:00:00.000001Z"), (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] as [(Int64, String)])
    func `a time has one text`(microseconds: Int64, text: String) {
        let time = Timestamp(microseconds: microseconds)
        #expect(written { $0.append(time) } == text)
        #expect(withBytes(text) { Timestamp(rfc3339: $0) } == time)
    }

    @Test(
        arguments: [
            ("2024-02-29T00:00:00.5Z", 1_709_164_800_500_000), ("2026-11-27t00:00:00z", 1_795_737_600_000_000),
            ("2026-11-27T01:00:00+01:00", 1_795_737_600_000_000),
            ("2026-11-26T18:30:00-05:30", 1_795_737_600_000_000), ("2026-11-27T23:59:00.000000+23:59", 1_795_737_600_000_000),
            ("2026-11-27T00:00:00-00:00", 1_795_737_600_000_000), ("1970-01-01T01:00:00.000001+01:00", 1), ("1969-12-31T23:00:00-01:00", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ] as [(String, Int64)])
    func `a time may be written with fewer decimals and any offset`(text: String, microseconds: Int64) {
        #expect(withBytes(text) { Timestamp(rfc3339: $0) } == Timestamp(microseconds: microseconds))
    }

    @Test(arguments: [
        "", "2026", "2026-11-27", "2026-11-27T00:00Z", "2026-11-27T00:00:00", "2026-11-27 00:00:00Z", "2026-11-27T00:00:00.Z",
        "2026-11-27T00:00:00,5Z",
        "2026-11-27T00:00:00.1234567Z", "2026-11-27T00:00:00.12345678901234567890Z", "2026-11-27T00:00:00z ", " 2026-11-27T00:00:00Z",
        "2026-11-27T00:00:00+01",
        "2026-11-27T00:00:00+0100", "2026-11-27T00:00:00+24:00", "2026-11-27T00:00:00+01:60", "2026-11-27T00:00:00*01:00",
        "2026-11-27T00:00:00ZZ",
        "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2024-02-30T00:00:00Z", "2026-11-27T24:00:00Z", "2026-11-27T00:60:00Z",
        "2026-11-27T23:59:60Z",
        "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00Z", "-026-11-27T00:00:00Z",
        "+2026-11-27T00:00:00Z", "2026-W48-5T00:00:00Z", "2026-11-2\u{0667}T00:00:00Z", "2026-1-127T00:00:00Z", "2026-11-27T00:00:0\u{0}Z",
    ])
    func `what is no time is refused`(text: String) {
        #expect(withBytes(text) { Timestamp(rfc3339: $0) } == nil)
    }

    @Test func `a text cut at any byte is refused`() {
        let text = Array("2026-11-27T00:00:00.123456+01:00".utf8)
        for count in 0..<text.count { #expect(Timestamp(rfc3339: text.span.extracting(0..<count)) == nil) }
    }

    @Test func `every day of five centuries follows the one before it`() {
        var year = 1970
        var month = 1
        var day = 1
        for number in 0..<Int64(500 * 365 + 122) {
            let expected = CivilDate(year: year, month: month, day: day)
            guard CivilDate(daysSince1970: number) == expected, expected.daysSince1970 == number else {
                Issue.record("day \(number)")
                return
            }
            day += 1
            if day > CivilDate.daysIn(month: month, year: year) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(year == 2470)
    }

    @Test func `random times survive the round trip`() {
        var values = RandomValues(seed: 13)
        for _ in 0..<2000 {
            let time = values.time()
            #expect(withBytes(written { $0.append(time) }) { Timestamp(rfc3339: $0) } == time)
        }
    }
}
