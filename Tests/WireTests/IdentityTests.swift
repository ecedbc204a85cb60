import Bytes
import Ledger
import Testing
import Wire

/// The expected digests were computed by another implementation (Python's hashlib) from docs/architecture.md.
@Suite struct IdentityTests {
    let identity = Identity()

    @Test func `an operation's id is what the contract says`() {
        let id = withBytes("order-0001") { identity.operation(tenant: TenantID(7), key: $0) }
        #expect(id.description == "5a1abf15767f726e4437d08c98ee5211")
    }

    @Test func `another tenant or key is another id`() {
        let id = withBytes("order-0001") { identity.operation(tenant: TenantID(7), key: $0) }
        #expect(withBytes("order-0001") { identity.operation(tenant: TenantID(8), key: $0) } != id)
        #expect(withBytes("order-0002") { identity.operation(tenant: TenantID(7), key: $0) } != id)
    }

    @Test func `a fingerprint is what the contract says`() {
        let canonical = #"{"type":"pay","debit":"alice","credit":"bob","amount":15075,"currency":"USD"}"#
        let fingerprint = withBytes(canonical) { identity.fingerprint(method: "POST", path: "/v1/payments", canonical: $0) }
        #expect(written { $0.append(fingerprint) } == "0806c12e597080ef4d7080857ca79c64")
        #expect(withBytes(canonical) { identity.fingerprint(method: "POST", path: "/v1/payment", canonical: $0) } != fingerprint)
    }

    @Test func `ids survive the round trip through their digits`() {
        let id = OperationID(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)
        let text = written { $0.append(id) }
        #expect(text == id.description)
        #expect(withBytes(text) { OperationID(hex: $0) } == id)
        #expect(withBytes(text) { Fingerprint(hex: $0) } == Fingerprint(high: id.high, low: id.low))
        for refused in ["", String(text.dropLast()), text + "0", text.uppercased(), String(text.dropLast()) + "g"] {
            #expect(withBytes(refused) { OperationID(hex: $0) } == nil)
        }
    }

    @Test(arguments: [
        ("1234567", false), ("12345678", true), (String(repeating: "k", count: 255), true), (String(repeating: "k", count: 256), false),
        ("", false),
        ("with space", false), ("tab\tabcde", false), ("ünïcödé-key", false), ("\u{7F}2345678", false), ("!\"#$%&'()~", true),
    ])
    func `an idempotency key is 8 to 255 visible ASCII characters`(key: String, valid: Bool) {
        #expect(withBytes(key) { IdempotencyKey.isValid($0) } == valid)
    }

    private static let key = "sk_0123456789abcdef_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

    @Test func `a key's public id and digest`() {
        #expect(withBytes(Self.key) { APIKey.publicID(of: $0) } == 0x0123_4567_89ab_cdef)
        let digest = withBytes(Self.key) { identity.digest(ofKey: $0) }
        var bytes: [UInt8] = []
        digest.append(to: &bytes)
        #expect(Hex.text(bytes.span) == "c1f4f9fd30b7528be4af3a56770ac9ed7288b06ebf91e8a857d7213f85ccaf11")
    }

    @Test func `a key that is made is a key, and the next is another`() {
        var generator = SeededGenerator(seed: 3)
        let one = APIKey.make(using: &generator)
        let other = APIKey.make(using: &generator)
        #expect(one.text.utf8.count == APIKey.bytes)
        #expect(withBytes(one.text) { APIKey.publicID(of: $0) } == one.publicID)
        #expect(one.publicID != other.publicID)
        #expect(one.text.suffix(43) != other.text.suffix(43))
    }

    @Test(arguments: [
        "", "sk_", String(key.dropLast()), key + "A", key.replacing("sk_", with: "pk_"), key.replacing("abcdef", with: "ABCDEF"),
        key.replacing("f_A", with: "f-A"), key.replacing("AAEC", with: "AA+C"), String(key.dropLast()) + "9",
    ])
    func `what has not a key's form has no public id`(text: String) {
        #expect(withBytes(text) { APIKey.publicID(of: $0) } == nil)
    }
}
