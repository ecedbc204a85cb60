extension Span where Element == UInt8 {
    /// Offset of the first control byte (below 0x20, or 0x7F) in `from..<to`; `to` when there is none.
    ///
    /// Eight bytes at a time: nearly all of a request is text between two line ends, and this is the one pass
    /// that touches all of it. No load reaches past `to`.
    func firstControl(from: Int, to: Int) -> Int {
        precondition(from >= 0 && to <= count)
        var index = from
        while index &+ 8 <= to {
            let word = unsafe UInt64(
                littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self))
            // A borrow can only flag a byte above one that is truly below 0x20, and the lowest flag is the answer.
            let belowSpace = (word &- 0x2020_2020_2020_2020) & ~word
            let difference = word ^ 0x7f7f_7f7f_7f7f_7f7f
            let isDelete = (difference &- 0x0101_0101_0101_0101) & ~difference
            let flags = (belowSpace | isDelete) & 0x8080_8080_8080_8080
            if flags != 0 { return index &+ flags.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < to {
            let byte = self[index]
            if byte < ASCII.space || byte == ASCII.delete { return index }
            index &+= 1
        }
        return to
    }

    /// Whether these bytes spell `lowercase` in any mix of cases. `lowercase` must hold no capital letter.
    func equalsIgnoringCase(_ lowercase: StaticString) -> Bool {
        guard count == lowercase.utf8CodeUnitCount else { return false }
        let expected = unsafe UnsafeBufferPointer(start: lowercase.utf8Start, count: lowercase.utf8CodeUnitCount)
        for index in 0..<count {
            let wanted = unsafe expected[index]
            if ASCII.lowercased(self[index]) != wanted { return false }
        }
        return true
    }

    /// Whether these bytes are exactly `text`.
    func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let expected = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        for index in 0..<count {
            let wanted = unsafe expected[index]
            if self[index] != wanted { return false }
        }
        return true
    }

    /// The range without spaces and tabs at both ends (RFC 9110 section 5.6.3, optional white space).
    func trimmed(_ start: Int, _ end: Int) -> ByteRange {
        var start = start
        var end = end
        while start < end, ASCII.isBlank(self[start]) { start &+= 1 }
        while end > start, ASCII.isBlank(self[end &- 1]) { end &-= 1 }
        return ByteRange(start, end)
    }
}

extension MutableSpan where Element == UInt8 {
    /// Moves `source..<source + length` down to `destination`; the two may overlap.
    mutating func moveDown(from source: Int, to destination: Int, length: Int) {
        precondition(destination >= 0 && destination <= source && length >= 0 && source + length <= count)
        guard destination != source, length > 0 else { return }
        unsafe withUnsafeMutableBytes { bytes in
            let base = bytes.baseAddress!
            unsafe (base + destination).copyMemory(from: base + source, byteCount: length)
        }
    }
}
