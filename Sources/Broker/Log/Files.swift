internal import CBroker
internal import Glibc

/// A file operation failed: an errno, and on what.
struct DiskError: Error, CustomStringConvertible, Sendable {
    let operation: StaticString
    let path: String
    let code: CInt

    /// There is no room, or no descriptor: what was asked is refused, and works again when there is.
    var isFull: Bool { [ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM].contains(code) }
    var isAbsent: Bool { code == ENOENT }
    var description: String { "\(path): \(operation): \(unsafe String(cString: strerror(code)))" }
}

/// The broker's system calls on files. Blocking; called on the loop only where the page cache answers.
enum Files {
    enum Mode { case read, write, create, replace }

    static func open(_ path: String, _ mode: Mode) throws(DiskError) -> CInt {
        let code = unsafe sluice_file_open(
            path, mode == .read ? 0 : 1, mode == .create || mode == .replace ? 1 : 0, mode == .replace ? 1 : 0)
        return try check(code, "open", path)
    }

    static func close(_ descriptor: CInt) {
        let code = Glibc.close(descriptor)
        precondition(code == 0 || errno != EBADF, "a file was closed twice")
    }

    static func size(_ descriptor: CInt, _ path: String) throws(DiskError) -> Int64 {
        let code = sluice_file_size(descriptor)
        guard code >= 0 else { throw DiskError(operation: "stat", path: path, code: CInt(-code)) }
        return code
    }

    static func write(_ descriptor: CInt, _ bytes: Span<UInt8>, at offset: Int64, _ path: String) throws(DiskError) {
        let code = unsafe bytes.withUnsafeBufferPointer { unsafe sluice_file_write_all(descriptor, $0.baseAddress, $0.count, offset) }
        _ = try check(code, "write", path)
    }

    /// Appends up to `count` bytes from `offset` to `buffer`; fewer only at the end of the file. Returns how many.
    static func read(_ descriptor: CInt, into buffer: inout [UInt8], count: Int, at offset: Int64, _ path: String) throws(DiskError) -> Int
    {
        var code = 0
        buffer.append(addingCapacity: count) { output in
            unsafe output.withUnsafeMutableBufferPointer { memory, used in
                code = unsafe sluice_file_read(descriptor, memory.baseAddress! + used, count, offset)
                if code > 0 { used += code }
            }
        }
        guard code >= 0 else { throw DiskError(operation: "read", path: path, code: CInt(-code)) }
        return code
    }

    static func truncate(_ descriptor: CInt, to size: Int64, _ path: String) throws(DiskError) {
        _ = try check(ftruncate(descriptor, Int(size)) < 0 ? -errno : 0, "truncate", path)
    }

    static func sync(_ descriptor: CInt, _ path: String) throws(DiskError) {
        _ = try check(sluice_file_sync(descriptor), "fdatasync", path)
    }

    static func syncDirectory(_ path: String) throws(DiskError) {
        _ = try check(unsafe sluice_directory_sync(path), "sync folder", path)
    }

    static func rename(_ from: String, to path: String) throws(DiskError) {
        _ = try check(unsafe Glibc.rename(from, path) < 0 ? -errno : 0, "rename", path)
    }

    /// Removing what is not there is no error.
    static func remove(_ path: String) throws(DiskError) {
        let code = unsafe unlink(path) < 0 ? -errno : 0
        if code != -ENOENT { _ = try check(code, "remove", path) }
    }

    /// Makes one folder; one that is there already is no error.
    static func makeDirectory(_ path: String) throws(DiskError) {
        let code = unsafe mkdir(path, 0o750) < 0 ? -errno : 0
        if code != -EEXIST { _ = try check(code, "make folder", path) }
    }

    /// Removes a folder and the files and folders in it.
    static func removeDirectory(_ path: String) throws(DiskError) {
        let names: [String]
        do { names = try list(path) } catch {
            guard error.isAbsent else { throw error }
            return
        }
        for name in names {
            let inner = path + "/" + name
            do { try remove(inner) } catch {
                guard error.code == EISDIR || error.code == EPERM else { throw error }
                try removeDirectory(inner)
            }
        }
        _ = try check(unsafe rmdir(path) < 0 ? -errno : 0, "remove folder", path)
    }

    /// The names in a folder, sorted.
    static func list(_ path: String) throws(DiskError) -> [String] {
        var capacity = 64 << 10
        while true {
            var buffer = [CChar](repeating: 0, count: capacity)
            let code = unsafe buffer.withUnsafeMutableBufferPointer { unsafe sluice_directory_list(path, $0.baseAddress!, capacity) }
            if code == -Int(ENOBUFS), capacity < 64 << 20 {
                capacity *= 4
                continue
            }
            _ = try check(CInt(clamping: min(code, 0)), "list", path)
            return buffer[..<code].split(separator: 0).map { String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self) }.sorted()
        }
    }

    /// A whole file; at most 1 GiB.
    static func contents(_ path: String) throws(DiskError) -> [UInt8] {
        let descriptor = try open(path, .read)
        defer { close(descriptor) }
        let size = try size(descriptor, path)
        guard size <= 1 << 30 else { throw DiskError(operation: "read", path: path, code: EFBIG) }
        var bytes: [UInt8] = []
        _ = try read(descriptor, into: &bytes, count: max(1, Int(size)), at: 0, path)
        return bytes
    }

    /// Writes a file anew and syncs it, not its folder.
    static func replace(_ path: String, with bytes: Span<UInt8>) throws(DiskError) {
        let descriptor = try open(path, .replace)
        defer { close(descriptor) }
        try write(descriptor, bytes, at: 0, path)
        try sync(descriptor, path)
    }

    private static func check(_ code: CInt, _ operation: StaticString, _ path: String) throws(DiskError) -> CInt {
        guard code >= 0 else { throw DiskError(operation: operation, path: path, code: -code) }
        return code
    }
}
