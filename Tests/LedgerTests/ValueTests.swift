import Ledger
import Testing

/// The values that rules are made of.
@Suite struct ValueTests {
    @Test(arguments: ["a", "A-Z_0.9:x", String(repeating: "z", count: 64)])
    func `an account id of the documented characters is taken`(text: String) {
        #expect(AccountID(text)?.text == text)
        #expect(AccountID(Array(text.utf8).span)?.text == text)
    }

    @Test(arguments: ["", String(repeating: "z", count: 65), "a b", "a/b", "é", "a\u{0}", "a\n", "@", "[", "`", "{"])
    func `any other account id is refused`(text: String) {
        #expect(AccountID(text) == nil)
        #expect(AccountID(Array(text.utf8).span) == nil)
    }

    @Test func `just the bytes of the documented characters are taken`() {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-".utf8)
        for byte in UInt8.min...UInt8.max {
            #expect((AccountID([byte].span) != nil) == allowed.contains(byte), "byte \(byte)")
        }
    }

    @Test func `an operation id is written as 32 digits with its leading zeros`() {
        #expect(OperationID(high: 0x0123, low: 0xff).description == "000000000000012300000000000000ff")
        #expect(OperationID(high: 1, low: 0) > OperationID(high: 0, low: .max))
        #expect(OperationID(high: 1, low: 0) < OperationID(high: 1, low: 1))
    }

    /// Clients name payments by ids of their own making.
    @Test func `ids that differ in one half only do not meet in a dictionary`() {
        let hashes = Set(
            (0..<1_000).flatMap { [OperationID(high: $0, low: 7).hashValue, OperationID(high: 7, low: 1_000 + $0).hashValue] })
        #expect(hashes.count == 2_000)
    }

    @Test(arguments: [("USD", 2), ("JPY", 0), ("KWD", 3), ("UYW", 4), ("EUR", 2)])
    func `a currency is known by its code and counts its decimals`(code: String, digits: Int) {
        #expect(Currency(code)?.description == code)
        #expect(Currency(code)?.minorUnitDigits == digits)
    }

    @Test(arguments: ["", "US", "USDX", "usd", "XXX", "XTS", "XAU", "CLF", "CHE", "€€€", "U\u{0}D"])
    func `a code nobody is paid in is refused`(code: String) {
        #expect(Currency(code) == nil)
    }

    @Test func `numbers and codes that are stored never change`() {
        #expect(
            DeclineReason.allCases.map { "\($0.rawValue) \($0.code)" } == [
                "1 insufficient_funds", "2 account_not_found", "3 account_frozen", "4 account_closed", "5 currency_mismatch",
                "6 deadline_exceeded",
                "7 balance_out_of_range", "8 idempotency_key_reused", "9 account_exists", "10 already_closed", "11 balance_not_zero",
                "12 funds_held", "13 overdraft_in_use", "14 external_account", "15 payment_not_found", "16 payment_not_authorized",
                "17 capture_exceeds_hold", "18 refund_exceeds_captured", "19 too_many_changes",
            ])
        #expect(
            PaymentStatus.allCases.map { "\($0.rawValue) \($0.name)" } == [
                "0 processing", "1 settled", "2 declined", "3 quarantined", "4 authorized", "5 voided", "6 expired",
            ])
        #expect(PaymentChange.Kind.allCases.map { "\($0.rawValue) \($0.name)" } == ["6 capture", "7 void", "8 expiry", "9 refund"])
        #expect(AccountKind.allCases.map { "\($0.rawValue) \($0.name)" } == ["0 normal", "1 external"])
        #expect([AccountFlags.debitFrozen, .creditFrozen, .closed].map(\.rawValue) == [1, 2, 4])
    }

    @Test func `a kind of account is read by its name`() {
        for kind in AccountKind.allCases { #expect(AccountKind(name: kind.name) == kind) }
        #expect(AccountKind(name: "Normal") == nil)
    }

    @Test func `what is available stays within the range that JSON holds exactly`() {
        let max = Money.minorUnitsMax
        #expect(Fixtures.account("a", number: 1, limit: max, posted: max).available == max)
        #expect(Fixtures.account("a", number: 1, kind: .external, posted: max).available == max)
        #expect(Fixtures.account("a", number: 1, posted: -max, held: max).available == -max)
    }
}
