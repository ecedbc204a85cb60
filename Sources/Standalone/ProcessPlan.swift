import Glibc

/// One process of the system: what to run, when it counts as ready and how it is stopped. Pure data.
struct ProcessPlan: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        /// Runs to its end at start; anything but exit code 0 ends the start.
        case task
        /// Runs until it is stopped; started again when it ends by itself.
        case service
    }

    /// Done by the supervisor itself, before each start (`before`) or after a task's success (`after`).
    enum Step: Sendable, Equatable {
        case remove(String)
        case rename(from: String, to: String)
        case createEmptyFile(String)
        /// Waits for the last postmaster's children, then removes its lock files.
        case clearStalePostgres(dataDirectory: String, socketFolder: String, port: Int)
    }

    /// How readiness is asked, each with one short exchange.
    enum Readiness: Sendable, Equatable {
        /// Ready as soon as it runs.
        case none
        /// `GET path` answers 200.
        case http(Endpoint, path: String)
        /// `PING` answers `+PONG`.
        case redis(Endpoint)
        /// A start-up packet is answered by a request for authentication.
        case postgres(Endpoint)
        /// `ApiVersions` is answered.
        case kafka(Endpoint)
    }

    /// Where a probe connects.
    enum Endpoint: Sendable, Equatable {
        case tcp(port: Int)
        case unix(path: String)
    }

    /// One step of stopping: the signal, and how long to wait before the next. SIGKILL to the whole
    /// session follows the last.
    struct StopStep: Sendable, Equatable {
        let signal: Int32
        let waitMilliseconds: UInt64
    }

    var name: String
    var kind = Kind.service
    /// Those of one stage start together, when all of the stage before are ready; stopped in reverse.
    var stage: Int
    var executable: String
    var arguments: [String] = []
    var environment: [String: String] = [:]
    var directory: String?
    /// nil: as the supervisor.
    var user: ServiceUser?
    var log: LogFile
    /// Where clients reach it, for `status`.
    var address = ""
    /// Where its health is served, for `status`; nil when it has no admin listener.
    var admin: String?
    var before: [Step] = []
    var after: [Step] = []
    /// A task whose result is already there is done without running.
    var doneWhenExists: String?
    var readiness = Readiness.none
    var startDeadlineMilliseconds: UInt64 = 30_000
    var stop = [StopStep(signal: SIGTERM, waitMilliseconds: 10_000)]
    /// Sent by the kernel when the supervisor dies.
    var parentDeathSignal = SIGTERM
}
