/// A Swift or C source taken apart: what the compiler reads, and what only people read. Both parts keep the line breaks,
/// so that a line's number is the same in each.
struct SourceText {
    /// Comments and the contents of string literals are left out.
    private(set) var code: [UInt8] = []
    private(set) var comments: [UInt8] = []
    /// Comments are left out, string literals are whole.
    private(set) var codeWithStrings: [UInt8] = []

    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
        while position < bytes.count { readToken() }
    }

    static func lines(_ part: [UInt8]) -> [String] {
        part.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    private func sees(_ text: String) -> Bool { bytes[position...].starts(with: text.utf8) }

    private mutating func readToken() {
        switch bytes[position] {
        case UInt8(ascii: "/") where sees("//"):
            while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { take(\.comments) }
        case UInt8(ascii: "/") where sees("/*"): readBlockComment()
        case UInt8(ascii: "\""): readString()
        case UInt8(ascii: "#") where sees("#\"") || sees("##\""): readString()
        default: takeCode()
        }
    }

    private mutating func readBlockComment() {
        var depth = 0
        repeat {
            if sees("/*") {
                depth += 1
                take(\.comments)
            } else if sees("*/") {
                depth -= 1
                take(\.comments)
            }
            take(\.comments)
        } while depth > 0 && position < bytes.count
    }

    private mutating func readString() {
        var hashes = 0
        while position < bytes.count, bytes[position] == UInt8(ascii: "#") {
            hashes += 1
            takeCode()
        }
        let quotes = sees("\"\"\"") ? 3 : 1
        let end = [UInt8](repeating: UInt8(ascii: "\""), count: quotes) + [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        for _ in 0..<quotes { takeCode() }
        while position < bytes.count {
            if bytes[position...].starts(with: end) {
                for _ in end { takeCode() }
                return
            }
            // A quote within an interpolation ends the literal too early here; the line's end puts that right.
            if quotes == 1, bytes[position] == UInt8(ascii: "\n") { return }
            if hashes == 0, bytes[position] == UInt8(ascii: "\\") { takeContent() }
            takeContent()
        }
    }

    private mutating func takeCode() {
        guard position < bytes.count else { return }
        codeWithStrings.append(bytes[position])
        take(\.code)
    }

    private mutating func takeContent() {
        guard position < bytes.count else { return }
        codeWithStrings.append(bytes[position])
        if bytes[position] == UInt8(ascii: "\n") { take(\.code) } else { position += 1 }
    }

    /// Moves one byte into a part; a line break goes into both.
    private mutating func take(_ part: WritableKeyPath<SourceText, [UInt8]>) {
        guard position < bytes.count else { return }
        let byte = bytes[position]
        position += 1
        if byte == UInt8(ascii: "\n") {
            code.append(byte)
            comments.append(byte)
            if part == \.comments { codeWithStrings.append(byte) }
        } else {
            self[keyPath: part].append(byte)
        }
    }
}
