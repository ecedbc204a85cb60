import Glibc

/// The claim of one supervisor on a data folder. The kernel lets it go when the process dies, so a
/// lock that is held proves a live supervisor; the file's text names it.
struct FolderLock: ~Copyable {
    private let descriptor: CInt

    /// Throws `alreadyRunning` with the holder's pid when another process has it.
    init(dataFolder: String) throws(StandaloneError) {
        let path = FolderLock.path(dataFolder)
        // Not O_TRUNC: the text is the holder's until the lock is ours.
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .system(call: "open", subject: path, code: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK else { throw .system(call: "flock", subject: path, code: code) }
            throw .alreadyRunning(pid: FolderLock.writtenPid(dataFolder) ?? 0, dataFolder: dataFolder)
        }
        let text = "\(getpid())\n"
        guard ftruncate(descriptor, 0) == 0, unsafe pwrite(descriptor, text, text.utf8.count, 0) == text.utf8.count else {
            let code = errno
            close(descriptor)
            throw .system(call: "write", subject: path, code: code)
        }
        self.descriptor = descriptor
    }

    /// Runs `body` with the lock held: a value that nothing uses any more may be destroyed early.
    borrowing func whileHeld<Result>(_ body: () throws(StandaloneError) -> Result) throws(StandaloneError) -> Result {
        try body()
    }

    deinit { close(descriptor) }

    /// The pid of the process that holds the folder now; nil when nobody does.
    static func holder(dataFolder: String) -> Int32? {
        let descriptor = unsafe open(path(dataFolder), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        if flock(descriptor, LOCK_SH | LOCK_NB) == 0 { return nil }
        return writtenPid(dataFolder)
    }

    private static func path(_ dataFolder: String) -> String { dataFolder + "/lock" }

    private static func writtenPid(_ dataFolder: String) -> Int32? {
        SystemCall.readFile(path(dataFolder)).flatMap { Int32($0.split(separator: "\n").first ?? "") }
    }
}
