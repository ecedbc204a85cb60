internal import Glibc
internal import Loop

/// The steps of a batch at which a debug build dies as if by `kill -9`, when a test asks for it. A release build has none of it.
///
/// A test puts a file of the step's name into the folder that SLUICE_FAIL_FOLDER names. The worker that comes to the step first takes
/// the file away, which exactly one can, and dies: so the next worker goes on.
enum FailPoint: String, CaseIterable {
    /// Records were read from the log.
    case fetched
    /// What the batch depends on was read from the database.
    case learned
    /// The batch is decided and not sent.
    case decided
    /// The transaction is on its way: it may commit, or not.
    case sent
    /// The transaction is committed, and nobody was told.
    case committed
    /// Redis and the clients that wait were told.
    case published
    /// Events of a batch were handed over and are not known to be in their topic; or they are, and that is not stored.
    case relayed

    @inline(__always)
    func hit() {
        #if DEBUG
        if isAskedFor { die() }
        #endif
    }

    /// A timer that dies once what this turn has queued was written, or while it is answered; nil when nobody asked. To be kept.
    @inline(__always)
    func afterTurn(_ loop: EventLoop) -> LoopTimer? {
        #if DEBUG
        guard isAskedFor else { return nil }
        let timer = LoopTimer(loop: loop) { die() }
        timer.arm(afterMilliseconds: Int.random(in: 0...3))
        return timer
        #else
        return nil
        #endif
    }

    #if DEBUG
    private static let folder: String? = unsafe getenv("SLUICE_FAIL_FOLDER").map { unsafe String(cString: $0) }

    private var isAskedFor: Bool {
        guard let folder = Self.folder else { return false }
        return unsafe unlink(folder + "/" + rawValue) == 0
    }

    private func die() { kill(getpid(), SIGKILL) }
    #endif
}
