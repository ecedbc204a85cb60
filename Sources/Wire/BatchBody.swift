public import Ledger

/// The body of `POST /v1/batches`: `{"items":[ITEM,...]}`.
///
/// Its items are found here and read one by one, so that a wrong one is told in its own place and keeps no other from being
/// carried out. The whole is refused only where the items cannot be told apart.
public enum BatchBody {
    /// Where the items stand in the body, in order: 1 to `Limits.batchItemsMax`. An item may be anything, and need not be JSON.
    public static func items(_ body: Span<UInt8>) -> Result<[Range<Int>], Problem> {
        var scan = BatchScan(body)
        guard scan.skip("{") else { return .failure(Problem(.malformedJSON)) }
        guard scan.skip("\"items\""), scan.skip(":"), scan.skip("[") else {
            return refused(.required, "a batch is an object with `items` alone, a list")
        }
        var items: [Range<Int>] = []
        if !scan.skip("]") {
            repeat {
                guard let item = scan.value() else { return .failure(Problem(.malformedJSON)) }
                items.append(item)
                if items.count > Limits.batchItemsMax {
                    return refused(.tooManyMembers, "a batch has at most \(Limits.batchItemsMax) items")
                }
            } while scan.skip(",")
            guard scan.skip("]") else { return .failure(Problem(.malformedJSON)) }
        }
        guard scan.skip("}"), scan.isAtEnd else { return .failure(Problem(.malformedJSON, detail: "something follows the items")) }
        return items.isEmpty ? refused(.required, "a batch has at least one item") : .success(items)
    }

    private static func refused(_ code: ValidationProblem.Code, _ detail: String) -> Result<[Range<Int>], Problem> {
        .failure(Problem(.validationFailed, errors: [ValidationProblem(code, at: "/items", detail)]))
    }
}

extension RequestReader {
    /// Reads one item: the members of `POST /v1/payments` or, with `"type":"account"`, of `POST /v1/accounts`, and `key`, its
    /// idempotency key.
    public func batchItem(_ item: Span<UInt8>) -> Result<(key: String, command: Command), Problem> {
        switch submission(item) {
        case .failure(let problem): return .failure(problem)
        case .success(let submission):
            if let key = submission.key { return .success((key, submission.command)) }
            return .failure(
                Problem(.validationFailed, errors: [ValidationProblem(.required, at: "/key", "each item has its own idempotency key")]))
        }
    }
}

/// Walks over the outline of a batch.
private struct BatchScan: ~Escapable {
    private let bytes: Span<UInt8>
    private var at = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool {
        var copy = self
        copy.skipSpace()
        return copy.at == bytes.count
    }

    /// Skips white space and then the text, if it is there.
    @_lifetime(self: copy self)
    mutating func skip(_ text: StaticString) -> Bool {
        skipSpace()
        let count = text.utf8CodeUnitCount
        guard at + count <= bytes.count, bytes.extracting(at..<(at + count)).equals(text) else { return false }
        at += count
        return true
    }

    /// The value that begins here, up to the comma or bracket behind it; nil when there is none or it does not end.
    @_lifetime(self: copy self)
    mutating func value() -> Range<Int>? {
        skipSpace()
        let start = at
        var depth = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""): guard skipString() else { return nil }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return at > start ? start..<at : nil }
                depth -= 1
                at += 1
                if depth == 0 { return start..<at }
            case UInt8(ascii: ","):
                if depth == 0 { return at > start ? start..<at : nil }
                at += 1
            default: at += 1
            }
        }
        return nil
    }

    /// A text with its quotes, the escapes in it not looked at.
    @_lifetime(self: copy self)
    private mutating func skipString() -> Bool {
        at += 1
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\\"): at += 2
            case UInt8(ascii: "\""):
                at += 1
                return true
            default: at += 1
            }
        }
        return false
    }

    @_lifetime(self: copy self)
    private mutating func skipSpace() {
        while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 }
    }
}
