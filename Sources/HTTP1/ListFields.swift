/// What the Connection fields say (RFC 9110 section 7.6.1).
struct ConnectionOptions {
    var closes = false
    var keepsAlive = false

    /// Adds the options of one field value. Options that are not known are ignored, as the standard says.
    mutating func add(_ bytes: Span<UInt8>, _ value: ByteRange) {
        var list = ListElements(value)
        while let element = list.next(in: bytes) {
            let option = bytes[element]
            if option.equalsIgnoringCase("close") { closes = true }
            if option.equalsIgnoringCase("keep-alive") { keepsAlive = true }
        }
    }
}

/// What the Transfer-Encoding fields say, over all fields of that name in order (RFC 9112 section 6.1).
struct TransferCodings {
    private(set) var count = 0
    private var isMalformed = false
    private var hasUnknown = false
    private var chunked = 0
    private var lastIsChunked = false

    mutating func add(_ bytes: Span<UInt8>, _ value: ByteRange) {
        let before = count
        var list = ListElements(value)
        defer { if list.sawEmpty { isMalformed = true } }
        while let element = list.next(in: bytes) {
            let coding = bytes[element]
            count += 1
            lastIsChunked = coding.equalsIgnoringCase("chunked")
            if lastIsChunked {
                chunked += 1
            } else {
                hasUnknown = true
                if !isCoding(coding) { isMalformed = true }
            }
        }
        if count == before {
            // An empty field still says that there is a coding.
            isMalformed = true
            count += 1
        }
    }

    /// The refusal that these codings call for, nil when they are one `chunked`.
    var refusal: Refusal? {
        if isMalformed || chunked > 1 || (chunked == 1 && !lastIsChunked) { return .transferEncodingInvalid }
        return hasUnknown ? .transferCodingUnknown : nil
    }

    /// A token, and parameters after `;` that are not looked into; `chunked` itself has none.
    private func isCoding(_ coding: Span<UInt8>) -> Bool {
        var index = 0
        while index < coding.count, ByteSet.token.contains(coding[index]) { index += 1 }
        guard index > 0 else { return false }
        if index < coding.count, coding[index] != UInt8(ascii: ";"), !ASCII.isBlank(coding[index]) { return false }
        return !coding.extracting(0..<index).equalsIgnoringCase("chunked")
    }
}

/// The elements of a comma-separated field value without white space around them; empty ones are skipped
/// (RFC 9110 section 5.6.1).
struct ListElements {
    private var index: Int
    private let end: Int
    /// Whether an empty element was skipped. Lists may hold some, but in Transfer-Encoding (`chunked,`) they are a
    /// known way to make two parsers disagree.
    private(set) var sawEmpty = false

    init(_ value: ByteRange) {
        index = Int(value.start)
        end = value.end
    }

    mutating func next(in bytes: Span<UInt8>) -> ByteRange? {
        while index < end {
            let start = index
            while index < end, bytes[index] != UInt8(ascii: ",") { index += 1 }
            let element = bytes.trimmed(start, index)
            if element.isEmpty || index == end - 1 { sawEmpty = true }
            index += 1
            if !element.isEmpty { return element }
        }
        return nil
    }
}
