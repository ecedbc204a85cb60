internal import CDigest

/// SHA-256 (FIPS 180-4) with a context that is made once and reused, so that hashing allocates nothing.
///
/// Owned by one thread. `hash` is the whole interface: the message's parts are given one by one to `add`.
@safe
public final class SHA256 {
    private let context: OpaquePointer

    /// Ends the process when the cryptographic library offers no SHA-256: nothing here works without it.
    public init() {
        guard let context = unsafe sluice_sha256_create() else { preconditionFailure("libcrypto offers no SHA-256") }
        unsafe self.context = context
    }

    deinit { unsafe sluice_sha256_free(context) }

    /// Hashes the parts that `body` adds, in order.
    public func hash(_ body: (borrowing Message) -> Void) -> Digest256 {
        precondition(unsafe sluice_sha256_begin(context) == 0, "SHA-256 could not begin")
        body(unsafe Message(context: context))
        var digest = Digest256()
        let code = unsafe digest.withMutableBytes { bytes in unsafe sluice_sha256_finish(context, bytes.baseAddress!) }
        precondition(code == 0, "SHA-256 could not finish")
        return digest
    }

    /// Hashes one run of bytes.
    public func hash(of bytes: Span<UInt8>) -> Digest256 {
        hash { message in message.add(bytes) }
    }

    /// The message being hashed.
    @safe
    public struct Message: ~Copyable {
        private let context: OpaquePointer

        fileprivate init(context: OpaquePointer) { unsafe self.context = context }

        public func add(_ bytes: Span<UInt8>) {
            unsafe bytes.withUnsafeBufferPointer { buffer in
                let code = unsafe sluice_sha256_update(context, buffer.baseAddress, buffer.count)
                precondition(code == 0, "SHA-256 could not go on")
            }
        }

        /// Adds an integer as 8 bytes, big endian.
        public func add(_ value: UInt64) {
            unsafe withUnsafeBytes(of: value.bigEndian) { buffer in
                let code = unsafe sluice_sha256_update(context, buffer.baseAddress, buffer.count)
                precondition(code == 0, "SHA-256 could not go on")
            }
        }

        /// Adds a part preceded by its length, so that no two lists of parts hash alike.
        public func add(lengthPrefixed bytes: Span<UInt8>) {
            add(UInt64(bytes.count))
            add(bytes)
        }

        public func add(lengthPrefixed text: String) {
            var text = text
            text.withUTF8 { buffer in unsafe add(lengthPrefixed: buffer.span) }
        }
    }
}

/// 256 bits. Equality takes the same time wherever the first difference stands.
public struct Digest256: Equatable, Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    public init() {}

    /// From exactly 32 bytes; nil for any other count.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 32 else { return nil }
        unsafe withMutableBytes { target in
            for index in 0..<32 { unsafe target[index] = bytes[index] }
        }
    }

    /// The first 128 bits as two big-endian words.
    public var leadingWords: (high: UInt64, low: UInt64) { (UInt64(bigEndian: words.0), UInt64(bigEndian: words.1)) }

    public func append(to buffer: inout [UInt8]) {
        unsafe withUnsafeBytes(of: words) { bytes in unsafe buffer.append(contentsOf: bytes) }
    }

    public static func == (left: Digest256, right: Digest256) -> Bool {
        (left.words.0 ^ right.words.0) | (left.words.1 ^ right.words.1)
            | (left.words.2 ^ right.words.2) | (left.words.3 ^ right.words.3) == 0
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

    fileprivate mutating func withMutableBytes<Result>(_ body: (UnsafeMutableBufferPointer<UInt8>) -> Result) -> Result {
        unsafe withUnsafeMutableBytes(of: &words) { raw in unsafe body(raw.bindMemory(to: UInt8.self)) }
    }
}
