internal import Histogram
internal import Telemetry

/// What comes back: answers, failures, and what is sent again.
extension LoadGenerator {
    func note(_ event: LoadConnection.Event, of connection: LoadConnection) {
        switch event {
        case .opened:
            // Past the deadline for opening it is among the free ones already.
            guard start == nil else { return }
            opened += 1
            free.add(connection)
            openMore()
        case .answered(let answer):
            guard let request = connection.request else { return }
            answered(request, answer)
            release(connection)
            free.add(connection)
            pump()
        case .failed(let failure):
            if connection.request != nil {
                failed(connection, failure)
            } else if start == nil {
                openingFailed(connection, failure)
                openMore()
            }
        case .closedIdle: counts.closedIdle += 1
        }
    }

    private func answered(_ request: LoadConnection.Request, _ answer: LoadAnswer) {
        let now = Clock.monotonicNanoseconds
        let plan = request.plan
        counts.statuses[answer.status, default: 0] += 1
        if !plan.kind.isWrite, !answer.isSuccess { counts.readTriesFailed += 1 }
        if let start { counts.elapsedNanoseconds = now - start }
        if answer.isForTheMoment, retry(plan, now, retryAfterSeconds: answer.retryAfterSeconds) { return }
        counts.noteAnswer(
            plan, answer, latency: now - plan.intended, service: now - request.sent, isMeasured: isMeasured(plan))
        recent.record((now - plan.intended) / 1_000)
        if plan.kind.isWrite { acknowledged(plan, answer, now) }
    }

    private func acknowledged(_ plan: RequestPlan, _ answer: LoadAnswer, _ now: UInt64) {
        guard (200..<300).contains(answer.status) else { return }
        if plan.attempt > 0 { counts.acceptedLater += 1 }
        guard let id = answer.payment else { return }
        if plan.kind == .duplicate {
            if id != plan.payment { counts.duplicatesWrong += 1 }
            return
        }
        counts.noteAcknowledged(id)
        maker.note(accepted: plan, as: id)
        if plan.kind == .payment, let follower, isMeasured(plan), Double.random(in: 0..<1, using: &chance) < options.followShare {
            follower.follow(id, acceptedAt: now, maker)
        }
    }

    func failed(_ connection: LoadConnection, _ failure: LoadFailure) {
        guard let request = connection.request else { return }
        let now = Clock.monotonicNanoseconds
        counts.failures[failure, default: 0] += 1
        if !request.plan.kind.isWrite { counts.readTriesFailed += 1 }
        if !retry(request.plan, now, retryAfterSeconds: nil) {
            counts.noteUnanswered(
                request.plan, afterNanoseconds: now - request.plan.intended, isMeasured: isMeasured(request.plan))
        }
        release(connection)
        rest(connection)
    }

    /// Puts a request aside to be sent again; false when it was tried often enough.
    private func retry(_ plan: RequestPlan, _ now: UInt64, retryAfterSeconds: Int?) -> Bool {
        guard options.retriesMax > 0 else { return false }
        guard plan.attempt < options.retriesMax, retries.count < BenchLimits.retriesWaitingMax else {
            counts.gaveUp += 1
            return false
        }
        let delay = RetryDelay.nanoseconds(attempt: plan.attempt, retryAfterSeconds: retryAfterSeconds, &chance)
        var again = plan
        again.attempt += 1
        retries.add(again, due: now + delay)
        return true
    }

    private func release(_ connection: LoadConnection) {
        connection.finish()
        busy -= 1
    }

    func rest(_ connection: LoadConnection) {
        resting.append((connection, Clock.monotonicNanoseconds + Self.restNanoseconds))
    }
}
