internal import Glibc

/// Reads a file line by line in bounded memory.
final class LineReader {
    /// Of one line, without its end. The largest valid body is well below.
    static let lineBytesMax = 64 * 1024
    private static let chunkBytes = 256 * 1024

    let path: String
    /// The number of the line read last, from 1.
    private(set) var number = 0
    private let descriptor: CInt
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(path: String) throws(OperateError) {
        self.path = path
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path: path, reason: unsafe String(cString: strerror(errno))) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    enum Line: Equatable {
        case text([UInt8])
        /// It was passed over.
        case tooLong
    }

    /// The next line without its LF or CRLF; nil at the end. A byte order mark at the file's start is no part of it.
    func next() throws(OperateError) -> Line? {
        var isTooLong = false
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                return take(upTo: end, next: end + 1, isTooLong)
            }
            if isAtEnd {
                return start < buffer.count || isTooLong ? take(upTo: buffer.count, next: buffer.count, isTooLong) : nil
            }
            if buffer.count - start > Self.lineBytesMax + 1 {
                isTooLong = true
                start = buffer.count
            }
            buffer.removeFirst(start)
            start = 0
            searched = buffer.count
            try fill()
        }
    }

    private func take(upTo end: Int, next: Int, _ isTooLong: Bool) -> Line {
        defer { start = next }
        number += 1
        guard !isTooLong else { return .tooLong }
        var line = buffer[start..<end]
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        if number == 1, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        return line.count > Self.lineBytesMax ? .tooLong : .text(Array(line))
    }

    /// Reads on behind what the buffer has.
    private func fill() throws(OperateError) {
        let kept = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: Self.chunkBytes))
        let count = unsafe buffer.withUnsafeMutableBytes { memory in
            unsafe Glibc.read(descriptor, memory.baseAddress! + kept, Self.chunkBytes)
        }
        let code = errno
        buffer.removeLast(Self.chunkBytes - max(count, 0))
        if count < 0, code != EINTR { throw .file(path: path, reason: unsafe String(cString: strerror(code))) }
        if count == 0 { isAtEnd = true }
    }
}
