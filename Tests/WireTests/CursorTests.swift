import Bytes
import Ledger
import Testing
import Wire

@Suite struct CursorTests {
    let coder = CursorCoder()
    let tenant = TenantID(7)
    static let positions: [CursorPosition] = [
        .entriesBefore(sequence: 1), .entriesBefore(sequence: .max),
        .paymentsAfter(time: Timestamp(microseconds: 1_795_737_600_000_000), id: OperationID(high: 1, low: .max)),
        .accountsAfter(AccountID("a")!), .accountsAfter(AccountID(String(repeating: "z", count: 64))!),
    ]

    private func position(_ text: String, tenant: TenantID? = nil, list: String = "alice") -> CursorPosition? {
        withBytes(text) { coder.position($0, tenant: tenant ?? self.tenant, list: list) }
    }

    @Test func `a cursor is for ever`() {
        // Computed by another implementation: a cursor that a client holds must survive a new build.
        #expect(coder.text(.entriesBefore(sequence: 42), tenant: tenant, list: "alice") == "AQEAAAAAAAAAKsXFmImFBXHb")
    }

    @Test(arguments: positions)
    func `a cursor is read back`(expected: CursorPosition) {
        let text = coder.text(expected, tenant: tenant, list: "alice")
        #expect(text.utf8.count <= CursorCoder.textBytesMax)
        #expect(position(text) == expected)
    }

    @Test(arguments: positions)
    func `a cursor of another tenant or list is refused`(expected: CursorPosition) {
        let text = coder.text(expected, tenant: tenant, list: "alice")
        #expect(position(text, tenant: TenantID(8)) == nil)
        #expect(position(text, list: "bob") == nil)
        #expect(position(text, list: "") == nil)
    }

    @Test(arguments: positions)
    func `a cursor with any bit changed or any length is refused`(expected: CursorPosition) {
        let text = Array(coder.text(expected, tenant: tenant, list: "alice").utf8)
        let bytes = Base64URL.bytes(text.span)!
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << UInt8(bit)
                #expect(position(Base64URL.text(changed.span)) == nil)
            }
            #expect(position(Base64URL.text(bytes.span.extracting(0..<index))) == nil)
        }
        #expect(position(Base64URL.text((bytes + [0]).span)) == nil)
    }

    @Test(arguments: ["", "A", "====", "not a cursor", "AQEAAAAAAAAAKsXFmImFBXHb=", String(repeating: "A", count: 200)])
    func `what is no cursor is refused`(text: String) {
        #expect(position(text) == nil)
    }

    @Test(arguments: [Int64.min, -1, Timestamp.latest.microseconds + 1, .max])
    func `a cursor that was made up with a time that no payment has is refused`(microseconds: Int64) {
        // The coder writes what it is given, which is as good as a client who knows how the check sum is made.
        let forged = CursorPosition.paymentsAfter(time: Timestamp(microseconds: microseconds), id: OperationID(high: 1, low: 2))
        #expect(position(coder.text(forged, tenant: tenant, list: "alice")) == nil)
    }
}
