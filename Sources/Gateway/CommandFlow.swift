/// Decides what becomes of one command between its arrival and its last answer. No I/O and no clock.
///
/// A command is marked in Redis (a hint), produced, acknowledged by the log, and decided by a worker, whose word may arrive before
/// the log's. Several clients may wait for one: some for the acknowledgement only (the impatient), some for the outcome
/// (the patient) until their time is up.
struct CommandFlow: Equatable {
    enum Phase: Equatable, CaseIterable {
        /// Redis was asked whether the key was used before.
        case marking
        /// The key was used before: the outcome is looked for, so that nothing is produced again that is decided.
        case lookingUp
        /// Produced and not acknowledged.
        case producing
        /// A worker has decided it, and everybody was told; the acknowledgement is still to come.
        case told
        /// Acknowledged; patient clients wait for the outcome.
        case parked
        /// As `parked`, and the time of some is up: the outcome is looked for once.
        case reading
        /// A worker said that the key belongs to another request. Its word carries no fingerprint, and may be about a request that
        /// somebody else made under the key: the ledger is asked before a client is told.
        case verifying
        case finished
    }

    /// What Redis said of the key.
    enum Marking: Equatable, CaseIterable {
        /// Nothing was known, and the marker now names this request.
        case fresh
        /// Nothing was known, and nothing was written.
        case absent
        case sameRequest
        case otherRequest
        /// Redis gave no answer.
        case unavailable
    }

    /// What was found of the outcome.
    enum Finding: Equatable, CaseIterable {
        /// This request's outcome.
        case outcome
        /// The key's outcome, and it is another request's.
        case conflict
        /// None yet, or none that can be seen from here.
        case nothing
    }

    enum Report: Equatable, CaseIterable { case persisted, notPersisted, possiblyPersisted }

    enum Event: Equatable {
        case marked(Marking)
        case found(Finding)
        /// Nothing was produced: the queue is full or the client refuses.
        case notProduced
        /// - patient: whether somebody waits for the outcome whose time is not up.
        case reported(Report, patient: Bool)
        /// A worker has decided: the outcome is there.
        case decided
        /// A worker said that the key belongs to another request.
        case toldReused
        /// The time of some patient clients is up.
        case waitEnded
        /// The gateway stops: nobody waits any longer.
        case draining
    }

    /// What clients are told.
    enum Verdict: Equatable {
        /// 202.
        case accepted
        /// The outcome.
        case outcome
        case keyReused
        case notAccepted
        case outcomeUnknown
    }

    enum Answers: Equatable {
        case none
        case everybody(Verdict)
        /// Those who wait for the acknowledgement only, and those whose time is up, are told that it was accepted.
        case impatient
    }

    enum Request: Equatable { case none, lookUp, produce }
    enum MarkerChange: Equatable {
        case none
        /// The log has it: the marker lives on until the outcome can be read everywhere.
        case keep
        /// The log does not have it, or the key is not this request's.
        case drop
    }

    struct Reaction: Equatable {
        var answers = Answers.none
        var request = Request.none
        var marker = MarkerChange.none
    }

    private(set) var phase = Phase.marking
    /// Whether the key was used before by the same request.
    private(set) var isRepeat = false
    /// Whether the command is in the log for certain.
    private(set) var isAcknowledged = false
    private let mayProduce: Bool
    /// Whether the marker was set by this attempt.
    private(set) var ownsMarker = false
    private var isOtherRequest = false
    private var wasToldReused = false

    /// - Parameter mayProduce: false while the log is behind: what is known is told, and nothing new is begun.
    init(mayProduce: Bool) { self.mayProduce = mayProduce }

    var isFinished: Bool { phase == .finished }
    /// Whether the key is this request's, as far as anybody can tell before the ledger does.
    var holdsKey: Bool { ownsMarker || isAcknowledged || phase == .told }

    mutating func handle(_ event: Event) -> Reaction {
        switch event {
        case .marked(let marking): marked(marking)
        case .found(let finding): found(finding)
        case .notProduced: phase == .producing ? refused() : Reaction()
        case .reported(let report, let patient): reported(report, patient: patient)
        case .decided: decided()
        case .toldReused: toldReused()
        case .waitEnded: waitEnded()
        case .draining: draining()
        }
    }

    private mutating func marked(_ marking: Marking) -> Reaction {
        guard phase == .marking else { return Reaction() }
        switch marking {
        case .fresh:
            ownsMarker = true
            return produce()
        case .absent, .unavailable: return produce()
        case .sameRequest:
            isRepeat = true
            return lookUp(.lookingUp)
        case .otherRequest:
            isOtherRequest = true
            return lookUp(.lookingUp)
        }
    }

    private mutating func found(_ finding: Finding) -> Reaction {
        switch (phase, finding) {
        case (.lookingUp, .outcome):
            // Also when the marker named another request: the ledger's word is what counts.
            isRepeat = true
            return finish(.everybody(.outcome))
        case (.reading, .outcome), (.verifying, .outcome): return finish(.everybody(.outcome))
        case (.lookingUp, .conflict), (.reading, .conflict), (.verifying, .conflict): return finishReused()
        // Nobody could be asked whose key it is: a client that is told of another request would pay once more under another key.
        case (.verifying, .nothing):
            guard isAcknowledged else { return finish(.everybody(.outcomeUnknown)) }
            phase = .finished
            return Reaction(answers: .everybody(.accepted), marker: .keep)
        case (.lookingUp, .nothing): return isOtherRequest ? finishReused() : produce()
        // The read began before the worker's word came, and may not have asked the primary.
        case (.reading, .nothing) where wasToldReused: return lookUp(.verifying)
        case (.reading, .nothing):
            phase = .parked
            return Reaction(answers: .impatient)
        case (.marking, _), (.producing, _), (.told, _), (.parked, _), (.finished, _): return Reaction()
        }
    }

    private mutating func reported(_ report: Report, patient: Bool) -> Reaction {
        switch (phase, report) {
        case (.told, .persisted):
            phase = .finished
            return Reaction(marker: .keep)
        // Decided means that it is in the log, whatever the client library could find out.
        case (.told, _): return finish(.none)
        case (.producing, .persisted):
            isAcknowledged = true
            if wasToldReused { return lookUp(.verifying) }
            phase = patient ? .parked : .finished
            return Reaction(answers: .impatient, marker: .keep)
        case (.producing, .notPersisted): return refused()
        case (.producing, .possiblyPersisted): return wasToldReused ? lookUp(.verifying) : finish(.everybody(.outcomeUnknown))
        case (.marking, _), (.lookingUp, _), (.parked, _), (.reading, _), (.verifying, _), (.finished, _): return Reaction()
        }
    }

    private mutating func decided() -> Reaction {
        switch phase {
        case .producing:
            phase = .told
            return Reaction(answers: .everybody(.outcome))
        case .marking, .lookingUp, .parked, .reading, .verifying: return finish(.everybody(.outcome))
        case .told, .finished: return Reaction()
        }
    }

    private mutating func toldReused() -> Reaction {
        switch phase {
        case .producing:
            wasToldReused = true
            return Reaction()
        case .parked: return lookUp(.verifying)
        case .reading:
            // The read that is under way may answer this as well.
            wasToldReused = true
            return Reaction()
        case .marking, .lookingUp, .told, .verifying, .finished: return Reaction()
        }
    }

    private mutating func waitEnded() -> Reaction { phase == .parked ? lookUp(.reading) : Reaction() }

    private mutating func draining() -> Reaction {
        switch phase {
        case .parked, .reading, .verifying: finish(.everybody(isAcknowledged ? .accepted : .outcomeUnknown))
        case .marking, .lookingUp, .producing, .told, .finished: Reaction()
        }
    }

    /// Tells that the last patient client of an acknowledged command was answered.
    mutating func nobodyWaits() {
        if phase == .parked || phase == .reading || phase == .verifying { phase = .finished }
    }

    // MARK: Steps

    private mutating func lookUp(_ next: Phase) -> Reaction {
        phase = next
        return Reaction(request: .lookUp)
    }

    private mutating func produce() -> Reaction {
        guard mayProduce else { return refused() }
        phase = .producing
        return Reaction(request: .produce)
    }

    /// This attempt is not in the log. Whether an earlier one is, is not known here.
    private mutating func refused() -> Reaction { finish(.everybody(isRepeat ? .outcomeUnknown : .notAccepted), dropsMarker: true) }

    /// A marker of this request would keep the key's rightful owner from being answered.
    private mutating func finishReused() -> Reaction { finish(.everybody(.keyReused), dropsMarker: true) }

    private mutating func finish(_ answers: Answers, dropsMarker: Bool = false) -> Reaction {
        phase = .finished
        return Reaction(answers: answers, marker: dropsMarker && ownsMarker ? .drop : .none)
    }
}
