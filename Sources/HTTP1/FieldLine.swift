/// One field line, `name ":" value` (RFC 9112 section 5).
enum FieldLine {
    /// Splits the line at `start..<end`. The line holds no control byte but tabs.
    @inline(__always)
    static func parse(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) throws(Refusal) -> Field {
        var index = start
        while index < end, ByteSet.token.contains(bytes[index]) { index &+= 1 }
        guard index > start else { throw ASCII.isBlank(bytes[start]) ? .foldedLine : .malformedFieldName }
        guard index < end else { throw .malformedFieldName }
        guard bytes[index] == UInt8(ascii: ":") else {
            throw ASCII.isBlank(bytes[index]) ? .spaceBeforeColon : .malformedFieldName
        }
        return Field(
            known: FieldName(bytes.extracting(start..<index)), name: ByteRange(start, index),
            value: bytes.trimmed(index + 1, end))
    }

    /// The number that a Content-Length value spells, nil when it is none: digits only, no sign, no list.
    static func decimal(_ digits: Span<UInt8>) -> UInt64? {
        guard digits.count > 0 else { return nil }
        var result: UInt64 = 0
        for index in 0..<digits.count {
            guard ASCII.isDigit(digits[index]) else { return nil }
            let (product, overflow) = result.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digits[index] - UInt8(ascii: "0")))
            if overflow || carry { return nil }
            result = sum
        }
        return result
    }
}

extension RequestHead {
    /// Keeps a field and notes what it says about the connection. What follows from several fields together is
    /// judged in `conclude`, so that the verdict does not depend on where the head was split.
    @inline(__always)
    mutating func add(_ field: Field, _ bytes: Span<UInt8>) throws(Refusal) {
        fields.append(field)
        switch field.known {
        case .host:
            hosts += 1
            host = field.value
            guard Host.isValid(bytes[field.value]) else { throw .hostInvalid }
        case .contentLength:
            contentLengths += 1
            guard let length = FieldLine.decimal(bytes[field.value]) else { throw .contentLengthInvalid }
            contentLength = length
        case .transferEncoding: codings.add(bytes, field.value)
        case .connection: connection.add(bytes, field.value)
        case .expect:
            if bytes[field.value].equalsIgnoringCase("100-continue") {
                expectsContinue = true
            } else {
                expectationUnknown = true
            }
        default: break
        }
    }

    /// Judges the fields together, after the empty line (RFC 9112 sections 3.2, 6 and 9.3).
    mutating func conclude(_ bytes: Span<UInt8>, _ limits: borrowing RequestLimits) throws(Refusal) {
        guard hosts <= 1 else { throw .hostRepeated }
        if hosts == 0 {
            guard version == .http10 else { throw .hostMissing }
        } else if !authority.isEmpty {
            guard Host.equal(bytes[authority], bytes[host]) else { throw .hostMismatch }
        }
        try concludeFraming()
        if expectationUnknown { throw .expectationUnknown }
        // RFC 9110 section 10.1.1: an expectation in an HTTP/1.0 request is ignored.
        if version == .http10 { expectsContinue = false }
        keepsAlive = !connection.closes && (version == .http11 || connection.keepsAlive)

        switch framing {
        case .none:
            if limits.lengthRequired, method == .post || method == .put || method == .patch { throw .lengthRequired }
            expectsContinue = false
        case .length(let length):
            if length > UInt64(limits.bodyBytesMax), length > UInt64(limits.bodyBytesMax(path: bytes[path])) {
                throw .bodyTooLarge
            }
            if length == 0 { expectsContinue = false }
        case .chunked: break
        }
    }

    private mutating func concludeFraming() throws(Refusal) {
        guard contentLengths <= 1 else { throw .contentLengthRepeated }
        if codings.count > 0 {
            guard contentLengths == 0 else { throw .contentLengthWithTransferEncoding }
            guard version == .http11 else { throw .transferEncodingInHTTP10 }
            if let refusal = codings.refusal { throw refusal }
            framing = .chunked
        } else if contentLengths == 1 {
            framing = .length(contentLength)
        }
    }
}
