import Glibc
import Ledger
import Testing
import Wire

@Suite struct RequestTests {
    let reader = RequestReader()

    @Test func `the smallest payment`() {
        let pay = reader.payment(text: #"{"debit":"alice","credit":"bob","amount":15075,"currency":"USD"}"#).value
        #expect(pay == Pay(debit: AccountID("alice")!, credit: AccountID("bob")!, amount: 15_075, currency: Currency("USD")!))
    }

    @Test func `a payment with everything, in another order and with white space`() {
        let pay = reader.payment(
            text: """
                \t{ "metadata" : { "z" : "1" , "a" : "\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00" } ,\r
                "expires_at" : "2026-11-27T01:00:00.5+01:00", "reference":"order-1 \\u010d",
                "currency":"CZK" , "amount" : 9007199254740991,"credit":"b:1._-","debit":"A" }\n
                """
        ).value
        #expect(
            pay
                == Pay(
                    debit: AccountID("A")!, credit: AccountID("b:1._-")!, amount: Money.minorUnitsMax, currency: Currency("CZK")!,
                    reference: "order-1 č", metadata: #"{"a":"\"\\/\b\f\n\r\té😀","z":"1"}"#, expiresAt: time("2026-11-27T00:00:00.5Z")))
    }

    @Test func `names may be written with escapes`() {
        let pay = reader.payment(text: #"{"\u0064ebit":"a","c\u0072edit":"b","am\u006funt":1,"currency":"\u0055SD"}"#).value
        #expect(pay?.amount == 1)
    }

    @Test(arguments: [(1, "1"), (9_007_199_254_740_991, "9007199254740991")] as [(Int64, String)])
    func `the ends of the range of amounts are in it`(amount: Int64, text: String) {
        #expect(reader.payment(text: #"{"debit":"a","credit":"b","amount":\#(text),"currency":"USD"}"#).value?.amount == amount)
    }

    @Test func `metadata is sorted bytewise, whatever order it came in`() {
        let names = ["a", "A", "a.b", "a-b", "a_b", "ab", "aa", "0", "9", "Z", "z"]
        let sorted = names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        let expected = "{" + sorted.map { "\"\($0)\":\"\($0)\"" }.joined(separator: ",") + "}"
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<20 {
            let members = names.shuffled(using: &generator).map { "\"\($0)\":\"\($0)\"" }.joined(separator: ",")
            #expect(
                reader.payment(text: #"{"debit":"a","credit":"b","amount":1,"currency":"USD","metadata":{\#(members)}}"#).value?.metadata
                    == expected)
        }
    }

    @Test func `empty metadata is none`() {
        let pay = reader.payment(text: #"{"debit":"a","credit":"b","amount":1,"currency":"USD","metadata":{}}"#).value
        #expect(pay != nil)
        #expect(pay?.metadata == nil)
    }

    @Test func `the bounds of texts are inclusive`() {
        let account = String(repeating: "a", count: 64)
        let reference = String(repeating: "é", count: 64)
        let name = String(repeating: "n", count: 40)
        let value = String(repeating: "v", count: 256)
        let pay = reader.payment(
            text:
                #"{"debit":"\#(account)","credit":"b","amount":1,"currency":"USD","reference":"\#(reference)","metadata":{"\#(name)":"\#(value)"}}"#
        ).value
        #expect(pay?.debit.text == account)
        #expect(pay?.reference == reference)
        #expect(pay?.metadata == "{\"\(name)\":\"\(value)\"}")
    }

    @Test func `metadata may have 16 members and 4096 bytes, and not a byte more`() {
        // Sixteen members of `"mNN":"..."` with their commas and the braces.
        func body(_ valueBytes: Int) -> String {
            let members = (10..<26).map { number in
                "\"m\(number)\":\"" + String(repeating: "v", count: number == 25 ? valueBytes : 248) + "\""
            }
            return #"{"debit":"a","credit":"b","amount":1,"currency":"USD","metadata":{\#(members.joined(separator: ","))}}"#
        }
        let fixed = 16 * 8 + 15 + 2 + 15 * 248
        #expect(reader.payment(text: body(4096 - fixed)).value?.metadata?.utf8.count == 4096)
        #expect(reader.payment(text: body(4097 - fixed)).problem?.errors.map(\.pointer) == ["/metadata"])
    }

    @Test func `an account takes its defaults`() {
        let open = reader.account(text: #"{"id":"alice","currency":"JPY"}"#).value
        #expect(open == OpenAccount(account: AccountID("alice")!, currency: Currency("JPY")!, kind: .normal, overdraftLimit: 0))
    }

    @Test func `an account with everything`() {
        #expect(
            reader.account(text: #"{"overdraft_limit":9007199254740991,"kind":"normal","id":"a","currency":"EUR"}"#).value
                == OpenAccount(account: AccountID("a")!, currency: Currency("EUR")!, kind: .normal, overdraftLimit: Money.minorUnitsMax))
        #expect(
            reader.account(text: #"{"id":"a","currency":"EUR","kind":"external","overdraft_limit":0}"#).value
                == OpenAccount(account: AccountID("a")!, currency: Currency("EUR")!, kind: .external, overdraftLimit: 0))
    }

    @Test func `a refused body leaves nothing behind for the next one`() {
        #expect(reader.payment(text: #"{"debit":"alice","credit":"bob","amount":1,"curr"#).problem != nil)
        #expect(reader.payment(text: "{}").problem?.errors.count == 4)
        #expect(reader.account(text: #"{"id":"a","currency":"EUR"}"#).problem == nil)
    }

    @Test func `nothing outside the body is read`() {
        // The body stands against a page that must not be touched, at its end and at its beginning.
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let memory = unsafe mmap(nil, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        defer { unsafe munmap(memory, 3 * page) }
        #expect(unsafe mprotect(memory, page, PROT_NONE) == 0)
        #expect(unsafe mprotect(memory + 2 * page, page, PROT_NONE) == 0)
        let whole = Array(#"{"debit":"alice","credit":"bob","amount":15075,"currency":"USD","metadata":{"a":"b"}}"#.utf8)
        for count in 0...whole.count {
            for start in [page, 2 * page - count] {
                let target = unsafe UnsafeMutableBufferPointer(start: (memory + start).assumingMemoryBound(to: UInt8.self), count: count)
                for index in 0..<count { unsafe target[index] = whole[index] }
                let result = unsafe reader.payment(UnsafeBufferPointer(target).span)
                #expect((result.value != nil) == (count == whole.count))
            }
        }
    }

    @Test func `random bodies never pass for another command`() {
        // Valid bodies with a few bytes changed are refused, or are a body that says what the command says.
        var values = RandomValues(seed: 11)
        let seed =
            #"{"debit":"alice","credit":"bob","amount":15075,"currency":"USD","reference":"r","metadata":{"a":"b"},"expires_at":"2026-11-27T00:00:00Z"}"#
        var accepted = 0
        for _ in 0..<3000 {
            var body = Array(seed.utf8)
            for _ in 0..<Int.random(in: 1...2, using: &values.generator) {
                body[Int.random(in: 0..<body.count, using: &values.generator)] = UInt8.random(in: 0x20...0x7E, using: &values.generator)
            }
            guard let pay = reader.payment(body.span).value else { continue }
            accepted += 1
            #expect(pay.debit != pay.credit)
            #expect((1...Money.minorUnitsMax).contains(pay.amount))
            var again: [UInt8] = []
            again.append(canonical: .pay(pay))
            #expect(reader.command(canonical: again.span).value == .pay(pay))
        }
        #expect(accepted > 100, "the changes leave some bodies valid, or the test says nothing")
    }
}
