import Glibc

/// A user of this machine that a process is run as.
struct ServiceUser: Sendable, Equatable {
    let name: String
    let uid: uid_t
    let gid: gid_t

    /// nil when there is no such user. Reads the user database: call at start only, from one thread.
    static func named(_ name: String) -> ServiceUser? {
        guard let entry = unsafe getpwnam(name) else { return nil }
        return unsafe ServiceUser(name: name, uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid)
    }

    static var isRoot: Bool { geteuid() == 0 }

    /// The first folder on the way to `path` that this user may not pass through, with its mode; nil
    /// when all can be passed. Folders that do not exist yet are made passable by whoever makes them.
    func firstClosedFolder(onTheWayTo path: String) -> (path: String, mode: mode_t)? {
        var folder = ""
        for part in path.split(separator: "/") {
            if let mode = closedMode(folder.isEmpty ? "/" : folder) { return (folder.isEmpty ? "/" : folder, mode) }
            folder += "/" + part
        }
        return nil
    }

    private func closedMode(_ folder: String) -> mode_t? {
        var status = stat()
        guard unsafe stat(folder, &status) == 0 else { return nil }
        let bit: mode_t = status.st_uid == uid ? S_IXUSR : status.st_gid == gid ? S_IXGRP : S_IXOTH
        return status.st_mode & bit == 0 ? status.st_mode & 0o7777 : nil
    }
}
