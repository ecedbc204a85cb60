extension ConnectionMachine {
    /// Takes bytes from the client: the kept ones of earlier calls and the new ones behind them.
    ///
    /// Call it in a loop, each time with what follows `consumed`, until the outcome is neither `request` nor `refuse`.
    /// Chunked bodies are decoded in place, which is why the bytes are mutable. Offsets in `head` and in the outcome
    /// count from the first of the given bytes.
    ///
    /// - Parameters:
    ///   - gatheredBytes: answers that are put into the output and not yet written.
    ///   - begunRequests: what this connection has had of its share of the turn.
    public mutating func receive(
        _ bytes: inout MutableSpan<UInt8>, head: inout RequestHead, limits: borrowing ConnectionLimits, now: UInt64,
        gatheredBytes: Int = 0, begunRequests: Int = 0
    ) -> Receipt {
        switch phase {
        case .open: break
        case .lingering: return discard(bytes.count, limits)
        case .finishing, .closed: return Receipt(outcome: phase == .closed ? .close : .needsMore, consumed: bytes.count, kept: 0)
        }
        guard bytes.count > 0 else { return endOfBytes() }
        guard hasRoom, gatheredBytes < limits.gatheredBytesMax, begunRequests < limits.pipelinedPerTurnMax else {
            hasBacklog = true
            return Receipt(outcome: .pause, consumed: 0, kept: bytes.count)
        }
        hasBacklog = false
        if !isPartial {
            isPartial = true
            readDeadline = now + limits.requestMilliseconds
        }
        do throws(Refusal) {
            return try advance(&bytes, head: &head, limits: limits, now: now)
        } catch {
            return Receipt(outcome: .refuse(refuse(), error), consumed: bytes.count, kept: 0)
        }
    }

    private mutating func advance(
        _ bytes: inout MutableSpan<UInt8>, head: inout RequestHead, limits: borrowing ConnectionLimits, now: UInt64
    ) throws(Refusal) -> Receipt {
        var isNewHead = false
        if case .head = stage {
            guard try parser.parse(bytes.span, into: &head, limits: limits.request) else {
                return incompleteHead(bytes.count, limits, now)
            }
            isNewHead = true
            stage = .body(
                BodyDecoder(
                    framing: head.framing, bodyStart: head.byteCount,
                    bodyBytesMax: limits.request.bodyBytesMax(path: bytes.span[head.path]), limits: limits.request))
        }
        guard case .body(var decoder) = stage else { preconditionFailure("no stage follows the body") }
        switch try decoder.decode(&bytes) {
        case .incomplete(let kept):
            stage = .body(decoder)
            let owes = isNewHead && head.expectsContinue && bytes.count == head.byteCount
            return incompleteBody(kept: kept, owesContinue: owes)
        case .complete(let body, let consumed):
            if !isNewHead {
                // The lent head has served other connections since; the bytes of ours are still in front.
                var again = RequestParser()
                guard try again.parse(bytes.span, into: &head, limits: limits.request) else {
                    preconditionFailure("the driver changed the bytes of an unfinished request")
                }
            }
            let number = deliver(head, limits)
            return Receipt(outcome: .request(number, body: body), consumed: consumed, kept: bytes.count - consumed)
        }
    }

    private mutating func incompleteHead(_ count: Int, _ limits: borrowing ConnectionLimits, _ now: UInt64) -> Receipt {
        if inputEnded { return endOfBytes() }
        if parser.sawOnlyEmptyLine(count) {
            // An empty line between requests (RFC 9112 section 2.2) starts none: nothing is kept for it.
            parser = .afterEmptyLine
            isPartial = false
            readDeadline = delivered == flushed ? now + (isDraining ? limits.drainIdleMilliseconds : limits.idleMilliseconds) : .max
            return Receipt(outcome: .needsMore, consumed: count, kept: 0)
        }
        return Receipt(outcome: .needsMore, consumed: 0, kept: count)
    }

    private mutating func incompleteBody(kept: Int, owesContinue owes: Bool) -> Receipt {
        if inputEnded { return endOfBytes() }
        // A client that has begun to send its body waits for nothing.
        owesContinue = owes && answered != delivered
        let outcome: Receipt.Outcome = owes && !owesContinue ? .sendContinue : .needsMore
        return Receipt(outcome: outcome, consumed: 0, kept: kept)
    }

    /// Hands out a request and gets ready for the next one.
    private mutating func deliver(_ head: borrowing RequestHead, _ limits: borrowing ConnectionLimits) -> RequestNumber {
        let number = delivered
        let bit = Self.bit(number)
        delivered += 1
        if head.method == .head { omitsBody |= bit } else { omitsBody &= ~bit }
        if head.version == .http10, head.keepsAlive { namesKeepAlive |= bit } else { namesKeepAlive &= ~bit }
        forgetPartial()
        if !head.keepsAlive || isDraining || Int(delivered) >= limits.requestsPerConnectionMax {
            finish(after: number, lingering: head.keepsAlive)
        }
        return number
    }

    /// Gives the unfinished request a number under which its refusal is answered, after all earlier ones.
    mutating func refuse() -> RequestNumber {
        let number = delivered
        let bit = Self.bit(number)
        delivered += 1
        if parser.method == .head { omitsBody |= bit } else { omitsBody &= ~bit }
        namesKeepAlive &= ~bit
        forgetPartial()
        finish(after: number, lingering: true)
        return number
    }

    mutating func forgetPartial() {
        parser = RequestParser()
        stage = .head
        isPartial = false
        owesContinue = false
        readDeadline = .max
    }

    mutating func finish(after number: RequestNumber, lingering: Bool) {
        phase = .finishing
        hasBacklog = false
        last = number
        mustLinger = lingering
    }

    private mutating func discard(_ count: Int, _ limits: borrowing ConnectionLimits) -> Receipt {
        lingeredBytes += count
        if lingeredBytes > limits.lingerBytesMax {
            close()
            return Receipt(outcome: .close, consumed: count, kept: 0)
        }
        return Receipt(outcome: .needsMore, consumed: count, kept: 0)
    }

    /// All whole requests are taken. After the end of input an unfinished one never completes and gets no answer.
    private mutating func endOfBytes() -> Receipt {
        hasBacklog = false
        guard inputEnded else { return Receipt(outcome: .needsMore, consumed: 0, kept: 0) }
        let action = endWithoutMore()
        return Receipt(outcome: action == .close ? .close : .needsMore, consumed: 0, kept: 0)
    }

    /// The input has ended and nothing whole is left in it: close, at once or after the answers.
    mutating func endWithoutMore() -> Action {
        forgetPartial()
        if flushed == delivered, unwrittenBytes == 0 { return close() }
        finish(after: delivered &- 1, lingering: false)
        return .none
    }

    @discardableResult
    mutating func close() -> Action {
        phase = .closed
        isPartial = false
        hasBacklog = false
        owesContinue = false
        readDeadline = .max
        writeDeadline = .max
        return .close
    }
}
