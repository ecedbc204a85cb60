import Glibc

/// What a PostgreSQL server that was killed leaves in its data directory.
enum PostgresLocks {
    /// Removes the lock files of a server that is gone. `false` while a postmaster or any of its children
    /// still works in the data directory: a new server beside them would corrupt the data, which is
    /// what the lock file guards against, so it is removed only after they have gone.
    static func clear(dataDirectory: String, socketFolder: String, port: Int) throws(StandaloneError) -> Bool {
        guard ProcessTable.processes(workingIn: dataDirectory).isEmpty else { return false }
        try SystemCall.remove(dataDirectory + "/postmaster.pid")
        try SystemCall.remove("\(socketFolder)/.s.PGSQL.\(port)")
        try SystemCall.remove("\(socketFolder)/.s.PGSQL.\(port).lock")
        return true
    }
}
