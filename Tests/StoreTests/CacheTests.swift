import Bytes
import Ledger
import Store
import Testing

@Suite struct CacheTests {
    func key(_ write: (inout [UInt8]) -> Void) -> String {
        var bytes: [UInt8] = []
        write(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `keys keep all of a tenant's values in one slot of a cluster`() {
        let account: [UInt8] = Array("shop:7".utf8)
        let id = OperationID(high: 1, low: 0xff)
        #expect(key { CacheKey.appendAccount(account.span, of: TenantID(12), to: &$0) } == "a:{12}:shop:7")
        #expect(key { CacheKey.appendPayment(id, of: TenantID(12), to: &$0) } == "p:{12}:000000000000000100000000000000ff")
        #expect(key { CacheKey.appendMarker(id, of: TenantID(12), to: &$0) } == "m:{12}:000000000000000100000000000000ff")
        #expect(
            key { CacheKey.appendPage(of: account.span, of: TenantID(12), revision: 9, limit: 20, before: 55, to: &$0) }
                == "h:{12}:shop:7:9:20:55")
    }

    @Test(arguments: [
        ("0\n-", 0, CacheValue.Kind.tombstone, "-"), ("17\n", 17, .floor, ""), ("9007199254740991\n{}", 9_007_199_254_740_991, .body, "{}"),
        ("1\na\nb", 1, .body, "a\nb"),
    ])
    func `a value is read as it was written`(text: String, revision: Int64, kind: CacheValue.Kind, body: String) {
        let bytes: [UInt8] = Array(text.utf8)
        guard let value = CacheValue(bytes.span) else {
            Issue.record("not read: \(text)")
            return
        }
        #expect(value.revision == revision)
        let foundKind = value.kind
        #expect(foundKind == kind)
        var found: [UInt8] = []
        found.append(value.body)
        #expect(found == Array(body.utf8))
        var written: [UInt8] = []
        CacheValue.append(revision: revision, body: found.span, to: &written)
        #expect(written == bytes)
    }

    @Test(arguments: ["", "\n", "12", "-1\nx", "1x\ny", "12345678901234567\nx", " 1\nx"])
    func `what is no value of ours is not read`(text: String) {
        let bytes: [UInt8] = Array(text.utf8)
        let isRead = CacheValue(bytes.span) != nil
        #expect(!isRead)
    }

    @Test(arguments: [
        ReplyMessage.Kind.settled, .declined(.insufficientFunds), .account, .accountDeclined(.accountExists), .changed,
        .changeDeclined(.captureExceedsHold), .keyReused, .quarantined,
    ])
    func `a reply survives the round trip, and none of its beginnings is one`(kind: ReplyMessage.Kind) {
        let id = OperationID(high: 0xabc, low: 7)
        let body: [UInt8] = Array("{\"a\":1}".utf8)
        var bytes: [UInt8] = []
        ReplyMessage.append(id: id, kind: kind, body: body.span, to: &bytes)
        guard let message = ReplyMessage(bytes.span) else {
            Issue.record("not read")
            return
        }
        #expect(message.id == id)
        let foundKind = message.kind
        #expect(foundKind == kind)
        var found: [UInt8] = []
        found.append(message.body)
        #expect(found == body)
        for count in 0..<(bytes.count - body.count) {
            let isRead = ReplyMessage(bytes.span.extracting(first: count)) != nil
            #expect(!isRead)
        }
    }
}
