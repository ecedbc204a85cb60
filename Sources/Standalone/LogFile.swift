import Foundation
import Glibc

/// The log of one process: its standard output and error, appended by the process itself.
struct LogFile: Sendable, Equatable {
    let path: String

    /// A log larger than this is put aside (one generation is kept), so a process holds at most twice
    /// this much on disk, plus what it writes between two looks.
    static let bytesMax: Int64 = 64 << 20

    /// A descriptor for a child's output; the caller closes it.
    func openForAppending() throws(StandaloneError) -> CInt {
        let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .system(call: "open", subject: path, code: errno) }
        return descriptor
    }

    /// Moves the last run's log aside; called before the process is first started.
    func rotateAtStart() throws(StandaloneError) {
        if unsafe rename(path, path + ".1") != 0, errno != ENOENT { throw .system(call: "rename", subject: path, code: errno) }
    }

    /// Copies and empties a log that has grown too large. The writer keeps its descriptor, which works
    /// because it appends; what it writes between copy and cut is lost, which a log can bear.
    func cutWhenLarge(bytesMax: Int64 = LogFile.bytesMax) {
        var status = stat()
        guard unsafe stat(path, &status) == 0, Int64(status.st_size) > bytesMax else { return }
        _ = unsafe unlink(path + ".1")
        try? FileManager.default.copyItem(atPath: path, toPath: path + ".1")
        _ = unsafe truncate(path, 0)
    }

    /// The last lines, at most `lines` of them and 8 KiB.
    func tail(lines: Int = 15) -> String {
        guard let handle = FileHandle(forReadingAtPath: path) else { return "" }
        defer { try? handle.close() }
        let size = (try? handle.seekToEnd()) ?? 0
        try? handle.seek(toOffset: size - min(size, 8192))
        let data = (try? handle.readToEnd()) ?? Data()
        return String(decoding: data, as: UTF8.self).split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}
