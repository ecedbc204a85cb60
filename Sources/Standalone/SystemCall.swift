import CSystem
import Foundation
import Glibc

/// The file and process calls of this module, with errors that name the call and its subject.
enum SystemCall {
    /// The C library's text for an error number.
    static func message(_ code: Int32) -> String {
        unsafe String(cString: strerror(code))
    }

    /// Makes a folder or takes an existing one, then sets owner and mode. A symbolic link is refused:
    /// root must not change the owner of what a link of another user points to.
    static func makeFolder(_ path: String, mode: mode_t, uid: uid_t? = nil, gid: gid_t? = nil) throws(StandaloneError) {
        if unsafe mkdir(path, mode) != 0, errno != EEXIST { throw .system(call: "mkdir", subject: path, code: errno) }
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { throw .system(call: "lstat", subject: path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .brokenSetup("\(path) is not a folder: move it away or choose another data folder")
        }
        // (uid_t)-1 leaves it as it is, chown(2).
        if uid != nil || gid != nil, unsafe chown(path, uid ?? .max, gid ?? .max) != 0 {
            throw .system(call: "chown", subject: path, code: errno)
        }
        // After chown, which clears the set-group-id bit.
        guard unsafe chmod(path, mode) == 0 else { throw .system(call: "chmod", subject: path, code: errno) }
    }

    /// Replaces a file in one step: a reader sees the old text or the new one, never a part.
    static func writeFile(_ path: String, _ text: String, mode: mode_t, owner: ServiceUser? = nil) throws(StandaloneError) {
        let temporary = path + ".new"
        _ = unsafe unlink(temporary)
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw .system(call: "open", subject: temporary, code: errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress! + written, bytes.count - written) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .system(call: "write", subject: temporary, code: errno) }
            written += count
        }
        // The mode given to open is cut by the umask.
        guard fchmod(descriptor, mode) == 0 else { throw .system(call: "fchmod", subject: temporary, code: errno) }
        if let owner, fchown(descriptor, owner.uid, owner.gid) != 0 {
            throw .system(call: "fchown", subject: temporary, code: errno)
        }
        guard unsafe rename(temporary, path) == 0 else { throw .system(call: "rename", subject: path, code: errno) }
    }

    /// The text of a file; nil when it does not exist.
    static func readFile(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path)
    }

    /// Removes a file or a tree; one that is not there is already removed.
    static func remove(_ path: String) throws(StandaloneError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .brokenSetup("cannot remove \(path): \(error.localizedDescription)")
        }
    }
}
