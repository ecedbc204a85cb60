/// A currency by its ISO 4217 alphabetic code.
public struct Currency: Hashable, Sendable, CustomStringConvertible {
    /// The three letters, packed: one comparison tells two currencies apart.
    private let packed: UInt32

    /// Nil for a code that ISO 4217 does not list as the currency of a country or a union of them
    /// (funds, metals, the test code and the code for "no currency" are refused: nobody is paid in them).
    public init?(_ code: String) {
        let bytes = Array(code.utf8)
        self.init(bytes.span)
    }

    public init?(_ code: Span<UInt8>) {
        guard code.count == 3 else { return nil }
        let packed = UInt32(code[0]) << 16 | UInt32(code[1]) << 8 | UInt32(code[2])
        guard Self.minorUnitsByCode[packed] != nil else { return nil }
        self.packed = packed
    }

    /// How many decimals the currency's minor unit stands for (ISO 4217, list one): 2 for USD, 0 for JPY, 3 for KWD.
    public var minorUnitDigits: Int { Self.minorUnitsByCode[packed] ?? 2 }

    /// The code's letters in ASCII.
    public var letters: [3 of UInt8] {
        [UInt8(truncatingIfNeeded: packed >> 16), UInt8(truncatingIfNeeded: packed >> 8), UInt8(truncatingIfNeeded: packed)]
    }

    public var description: String { String(decoding: [letters[0], letters[1], letters[2]], as: UTF8.self) }

    private static let minorUnitsByCode: [UInt32: Int] = {
        let table: [(digits: Int, codes: String)] = [
            (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
            (3, "BHD IQD JOD KWD LYD OMR TND"),
            (4, "UYW"),
            (
                2,
                """
                AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC \
                CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR \
                IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR \
                MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS \
                SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
                """
            ),
        ]
        var result: [UInt32: Int] = [:]
        for row in table {
            for code in row.codes.split(separator: " ") {
                result[code.utf8.reduce(0) { $0 << 8 | UInt32($1) }] = row.digits
            }
        }
        return result
    }()
}

/// The range of money: amounts and balances are integers in minor units that every JSON reader holds exactly.
public enum Money {
    /// 2^53 - 1, the largest integer that a double and everything after it counts without gaps (RFC 8259 section 6).
    public static let minorUnitsMax: Int64 = 9_007_199_254_740_991
}
