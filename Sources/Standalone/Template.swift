import Foundation

/// A configuration text with `@NAME@` places, NAME being capitals and underscores.
struct Template: Sendable {
    let source: String
    let text: String

    init(source: String, text: String) {
        self.source = source
        self.text = text
    }

    /// Reads a template that comes with Sluice.
    init(file path: String) throws(StandaloneError) {
        guard let text = SystemCall.readFile(path) else {
            throw .brokenSetup("\(path) is missing: it comes with Sluice; restore it or pass --home")
        }
        self.init(source: path, text: text)
    }

    /// The text with every place filled. A place without a value and a value without a place are both
    /// refused: either would be a setting that silently does not take effect.
    func rendered(_ values: [String: String]) throws(StandaloneError) -> String {
        var output = ""
        var unused = Set(values.keys)
        var rest = text[...]
        while let start = rest.firstIndex(of: "@") {
            output += rest[..<start]
            let after = rest[rest.index(after: start)...]
            let name = after.prefix { $0.isASCII && ($0.isUppercase || $0 == "_") }
            guard !name.isEmpty, after[name.endIndex...].first == "@" else {
                output += "@"
                rest = after
                continue
            }
            guard let value = values[String(name)] else { throw .brokenSetup("\(source): nothing to fill @\(name)@ with") }
            unused.remove(String(name))
            output += value
            rest = after[after.index(after: name.endIndex)...]
        }
        guard unused.isEmpty else { throw .brokenSetup("\(source): no place for \(unused.sorted().joined(separator: ", "))") }
        return output + rest
    }
}
