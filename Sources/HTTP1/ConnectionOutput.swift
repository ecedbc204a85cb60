extension ConnectionMachine {
    /// An answer to request `number` is ready. Answers may come in any order; they leave in the order of requests.
    ///
    /// - Parameter closing: the connection must not serve another request. Requests after this one get no answer.
    public mutating func answer(_ number: RequestNumber, closing: Bool = false) -> Answer {
        guard phase == .open || phase == .finishing, number >= answered, number < delivered, number <= last,
            held & Self.bit(number) == 0
        else { return .drop }
        if closing, number < last {
            forgetPartial()
            finish(after: number, lingering: true)
        }
        let rendering = Rendering(omitsBody: omitsBody & Self.bit(number) != 0, persistence: persistence(number))
        guard number == answered else {
            held |= Self.bit(number)
            return .hold(rendering)
        }
        answered += 1
        return .write(rendering)
    }

    /// The next held answer whose turn has come, to be put into the output; nil when there is none.
    public mutating func nextHeld() -> RequestNumber? {
        guard answered < delivered, answered <= last, held & Self.bit(answered) != 0 else { return nil }
        held &= ~Self.bit(answered)
        answered += 1
        return answered - 1
    }

    /// Output was written, or there was none to write: call it once after each round of answers and whenever the
    /// socket took bytes.
    ///
    /// - Parameter unwrittenBytes: what the socket has not taken of everything put into the output so far.
    public mutating func wrote(unwrittenBytes: Int, limits: borrowing ConnectionLimits, now: UInt64) -> Action {
        guard phase == .open || phase == .finishing else { return .none }
        if unwrittenBytes > 0 {
            if self.unwrittenBytes == 0 { writeDeadline = now + limits.writeMilliseconds }
            self.unwrittenBytes = unwrittenBytes
            return unwrittenBytes > limits.unwrittenBytesMax ? close() : .none
        }
        self.unwrittenBytes = 0
        writeDeadline = .max
        let hadAnswers = flushed != answered
        flushed = answered
        if phase == .finishing { return answered > last || answered == delivered ? end(limits, now) : .none }
        if hadAnswers, answered == delivered, !isPartial { readDeadline = now + limits.idleMilliseconds }
        if owesContinue, answered == delivered {
            owesContinue = false
            return .sendContinue
        }
        return hasBacklog && hasRoom ? .resume : .none
    }

    /// The client sent its end of input (it may still read).
    public mutating func endOfInput() -> Action {
        inputEnded = true
        switch phase {
        case .closed, .finishing: return .none
        case .lingering: return close()
        case .open: return hasBacklog ? .none : endWithoutMore()
        }
    }

    /// Time has passed; worth calling from `deadline` on, and harmless before.
    public mutating func timePassed(now: UInt64) -> Action {
        guard phase != .closed else { return .none }
        if now >= writeDeadline { return close() }
        guard now >= readDeadline else { return .none }
        // Requests that wait for their turn are no silence of the client's.
        if hasBacklog, !isPartial { return .none }
        readDeadline = .max
        if phase == .open, isPartial { return .refuse(refuse(), .requestTimeout) }
        return close()
    }

    /// The process is going to stop: finish what is in flight, and close.
    ///
    /// A connection that waits for a request serves one more, which may be under way already, and is closed when none has begun
    /// within `drainIdleMilliseconds`. An unfinished request is still read within its deadline. Whole requests that wait for room
    /// in the pipeline are not served; the `Connection: close` of an earlier answer tells the client so (RFC 9112 section 9.6).
    public mutating func drain(limits: borrowing ConnectionLimits, now: UInt64) -> Action {
        guard phase == .open, !isDraining else { return .none }
        isDraining = true
        if isPartial { return .none }
        if delivered == flushed, unwrittenBytes == 0 {
            readDeadline = min(readDeadline, now + limits.drainIdleMilliseconds)
            return .none
        }
        // The answers are on their way and say nothing of an end: that of the next request, which was set aside, will.
        if hasBacklog, answered == delivered { return .none }
        readDeadline = .max
        finish(after: delivered &- 1, lingering: true)
        return .none
    }

    /// The socket failed: answers still to come are dropped.
    public mutating func lost() { close() }

    private func persistence(_ number: RequestNumber) -> Persistence {
        if number == last { return .close }
        return namesKeepAlive & Self.bit(number) != 0 ? .keepAlive : .implied
    }

    /// Everything is written and no more will be: close, through lingering when the client may still be sending.
    private mutating func end(_ limits: borrowing ConnectionLimits, _ now: UInt64) -> Action {
        guard mustLinger, !inputEnded else { return close() }
        phase = .lingering
        readDeadline = now + limits.lingerMilliseconds
        return .shutDownWriting
    }
}
