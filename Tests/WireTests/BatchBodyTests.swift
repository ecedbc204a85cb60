import Ledger
import Testing
import Wire

@Suite struct BatchBodyTests {
    private func items(_ text: String) -> [String]? {
        withBytes(text) { body in
            guard case .success(let ranges) = BatchBody.items(body) else { return nil }
            return ranges.map { range in String(decoding: range.map { body[$0] }, as: UTF8.self) }
        }
    }

    private func problem(_ text: String) -> String {
        withBytes(text) { body in
            guard case .failure(let problem) = BatchBody.items(body) else { return "none" }
            return problem.errors.first.map { "\($0.pointer) \($0.code.text)" } ?? "\(problem.code.entry.code)"
        }
    }

    @Test func `items are told apart, whatever is in them`() {
        #expect(items(#"{"items":[{}]}"#) == ["{}"])
        #expect(items(" {\r\n\t\"items\" : [ {\"a\":1} , {\"b\":[{\"c\":\"]}\"}]} ] } ") == [#"{"a":1}"#, #"{"b":[{"c":"]}"}]}"#])
        #expect(items(#"{"items":[{"a":"\"}],\\"},{"b":2}]}"#) == [#"{"a":"\"}],\\"}"#, #"{"b":2}"#])
        // What is no object, or no JSON, is its own item's trouble.
        #expect(items(#"{"items":[1,null,"x,y",[],{"a":nonsense}]}"#) == ["1", "null", "\"x,y\"", "[]", #"{"a":nonsense}"#])
    }

    @Test(
        arguments: [
            ("", "malformed_json"), ("[]", "malformed_json"), ("{}", "/items required"), (#"{"payments":[{}]}"#, "/items required"),
            (#"{"items":{}}"#, "/items required"), (#"{"items":[]}"#, "/items required"), (#"{"items":[{},]}"#, "malformed_json"),
            (#"{"items":[,{}]}"#, "malformed_json"), (#"{"items":[{}"#, "malformed_json"), (#"{"items":[{"a":"]}"#, "malformed_json"),
            (#"{"items":[{}]"#, "malformed_json"), (#"{"items":[{}]}x"#, "malformed_json"), (#"{"items":[{}],"x":1}"#, "malformed_json"),
            (#"{"items":[{} {}]}"#, "malformed_json"), (#"{"items":[{"a":"\"#, "malformed_json"), (#"{"items":[{}}]}"#, "malformed_json"),
        ])
    func `a batch whose items cannot be told apart is refused whole`(text: String, expected: String) {
        #expect(problem(text) == expected)
    }

    @Test func `a batch has at most a thousand items`() {
        func batch(_ count: Int) -> String { "{\"items\":[" + Array(repeating: "{}", count: count).joined(separator: ",") + "]}" }
        #expect(items(batch(1_000))?.count == 1_000)
        #expect(problem(batch(1_001)) == "/items too_many_members")
    }

    @Test func `every prefix of a batch is refused, and none is read beyond its end`() {
        let text = #"{"items":[{"a":"x\\"},{"b":[1,2]}]}"#
        for count in 0..<text.utf8.count { #expect(items(String(text.prefix(count))) == nil, "\(count)") }
    }

    @Test func `an item has its own key`() {
        let reader = RequestReader()
        func read(_ text: String) -> String {
            withBytes(text) { bytes in
                switch reader.batchItem(bytes) {
                case .success(let item): return item.key
                case .failure(let problem):
                    return problem.errors.first.map { "\($0.pointer) \($0.code.text)" } ?? "\(problem.code.entry.code)"
                }
            }
        }
        #expect(read(#"{"key":"order-0001","debit":"a","credit":"b","amount":1,"currency":"USD","capture":"manual"}"#) == "order-0001")
        #expect(read(#"{"key":"open-0001","type":"account","id":"a","currency":"USD"}"#) == "open-0001")
        #expect(read(#"{"debit":"a","credit":"b","amount":1,"currency":"USD"}"#) == "/key required")
        #expect(read(#"{"key":"short","debit":"a","credit":"b","amount":1,"currency":"USD"}"#) == "/key invalid_value")
        #expect(read("1") == " wrong_type")
        #expect(read(#"{"a":nonsense}"#) == "malformed_json")
    }
}
