/// What is looked for in one file at a time.
enum Rules {
    static let linesMax = 400

    /// Imports that the module table does not grant, and those that hide where a name comes from.
    static func imports(_ file: SourceFile) -> [Violation] {
        guard let module = file.module else { return [] }
        return importStatements(file).flatMap { statement -> [Violation] in
            var violations: [Violation] = []
            if let attribute = statement.attributes.first(where: { $0 != "@preconcurrency" }) {
                violations.append(file.violation(line: statement.line, "\(attribute) import"))
            }
            if !ModuleTable.may(module, import: statement.module) {
                violations.append(file.violation(line: statement.line, "\(module) may not import \(statement.module)"))
            }
            return violations
        }
    }

    private static let modifiers: Set<String> = ["public", "package", "internal", "fileprivate", "private"]
    private static let kinds: Set<String> = ["struct", "class", "enum", "protocol", "typealias", "func", "var", "let", "actor", "macro"]

    /// Every `import`, whatever stands before it and wherever on a line.
    private static func importStatements(_ file: SourceFile) -> [(line: Int, attributes: [String], module: String)] {
        var result: [(line: Int, attributes: [String], module: String)] = []
        for (index, line) in SourceText.lines(file.source.code).enumerated() where line.contains("import") {
            for statement in line.split(separator: ";") {
                var words = statement.split(whereSeparator: \.isWhitespace).map(String.init)[...]
                var attributes: [String] = []
                while let word = words.first, word.hasPrefix("@") || modifiers.contains(word) {
                    if word.hasPrefix("@") { attributes.append(word) }
                    words.removeFirst()
                }
                guard words.popFirst() == "import" else { continue }
                if let kind = words.first, kinds.contains(kind), words.count > 1 { words.removeFirst() }
                guard let name = words.first?.split(separator: ".").first else { continue }
                result.append((index + 1, attributes, String(name)))
            }
        }
        return result
    }

    /// `@unchecked Sendable` and `nonisolated(unsafe)` beyond what is exempt, and exemptions that nothing needs.
    static func concurrency(_ files: [SourceFile], exemptions: [ConcurrencyExemption]) -> [Violation] {
        var violations: [Violation] = []
        for file in files {
            for construct in ["@unchecked Sendable", "nonisolated(unsafe)"] {
                let lines = SourceText.lines(file.source.code).enumerated().filter { $0.element.contains(construct) }.map { $0.offset + 1 }
                let allowed = exemptions.first { $0.path == file.path && $0.construct == construct }?.count ?? 0
                if lines.count < allowed { violations.append(file.violation(line: 1, "fewer \(construct) than are exempt")) }
                for line in lines.dropFirst(allowed) { violations.append(file.violation(line: line, construct)) }
            }
        }
        for exemption in exemptions where !files.contains(where: { $0.path == exemption.path }) {
            violations.append(Violation(path: exemption.path, line: 1, message: "exempt, and not there"))
        }
        return violations
    }

    /// Comments that say the work is not done.
    static func unfinished(_ file: SourceFile) -> [Violation] {
        let marks: Set<Substring> = ["TODO", "FIXME", "XXX"]
        return SourceText.lines(file.source.comments).enumerated().flatMap { index, line in
            line.split { !$0.isLetter && !$0.isNumber }.filter(marks.contains).map { file.violation(line: index + 1, String($0)) }
        }
    }

    /// Tabs, and spaces at a line's end.
    static func whitespace(_ file: SourceFile) -> [Violation] {
        SourceText.lines(Array(file.text.utf8)).enumerated().flatMap { index, line -> [Violation] in
            var violations: [Violation] = []
            if line.utf8.contains(UInt8(ascii: "\t")) { violations.append(file.violation(line: index + 1, "a tab")) }
            if let last = line.utf8.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\r") {
                violations.append(file.violation(line: index + 1, "white space at the end"))
            }
            return violations
        }
    }

    static func length(_ file: SourceFile) -> [Violation] {
        let lines = file.text.utf8.count { $0 == UInt8(ascii: "\n") }
        return lines > linesMax ? [file.violation(line: linesMax + 1, "\(lines) lines: a file is one noun")] : []
    }
}
