internal import Bytes
internal import Ledger
internal import Wire

/// The lines of a file as commands.
final class SubmitFile {
    enum Entry {
        case command(line: Int, key: String, body: [UInt8], Command)
        case malformed(line: Int, MalformedLine)
    }

    private let lines: LineReader
    private let batch: String
    private let csv: CSVReader?
    private let reader = RequestReader()
    private let hasher = SHA256()

    init(_ options: SubmitOptions) throws(OperateError) {
        lines = try LineReader(path: options.path)
        batch = options.batch ?? String(options.path.split(separator: "/").last ?? "")
        switch options.format ?? (options.path.lowercased().hasSuffix(".csv") ? .csv : .ndjson) {
        case .ndjson: csv = nil
        case .csv:
            guard case .text(let header)? = try lines.next() else { throw .refused("\(options.path): line 1: no header") }
            csv = try CSVReader(header: header)
        }
    }

    /// The next line that is not empty; nil at the end.
    func next() throws(OperateError) -> Entry? {
        while let line = try lines.next() {
            switch line {
            case .tooLong: return .malformed(line: lines.number, MalformedLine("longer than \(LineReader.lineBytesMax) bytes"))
            case .text(let text):
                if text.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
                return entry(text)
            }
        }
        return nil
    }

    private func entry(_ text: [UInt8]) -> Entry {
        let object: [UInt8]
        switch csv?.object(text) ?? .success(text) {
        case .failure(let problem): return .malformed(line: lines.number, problem)
        case .success(let text): object = text
        }
        switch reader.submission(object.span) {
        case .failure(let problem): return .malformed(line: lines.number, MalformedLine(Self.text(of: problem)))
        case .success(let submission):
            var body: [UInt8] = []
            body.append(requestBody: submission.command)
            let key = submission.key ?? derivedKey(body)
            return .command(line: lines.number, key: key, body: body, submission.command)
        }
    }

    /// The same for the same request in the same line of a file of the same name: a file that is submitted again changes
    /// nothing, and two equal lines are two payments.
    private func derivedKey(_ body: [UInt8]) -> String {
        let (high, low) = hasher.hash { message in
            message.add(lengthPrefixed: "sluice.submit.1")
            message.add(lengthPrefixed: batch)
            message.add(UInt64(lines.number))
            message.add(lengthPrefixed: body.span)
        }.leadingWords
        var key: [UInt8] = Array("submit-".utf8)
        key.append(hex: high)
        key.append(hex: low)
        return String(decoding: key, as: UTF8.self)
    }

    private static func text(of problem: Problem) -> String {
        let places = problem.errors.map { error in
            (error.pointer.isEmpty ? "" : "\(error.pointer.dropFirst()): ") + (error.detail.isEmpty ? "\(error.code.text)" : error.detail)
        }
        return places.isEmpty ? problem.detail ?? "\(problem.code.entry.title)" : places.joined(separator: "; ")
    }
}
