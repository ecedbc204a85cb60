internal import Bytes
internal import HTTP1
internal import Ledger
internal import Wire

/// What one waiting client is answered. Pure.
struct CommandAnswer {
    let answer: Answer
    let body: [UInt8]

    /// - Parameters:
    ///   - waitSeconds: how long the client would wait for the outcome; nil for one that does not.
    ///   - hasJoined: whether the command was under way for another client when this one came.
    init(_ verdict: CommandFlow.Verdict, waitSeconds: Int?, hasJoined: Bool, of command: borrowing PendingCommand) {
        var result: (answer: Answer, body: [UInt8])
        switch verdict {
        case .accepted: result = Self.accepted(command)
        case .outcome:
            guard let outcome = command.outcome else { preconditionFailure("an outcome is told that is not there") }
            // A repeat is answered as the first time: who did not wait for the outcome then is not told to have failed now.
            result = waitSeconds == nil ? Self.accepted(command) : Self.final(outcome, command)
        case .keyReused: result = Self.problem(Problem(.idempotencyKeyReused))
        case .notAccepted:
            let detail =
                "the log did not take this request; an earlier one under the same key may have been accepted: repeat it with the same key"
            result = Self.problem(Problem(.notAccepted, detail: detail))
        case .outcomeUnknown:
            let detail = "repeat the request with the same Idempotency-Key, never with a new one"
            result = Self.problem(Problem(.outcomeUnknown, detail: detail, paymentID: command.paymentID))
        }
        if hasJoined || command.flow.isRepeat, verdict == .accepted || verdict == .outcome { result.answer.isReplayed = true }
        // RFC 7240 section 3: said only of a preference that was honoured, also when the time ran out.
        if verdict == .accepted || verdict == .outcome { result.answer.appliedWaitSeconds = waitSeconds }
        (answer, body) = result
    }

    private static func accepted(_ command: borrowing PendingCommand) -> (answer: Answer, body: [UInt8]) {
        var answer = Answer(.accepted)
        answer.location = command.location
        if case .settled(let body)? = command.outcome { return (answer, body) }
        if case .declined(_, let body)? = command.outcome { return (answer, body) }
        return (answer, command.acceptedBody)
    }

    private static func final(_ outcome: CommandOutcome, _ command: borrowing PendingCommand) -> (answer: Answer, body: [UInt8]) {
        switch outcome {
        case .settled(let body), .opened(let body), .changed(let body):
            var answer = Answer(.created)
            answer.location = command.location
            return (answer, body)
        case .declined(let reason, let payment):
            return problem(Problem(ProblemCode(reason), paymentID: command.id, payment: payment))
        case .accountDeclined(let reason): return problem(Problem(ProblemCode(reason)))
        // The account is the resource here, and not one of a payment's.
        case .changeDeclined(.accountNotFound): return problem(Problem(.notFound, detail: "there is no such account"))
        case .changeDeclined(let reason): return problem(Problem(ProblemCode(reason), paymentID: command.paymentID))
        // Accepted it is; what comes of it an operator decides.
        case .quarantined: return accepted(command)
        }
    }

    static func problem(_ problem: Problem) -> (answer: Answer, body: [UInt8]) {
        var body: [UInt8] = []
        body.append(problem)
        return (Answer(problem.code), body)
    }
}
