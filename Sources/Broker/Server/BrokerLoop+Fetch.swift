internal import Telemetry

/// A fetch from its turn in the connection's queue until there is enough to answer, or its time is over.
final class FetchWait {
    unowned let exchange: Exchange
    let request: FetchRequest
    /// Milliseconds of the monotonic clock.
    let deadline: UInt64
    var hasBegun = false
    /// What is still missing to the bytes asked for, as of the last look.
    var missingByteCount = 0
    private unowned let broker: BrokerLoop

    init(exchange: Exchange, request: FetchRequest, broker: BrokerLoop, now: UInt64) {
        self.exchange = exchange
        self.request = request
        self.broker = broker
        deadline = now + UInt64(min(max(request.maxWaitMilliseconds, 0), Limits.fetchWaitMillisecondsMax))
    }

    func recordsArrived(byteCount: Int) {
        missingByteCount -= byteCount
        if missingByteCount <= 0 { broker.retry(self) }
    }
}

extension BrokerLoop {
    func serveFetch(_ request: FetchRequest, _ exchange: Exchange) {
        exchange.fetch = FetchWait(exchange: exchange, request: request, broker: self, now: Clock.monotonicMilliseconds)
        exchange.connection?.pump()
    }

    /// Called when the fetch is the first of its connection: at most one answer is built for each.
    func begin(_ fetch: FetchWait) {
        fetch.hasBegun = true
        if answer(fetch, whateverThereIs: fetch.request.maxWaitMilliseconds <= 0) { return }
        fetchWaits[fetch.exchange.number] = fetch
        forEachPartition(of: fetch) { $0.register(fetch) }
    }

    func retry(_ fetch: FetchWait) {
        if answer(fetch, whateverThereIs: false) { return }
    }

    func expire(_ fetch: FetchWait) { _ = answer(fetch, whateverThereIs: true) }

    func end(_ fetch: FetchWait) {
        guard fetchWaits.removeValue(forKey: fetch.exchange.number) != nil else { return }
        forEachPartition(of: fetch) { $0.unregister(fetch) }
    }

    private func forEachPartition(of fetch: FetchWait, _ body: (Partition) -> Void) {
        for topic in fetch.request.topics {
            guard let known = topics[topic.name] else { continue }
            for asked in topic.partitions { if let partition = known.partition(asked.index) { body(partition) } }
        }
    }

    /// Builds the answer and finishes the exchange if there is enough to say; false: it goes on waiting.
    private func answer(_ fetch: FetchWait, whateverThereIs: Bool) -> Bool {
        // Clients that do not take their answers must not fill the memory: the others wait for the next look.
        let hasMemory = outputBytes + Limits.fetchResponseBytesMax <= Limits.sendBytesMax
        if !hasMemory, !whateverThereIs {
            fetch.missingByteCount = 0
            return false
        }
        let request = fetch.request
        let version = fetch.exchange.version
        let budget = hasMemory ? min(max(Int(request.maxBytes), 0), Limits.fetchResponseBytesMax) : 0
        var remaining = budget
        let reserve = visibleByteCount(fetch, atMost: remaining)
        if !whateverThereIs, !reserve.isUrgent, reserve.bytes < max(1, min(Int(request.minBytes), remaining)) {
            fetch.missingByteCount = max(1, min(Int(request.minBytes), remaining) - reserve.bytes)
            return false
        }
        var writer = fetch.exchange.writer(reserve: reserve.bytes + 256)
        writer.int32(0)
        if version >= 7 {
            writer.error(request.sessionId == 0 ? .none : .fetchSessionIdNotFound)
            writer.int32(0)
        }
        if version >= 7, request.sessionId != 0 {
            writer.arrayCount(0)
        } else {
            var isFirst = hasMemory
            writer.array(request.topics) { writer, topic in
                writer.string(topic.name)
                writer.array(topic.partitions) { writer, asked in
                    write(asked, topic.name, version, &writer, remaining: &remaining, isFirst: &isFirst)
                }
            }
        }
        // The estimate looks at index entries and may be too high.
        if !whateverThereIs, !reserve.isUrgent, budget - remaining < min(Int(request.minBytes), budget) {
            fetch.missingByteCount = max(1, min(Int(request.minBytes), budget) - (budget - remaining))
            return false
        }
        let exchange = fetch.exchange
        end(fetch)
        exchange.finish(writer)
        return true
    }

    /// An upper estimate of the bytes there are, and whether something must be said at once (an error).
    private func visibleByteCount(_ fetch: FetchWait, atMost limit: Int) -> (bytes: Int, isUrgent: Bool) {
        if fetch.request.sessionId != 0 { return (0, true) }
        var total = 0
        for topic in fetch.request.topics {
            guard let known = topics[topic.name] else { return (0, true) }
            for asked in topic.partitions {
                guard let log = known.partition(asked.index)?.log else { return (0, true) }
                let visible = visibleLimit(log)
                if asked.offset < log.startOffset || asked.offset > visible || asked.leaderEpoch > 0 { return (0, true) }
                if asked.offset < visible {
                    total += min(log.visibleByteCount(from: asked.offset, below: visible), max(Int(asked.maxBytes), 1))
                }
                if total >= limit { return (limit, false) }
            }
        }
        return (total, false)
    }

    private func write(
        _ asked: FetchRequest.Partition, _ topic: String, _ version: Int16, _ writer: inout ResponseWriter, remaining: inout Int,
        isFirst: inout Bool
    ) {
        var error = ErrorCode.none
        let log = topics[topic]?.partition(asked.index)?.log
        let visible = log.map(visibleLimit) ?? -1
        if let log {
            if asked.leaderEpoch > 0 { error = .unknownLeaderEpoch }
            // An offset between the durable end and the log's end is one that a consumer cannot have seen.
            if asked.offset < log.startOffset || asked.offset > visible { error = .offsetOutOfRange }
        } else {
            error = .unknownTopicOrPartition
        }
        var records: [UInt8] = []
        swap(&records, &recordBuffer)
        defer {
            records.removeAll(keepingCapacity: true)
            swap(&records, &recordBuffer)
        }
        if let log, error == .none, remaining > 0, asked.offset < visible {
            do {
                let limit = min(remaining, max(Int(asked.maxBytes), 0))
                let count = try log.read(from: asked.offset, below: visible, maxBytes: limit, atLeastOne: isFirst, into: &records)
                if count > 0 { isFirst = false }
                remaining = max(0, remaining - count)
            } catch let failure {
                error = failure == .outOfRange ? .offsetOutOfRange : .storageError
            }
        }
        writer.int32(asked.index)
        writer.error(error)
        writer.int64(visible)
        writer.int64(visible)
        if version >= 5 { writer.int64(log?.startOffset ?? -1) }
        // No transactions: nothing is aborted.
        writer.int32(-1)
        if version >= 11 { writer.int32(-1) }
        writer.byteArray(records)
    }
}
