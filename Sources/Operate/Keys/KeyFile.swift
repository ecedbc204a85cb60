internal import Glibc
internal import Wire

/// A file that holds one API key, for its owner alone.
public struct KeyFile {
    let path: String

    public init(path: String) { self.path = path }

    /// The key; a file that is not there, or holds something else, is refused.
    public func require() throws(OperateError) -> String {
        guard let key = try read() else { throw .file(path: path, reason: Self.text(of: ENOENT)) }
        let bytes: [UInt8] = Array(key.utf8)
        guard APIKey.publicID(of: bytes.span) != nil else { throw .file(path: path, reason: "holds no API key") }
        return key
    }

    /// The key, without the line's end; nil when there is no file.
    func read() throws(OperateError) -> String? {
        guard let file = unsafe fopen(path, "re") else {
            if errno == ENOENT { return nil }
            throw failure()
        }
        defer { unsafe fclose(file) }
        // A key has 63 bytes; a longer text is none.
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = unsafe fread(&buffer, 1, buffer.count, file)
        guard unsafe ferror(file) == 0 else { throw failure() }
        let line = buffer[..<count].prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        return String(decoding: line, as: UTF8.self)
    }

    /// Closes an existing file to others.
    func close() throws(OperateError) {
        guard unsafe chmod(path, 0o600) == 0 else { throw failure() }
    }

    /// Writes the key beside the file and renames it, so that nobody ever reads half a key or one with another's rights.
    func write(_ key: String) throws(OperateError) {
        let unfinished = "\(path).\(getpid())"
        unsafe unlink(unfinished)
        let descriptor = unsafe open(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure() }
        var text: [UInt8] = Array((key + "\n").utf8)
        let written = unsafe Glibc.write(descriptor, &text, text.count)
        let isWhole = written == text.count && fsync(descriptor) == 0
        let reason = errno
        Glibc.close(descriptor)
        guard isWhole, unsafe rename(unfinished, path) == 0 else {
            let code = isWhole ? errno : reason
            unsafe unlink(unfinished)
            throw .file(path: path, reason: Self.text(of: code))
        }
    }

    private func failure() -> OperateError { .file(path: path, reason: Self.text(of: errno)) }

    private static func text(of code: CInt) -> String { unsafe String(cString: strerror(code)) }
}
