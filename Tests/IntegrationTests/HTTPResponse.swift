import Foundation

/// An answer, parsed here and not by the code under test.
struct HTTPResponse: Sendable {
    let status: Int
    let fields: [(name: String, value: String)]
    var body: [UInt8] = []

    /// - Parameter head: the status line and the fields, without the empty line.
    init(head: String) throws(HTTPFailure) {
        let lines = head.components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count == 3, words[0] == "HTTP/1.1", let status = Int(words[1]) else { throw .malformed(lines[0]) }
        self.status = status
        var fields: [(String, String)] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else { throw .malformed(line) }
            fields.append((line[..<colon].lowercased(), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)))
        }
        self.fields = fields
    }

    /// A field's value by its name in lower case.
    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSON { JSON(text) }
    /// The `code` of a problem; nil for anything else, also for one that is not labelled or not complete.
    var problemCode: String? {
        guard self["content-type"] == "application/problem+json", json.status.int == status else { return nil }
        guard json.type.string != nil, json.title.string != nil, json.retryable.bool != nil else { return nil }
        return json.code.string
    }
}

extension HTTPResponse: CustomStringConvertible {
    var description: String { "\(status) \(text.prefix(600))" }
}

/// A JSON value that is looked into without ceremony: what is not there is null.
@dynamicMemberLookup
struct JSON {
    let value: Any?

    init(_ text: String) { value = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) }
    private init(value: Any?) { self.value = value }

    subscript(dynamicMember name: String) -> JSON { self[name] }
    subscript(name: String) -> JSON { JSON(value: (value as? [String: Any])?[name]) }
    subscript(index: Int) -> JSON {
        guard let list = value as? [Any], list.indices.contains(index) else { return JSON(value: nil) }
        return JSON(value: list[index])
    }

    var string: String? { value as? String }
    var int: Int? { value as? Int }
    var bool: Bool? { value as? Bool }
    var list: [JSON] { ((value as? [Any]) ?? []).map { JSON(value: $0) } }
    var names: [String] { ((value as? [String: Any]) ?? [:]).keys.sorted() }
    var isNull: Bool { value == nil || value is NSNull }
}
