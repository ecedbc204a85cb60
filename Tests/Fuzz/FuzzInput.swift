/// The bytes of one run, and how a target takes them apart.
///
/// Copied into memory of exactly their length, so that the address sanitizer notices one byte read too far.
@safe
struct FuzzInput: ~Copyable {
    private let memory: UnsafeMutableBufferPointer<UInt8>

    init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        unsafe memory = .allocate(capacity: count)
        if let start = unsafe start { unsafe memory.baseAddress!.initialize(from: start, count: count) }
    }

    init(copying bytes: Span<UInt8>) {
        unsafe memory = .allocate(capacity: bytes.count)
        for index in 0..<bytes.count { unsafe memory.baseAddress!.advanced(by: index).initialize(to: bytes[index]) }
    }

    deinit { unsafe memory.deallocate() }

    var count: Int { unsafe memory.count }

    var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let span = unsafe memory.span
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    var mutableBytes: MutableSpan<UInt8> {
        @_lifetime(&self)
        mutating get {
            let span = unsafe memory.mutableSpan
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }
}

extension Span<UInt8> {
    /// The bytes of an array of their own.
    var copied: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count)
        for index in 0..<count { result.append(self[index]) }
        return result
    }

    func equals(_ other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where self[index] != other[index] { return false }
        return true
    }
}
