/// Decides whether the values that are kept in the process can be trusted to be told of their changes. No I/O and no clock.
///
/// Redis tells a session's changes to another connection (`CLIENT TRACKING ON REDIRECT id`), because a session's own answers come in
/// order and a word in between would be taken for one. Both connections must stand, and the session must have been told to track
/// after the other had its id: whenever one of them goes, what is kept is forgotten, and nothing is kept until all of it holds again.
struct TrackingMachine {
    enum State: Equatable {
        /// One of the connections is missing, or the server has refused.
        case off
        /// The session was asked to track for this client; its answer is awaited.
        case asking(Int64)
        case on(Int64)
    }

    enum Action: Equatable {
        case nothing
        /// Ask the session to track and to tell this client.
        case ask(Int64)
        /// Forget everything that is kept.
        case empty
        /// Both, in this order.
        case emptyAndAsk(Int64)
    }

    private(set) var state = State.off
    private var listener: Int64?
    private var isSessionReady = false
    /// Questions that are not answered: only the answer to the last one counts, and they are answered in order.
    private var unanswered = 0

    /// Values may be kept and shown.
    var isOn: Bool { if case .on = state { true } else { false } }

    /// - Parameter identifier: the server's id of the connection that hears the changes; nil while there is none.
    mutating func listenerChanged(_ identifier: Int64?) -> Action {
        listener = identifier
        return settle()
    }

    mutating func sessionChanged(isReady: Bool) -> Action {
        isSessionReady = isReady
        return settle()
    }

    /// The answer to an `ask`; each is answered once, with false when its connection is lost.
    mutating func answered(isTracking: Bool) -> Action {
        unanswered -= 1
        guard unanswered == 0, case .asking(let asked) = state else { return .nothing }
        state = isTracking ? .on(asked) : .off
        return .nothing
    }

    /// Time has passed: what was refused is asked again.
    mutating func retry() -> Action { state == .off ? settle() : .nothing }

    private mutating func settle() -> Action {
        let wasOn = isOn
        guard isSessionReady, let listener else {
            state = .off
            return wasOn ? .empty : .nothing
        }
        switch state {
        case .on(listener), .asking(listener): return .nothing
        case .off, .on, .asking:
            state = .asking(listener)
            unanswered += 1
            return wasOn ? .emptyAndAsk(listener) : .ask(listener)
        }
    }
}
