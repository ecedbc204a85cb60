/// `Prefer` (RFC 7240).
public enum Preference {
    /// The seconds that the client would wait for a final answer, at most `Limits.waitSecondsMax`; nil when it asked for none.
    ///
    /// The first `wait` counts (section 2). A preference that cannot be understood is passed over; what is no list of preferences has none from
    /// there on. Several fields of the name are one list: the caller asks for each in order and takes the first answer.
    public static func waitSeconds(_ field: Span<UInt8>) -> Int? {
        var scanner = FieldScanner(field)
        while !scanner.isAtEnd {
            if scanner.take(UInt8(ascii: ",")) || scanner.takeSpace() { continue }
            guard let name = scanner.token() else { return nil }
            guard let value = value(&scanner) else { return nil }
            if field.extracting(name).equals(ignoringCase: "wait") { return seconds(field.extracting(value)) }
            guard skipParameters(&scanner) else { return nil }
            guard scanner.isAtEnd || scanner.take(UInt8(ascii: ",")) else { return nil }
        }
        return nil
    }

    /// The word after `=`, empty when there is none; nil when something else follows the sign.
    @_lifetime(scanner: copy scanner)
    private static func value(_ scanner: inout FieldScanner) -> Range<Int>? {
        scanner.skipSpace()
        guard scanner.take(UInt8(ascii: "=")) else { return 0..<0 }
        scanner.skipSpace()
        guard let word = scanner.word() else { return nil }
        scanner.skipSpace()
        return word
    }

    @_lifetime(scanner: copy scanner)
    private static func skipParameters(_ scanner: inout FieldScanner) -> Bool {
        while scanner.take(UInt8(ascii: ";")) {
            scanner.skipSpace()
            guard scanner.token() != nil else { continue }
            guard value(&scanner) != nil else { return false }
        }
        return true
    }

    private static func seconds(_ text: Span<UInt8>) -> Int? {
        guard text.count > 0 else { return nil }
        var value = 0
        for index in 0..<text.count {
            guard isDigit(text[index]) else { return nil }
            value = min(value * 10 + Int(text[index] - UInt8(ascii: "0")), Limits.waitSecondsMax)
        }
        return value
    }
}

/// `Authorization` (RFC 6750 section 2.1).
public enum Authorization {
    /// Where the token of `Bearer` stands in the field; nil for another scheme or something that is no token.
    public static func bearerToken(_ field: Span<UInt8>) -> Range<Int>? {
        guard field.count > 7, field.extracting(0..<7).equals(ignoringCase: "bearer ") else { return nil }
        var start = 7
        while start < field.count, field[start] == UInt8(ascii: " ") { start += 1 }
        guard start < field.count else { return nil }
        for index in start..<field.count where !isVisible(field[index]) { return nil }
        return start..<field.count
    }
}

/// `Content-Type` (RFC 9110 section 8.3).
public enum MediaType {
    /// Whether it is `application/json`, in any case, with no parameter but `charset=utf-8` (which means nothing: RFC 8259 section 11).
    public static func isJSON(_ field: Span<UInt8>) -> Bool {
        let type: StaticString = "application/json"
        guard field.count >= type.utf8CodeUnitCount, field.extracting(0..<type.utf8CodeUnitCount).equals(ignoringCase: type) else {
            return false
        }
        var scanner = FieldScanner(field.extracting(type.utf8CodeUnitCount..<field.count))
        let parameters = field.extracting(type.utf8CodeUnitCount..<field.count)
        scanner.skipSpace()
        while scanner.take(UInt8(ascii: ";")) {
            scanner.skipSpace()
            guard let name = scanner.token() else { continue }
            guard parameters.extracting(name).equals(ignoringCase: "charset"), scanner.take(UInt8(ascii: "=")), let value = scanner.word(),
                parameters.extracting(value).equals(ignoringCase: "utf-8")
            else { return false }
            scanner.skipSpace()
        }
        return scanner.isAtEnd
    }
}

/// `X-Request-Id`, a custom of proxies.
public enum RequestID {
    /// Whether nginx would take it as it is (nginx/maps.conf): 8 to 64 letters, digits, `.`, `_` and `-`.
    public static func isValid(_ field: Span<UInt8>) -> Bool {
        guard (8...64).contains(field.count) else { return false }
        for index in 0..<field.count where !isNameByte(field[index]) { return false }
        return true
    }
}

/// `traceparent` (W3C Trace Context, section 3.2).
public enum TraceContext {
    /// A later version may be longer; what is longer than this is not carried.
    public static let bytesMax = 128

    /// The trace's id of a valid field: 32 hexadecimal digits, by which log lines are found again.
    public static func traceID(_ traceparent: String) -> String {
        String(decoding: traceparent.utf8.dropFirst(3).prefix(32), as: UTF8.self)
    }

    /// Whether it may be carried on: lowercase hexadecimal `version-trace-parent-flags`, trace and parent not zero. Version 00 ends there,
    /// a later one may go on after a further `-`, `ff` is none.
    public static func isValid(traceparent field: Span<UInt8>) -> Bool {
        guard field.count >= 55, field.count <= bytesMax, field[2] == UInt8(ascii: "-"), field[35] == UInt8(ascii: "-"),
            field[52] == UInt8(ascii: "-"),
            isHex(field.extracting(0..<2)), isHex(field.extracting(3..<35)), isHex(field.extracting(36..<52)),
            isHex(field.extracting(53..<55)),
            !isZero(field.extracting(3..<35)), !isZero(field.extracting(36..<52)), !field.extracting(0..<2).equals("ff")
        else { return false }
        if field.count == 55 { return true }
        if field.extracting(0..<2).equals("00") || field[55] != UInt8(ascii: "-") { return false }
        for index in 56..<field.count where !isVisible(field[index]) { return false }
        return true
    }

    private static func isHex(_ text: Span<UInt8>) -> Bool {
        for index in 0..<text.count where !isDigit(text[index]) {
            guard text[index] >= UInt8(ascii: "a"), text[index] <= UInt8(ascii: "f") else { return false }
        }
        return true
    }

    private static func isZero(_ text: Span<UInt8>) -> Bool {
        for index in 0..<text.count where text[index] != UInt8(ascii: "0") { return false }
        return true
    }
}
