/// The names that a header of ours puts into every file that includes it: read from its tokens, since C has no modules
/// that would keep them apart from a library's.
struct CHeader {
    private(set) var names: [(name: String, line: Int)] = []

    private static let keywords: Set<String> = [
        "void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "bool", "const", "volatile", "static", "inline",
        "extern", "struct", "union", "enum", "typedef", "restrict", "size_t", "ssize_t",
    ]

    private struct Token {
        let text: String
        let line: Int
        let isWord: Bool
    }

    init(_ source: SourceText) {
        var tokens: [Token] = []
        for (index, line) in SourceText.lines(source.code).enumerated() {
            let words = line.split(whereSeparator: \.isWhitespace)
            if line.hasPrefix("#") {
                if words.first == "#define", words.count > 1 {
                    add(String(words[1].prefix { $0.isLetter || $0.isNumber || $0 == "_" }), index + 1)
                }
            } else {
                tokens += Self.tokens(of: line, number: index + 1)
            }
        }
        var declaration: [Token] = []
        var depth = 0
        for token in tokens {
            // `extern "C" {` opens no scope of names.
            if token.text == "{", declaration.map(\.text) == ["extern", "\"", "\""] {
                declaration = []
                continue
            }
            if token.text == "}", depth == 0 { continue }
            if token.text == "{" { depth += 1 }
            if token.text == "}" { depth -= 1 }
            let isFunctionBody = token.text == "}" && depth == 0 && Self.isFunction(declaration)
            if depth == 0, token.text == ";" || isFunctionBody {
                read(declaration)
                declaration = []
            } else {
                declaration.append(token)
            }
        }
    }

    func violations(path: String) -> [Violation] {
        names.filter { !$0.name.hasPrefix("sluice_") && !$0.name.hasPrefix("SLUICE_") }.map {
            Violation(path: path, line: $0.line, message: "\($0.name) does not begin with sluice_")
        }
    }

    private mutating func add(_ name: String, _ line: Int) { names.append((name, line)) }

    private mutating func add(_ token: Token) { add(token.text, token.line) }

    /// The names of one declaration: tags and enumerators that it defines, its type, function or variable.
    private mutating func read(_ all: [Token]) {
        let tokens = Self.withoutAttributes(all)
        guard let first = tokens.first, first.text != "_Static_assert", first.text != "static_assert" else { return }
        let outer = Self.outermost(tokens)
        for (index, token) in tokens.enumerated() where ["struct", "union", "enum"].contains(token.text) {
            guard index + 1 < tokens.count, tokens[index + 1].isWord else { continue }
            let body = tokens[(index + 2)...].prefix { $0.text == ":" || $0.isWord }.count + index + 2
            if body < tokens.count, tokens[body].text == "{" { add(tokens[index + 1]) }
        }
        if tokens.contains(where: { $0.text == "enum" }), let open = tokens.firstIndex(where: { $0.text == "{" }) {
            readEnumerators(tokens[(open + 1)...])
        }
        if first.text == "typedef" {
            // `typedef R (*name)(...)` has its name inside the first brackets, any other at its end.
            let isPointer = outer.last?.text == ")"
            let pointer = isPointer ? tokens.drop { $0.text != "(" }.prefix { $0.text != ")" }.last { $0.isWord } : nil
            if let name = pointer ?? outer.last(where: \.isWord) { add(name) }
        } else if let bracket = outer.firstIndex(where: { $0.text == "(" }), bracket > 0 {
            if outer[bracket - 1].isWord { add(outer[bracket - 1]) }
        } else if let name = outer.prefix(while: { $0.text != "=" && $0.text != "[" }).last, name.isWord, outer.count > 1,
            !["struct", "union", "enum"].contains(outer[outer.count - 2].text)
        {
            add(name)
        }
    }

    private mutating func readEnumerators(_ tokens: ArraySlice<Token>) {
        var isNext = true
        var depth = 0
        for token in tokens {
            if token.text == "}" { return }
            if token.text == "(" { depth += 1 }
            if token.text == ")" { depth -= 1 }
            if depth == 0, token.text == "," {
                isNext = true
            } else if isNext, token.isWord {
                add(token)
                isNext = false
            }
        }
    }

    /// What stands in no curly brackets and in no round ones; the brackets themselves stay.
    private static func outermost(_ tokens: [Token]) -> [Token] {
        var depth = 0
        return tokens.filter { token in
            switch token.text {
            case "(", "{":
                depth += 1
                return depth == 1 && token.text == "("
            case ")", "}":
                depth -= 1
                return depth == 0 && token.text == ")"
            default: return depth == 0
            }
        }
    }

    private static func isFunction(_ declaration: [Token]) -> Bool {
        let tokens = withoutAttributes(declaration)
        guard let brace = tokens.firstIndex(where: { $0.text == "{" }), brace > 0 else { return false }
        return tokens[brace - 1].text == ")"
    }

    /// Without `__attribute__((...))`, `__counted_by(...)`, `_Nonnull` and their like.
    private static func withoutAttributes(_ tokens: [Token]) -> [Token] {
        var result: [Token] = []
        var index = 0
        while index < tokens.count {
            guard tokens[index].text.hasPrefix("_"), tokens[index].text != "_Static_assert" else {
                result.append(tokens[index])
                index += 1
                continue
            }
            index += 1
            guard index < tokens.count, tokens[index].text == "(" else { continue }
            var depth = 0
            repeat {
                if tokens[index].text == "(" { depth += 1 }
                if tokens[index].text == ")" { depth -= 1 }
                index += 1
            } while depth > 0 && index < tokens.count
        }
        return result
    }

    private static func tokens(of line: String, number: Int) -> [Token] {
        var result: [Token] = []
        var word = ""
        func flush() {
            guard !word.isEmpty else { return }
            result.append(Token(text: word, line: number, isWord: !keywords.contains(word) && word.first?.isNumber == false))
            word = ""
        }
        for character in line {
            if character.isLetter || character.isNumber || character == "_" {
                word.append(character)
            } else {
                flush()
                if !character.isWhitespace { result.append(Token(text: String(character), line: number, isWord: false)) }
            }
        }
        flush()
        return result
    }
}
