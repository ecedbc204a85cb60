/// What `Package.swift` says of its targets, read as text: asking SwiftPM from within a test would wait for the build
/// folder's lock.
struct PackageManifest {
    /// The Swift modules and the executable, with what each depends on. Tests and C targets are not among them.
    private(set) var targets: [(name: String, dependencies: [String])] = []

    /// - Parameter text: the manifest without comments.
    init(_ text: String) {
        for call in ["module(", "role(", ".target(", ".executableTarget("] {
            var rest = text[...]
            while let range = rest.firstRange(of: call) {
                let isDefinition = rest[..<range.lowerBound].hasSuffix("func ")
                rest = rest[range.upperBound...]
                let arguments = Self.untilClosed(rest, by: ")")
                guard !isDefinition, let name = Self.strings(arguments).first, !name.contains("\\"), !arguments.contains("CShims/") else {
                    continue
                }
                let list = arguments.firstIndex(of: "[").map { Self.untilClosed(arguments[arguments.index(after: $0)...], by: "]") }
                targets.append((name, Self.dependencies(list ?? "")))
            }
        }
    }

    /// Dependencies that the module table does not grant, and modules that are missing on either side.
    func violations(folders: Set<String>) -> [Violation] {
        var messages: [String] = []
        for target in targets {
            if ModuleTable.row(of: target.name) == nil { messages.append("\(target.name) is in no row of the module table") }
            for dependency in target.dependencies where !ModuleTable.may(target.name, import: dependency) {
                messages.append("\(target.name) may not depend on \(dependency)")
            }
        }
        let names = Set(targets.map(\.name))
        for name in names.symmetricDifference(folders).sorted() { messages.append("\(name) is either no target or no folder of Sources") }
        return messages.map { Violation(path: "Package.swift", line: 1, message: $0) }
    }

    /// The text up to the bracket that closes the one before it.
    private static func untilClosed(_ text: Substring, by closing: Character) -> Substring {
        var depth = 0
        for index in text.indices {
            switch text[index] {
            case "(", "[": depth += 1
            case ")", "]":
                if depth == 0 { return text[..<index] }
                depth -= 1
            default: break
            }
        }
        return text
    }

    private static func strings(_ text: Substring) -> [String] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    /// The strings of a list; of `.product(name:package:)` the first.
    private static func dependencies(_ list: Substring) -> [String] {
        var rest = list
        var result: [String] = []
        while let product = rest.firstRange(of: "(") {
            result += strings(rest[..<product.lowerBound])
            let arguments = untilClosed(rest[product.upperBound...], by: ")")
            result += strings(arguments).prefix(1)
            rest = rest[arguments.endIndex...].dropFirst()
        }
        return result + strings(rest)
    }
}
