import Bytes
import Testing

@Suite struct BytesTests {
    @Test(arguments: [0, 7, 10, 99, 100, 12_345, Int64.max, -1, Int64.min])
    func `decimals are written as Swift writes them`(value: Int64) {
        var buffer: [UInt8] = []
        buffer.append(decimal: value)
        #expect(String(decoding: buffer, as: UTF8.self) == String(value))
    }

    @Test func `a padded decimal has exactly its width`() {
        var buffer: [UInt8] = []
        buffer.append(decimal: 42 as UInt64, width: 6)
        buffer.append(decimal: 999_999 as UInt64, width: 6)
        buffer.append(decimal: 0 as UInt64, width: 3)
        #expect(String(decoding: buffer, as: UTF8.self) == "000042999999000")
    }

    @Test func `SHA-256 agrees with the examples of FIPS 180-4`() {
        let hasher = SHA256()
        let abc: [UInt8] = Array("abc".utf8)
        var digest: [UInt8] = []
        hasher.hash(of: abc.span).append(to: &digest)
        #expect(Hex.text(digest.span) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        digest = []
        hasher.hash { _ in }.append(to: &digest)
        #expect(Hex.text(digest.span) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test func `length prefixes keep neighbouring parts apart`() {
        let hasher = SHA256()
        let one = hasher.hash { message in
            message.add(lengthPrefixed: "ab")
            message.add(lengthPrefixed: "c")
        }
        let other = hasher.hash { message in
            message.add(lengthPrefixed: "a")
            message.add(lengthPrefixed: "bc")
        }
        #expect(one != other)
    }

    @Test func `hexadecimal words survive the round trip and have one spelling`() {
        var buffer: [UInt8] = []
        buffer.append(hex: 0x0123_4567_89ab_cdef)
        #expect(String(decoding: buffer, as: UTF8.self) == "0123456789abcdef")
        #expect(Hex.word(buffer.span) == 0x0123_4567_89ab_cdef)
        let upper: [UInt8] = Array("0123456789ABCDEF".utf8)
        #expect(Hex.word(upper.span) == nil)
    }

    @Test(arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func `base64url survives the round trip`(text: String) {
        let bytes: [UInt8] = Array(text.utf8)
        let encoded: [UInt8] = Array(Base64URL.text(bytes.span).utf8)
        #expect(Base64URL.bytes(encoded.span) == bytes)
    }

    @Test func `base64url follows RFC 4648 and refuses second spellings`() {
        let foob: [UInt8] = Array("foob".utf8)
        #expect(Base64URL.text(foob.span) == "Zm9vYg")
        for refused in ["Zm9vYh", "Zm9v=", "Zm9v+", "Z"] {
            let bytes: [UInt8] = Array(refused.utf8)
            #expect(Base64URL.bytes(bytes.span) == nil, "\(refused)")
        }
    }
}
