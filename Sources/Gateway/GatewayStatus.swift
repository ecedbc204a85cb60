internal import Telemetry

/// What the admin listener may know of the threads: written on their loops, read on the admin thread.
final class GatewayStatus: Sendable {
    private struct State: Sendable {
        var problems: [[String]]
        var isDraining = false
    }
    private let state: Locked<State>

    init(threads: Int) { state = Locked(State(problems: Array(repeating: ["starting"], count: threads))) }

    /// Why a thread cannot do its work; empty when it can.
    func set(_ problems: [String], ofThread thread: Int) { state.withLock { $0.problems[thread] = problems } }

    func beginDraining() { state.withLock { $0.isDraining = true } }

    /// Why the process is not ready, each reason once; empty when it is.
    var problems: [String] {
        state.withLock { state in
            var result = state.isDraining ? ["stopping"] : []
            for problem in state.problems.joined() where !result.contains(problem) { result.append(problem) }
            return result
        }
    }
}
