import Foundation

/// A text file of the package, by its path from the package's root.
struct SourceFile {
    let path: String
    let text: String
    let source: SourceText

    init(path: String, text: String) {
        self.path = path
        self.text = text
        source = SourceText(text)
    }

    /// The folder below `Sources/`; nil for a file elsewhere.
    var module: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    func violation(line: Int, _ message: String) -> Violation { Violation(path: path, line: line, message: message) }
}

struct Violation: CustomStringConvertible {
    let path: String
    let line: Int
    let message: String

    var description: String { "\(path):\(line): \(message)" }
}

/// The package that this test is part of.
enum SourceTree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let swift = files(in: ["Sources", "Tests"], endings: ["swift"]) + [file("Package.swift")]
    static let c = files(in: ["CShims"], endings: ["c", "cpp", "h"])

    static func file(_ path: String) -> SourceFile {
        guard let text = try? String(contentsOf: root.appending(path: path), encoding: .utf8) else {
            preconditionFailure("\(path) cannot be read")
        }
        return SourceFile(path: path, text: text)
    }

    /// The names of the folders in one.
    static func folders(in path: String) -> Set<String> {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: path).path)) ?? []
        return Set(
            names.filter { name in
                (try? root.appending(path: "\(path)/\(name)").resourceValues(forKeys: [.isDirectoryKey]).isDirectory) == true
            })
    }

    private static func files(in folders: [String], endings: Set<String>) -> [SourceFile] {
        folders.flatMap { folder in
            let paths = FileManager.default.enumerator(atPath: root.appending(path: folder).path)?.compactMap { $0 as? String } ?? []
            return paths.filter { endings.contains(URL(filePath: $0).pathExtension) }.sorted().map { file("\(folder)/\($0)") }
        }
    }
}
