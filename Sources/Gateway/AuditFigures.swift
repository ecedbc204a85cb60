internal import Glibc

/// What the last audit found, as `sluice audit` left it in a file in Prometheus's text format.
struct AuditFigures: Sendable {
    /// More than that is no file of ours.
    private static let bytesMax = 4_096

    let path: String

    /// Its lines about audits and no others; empty while there is no such file. Called on the admin thread.
    var text: String {
        guard let file = unsafe fopen(path, "re") else { return "" }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax + 1)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return Self.lines(of: bytes[..<count])
    }

    static func lines(of bytes: ArraySlice<UInt8>) -> String {
        guard bytes.count <= bytesMax else { return "" }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { line in
            ["sluice_audit_", "# HELP sluice_audit_", "# TYPE sluice_audit_"].contains { line.hasPrefix($0) }
        }
        return lines.map { $0 + "\n" }.joined()
    }
}
