internal import Loop
internal import Telemetry

/// Everything the broker owns, on one thread: connections, topics, groups, the journal, and the flush round under way.
final class BrokerLoop {
    let loop: EventLoop
    let options: BrokerOptions
    let journal: Journal
    var advertised: (host: String, port: UInt16)
    private(set) var topics: [String: Topic] = [:]
    private(set) var topicsById: [UUID128: Topic] = [:]
    /// Names whose creation is on its way to the disk.
    var topicsBeingMade: Set<String> = []
    var partitionsBeingMade = 0
    var groups: [String: GroupMachine] = [:]
    /// Answers kept back by groups, by the exchange's number.
    var groupExchanges: [UInt64: (exchange: Exchange, group: String)] = [:]
    /// The next producer id, and how far they are reserved in the journal.
    var nextProducerId: Int64
    var producerIdsBelow: Int64
    var isReservingProducerIds = false

    /// Lent to the connection that receives.
    var receiveBuffer: [UInt8] = []
    /// Where a fetch reads records before they are copied behind their partition's fields.
    var recordBuffer: [UInt8] = []
    private var connections: [ObjectIdentifier: Connection] = [:]
    private var toSend: [Connection] = []
    private var reservedBytes = 0
    private var reservationQueue: [Connection] = []
    private(set) var outputBytes = 0
    private var nextExchange: UInt64 = 1
    var fetchWaits: [UInt64: FetchWait] = [:]

    private let flusher: Flusher
    private var reports: MailboxReceiver<FlushReport>?
    private var roundNumber: UInt64 = 0
    private var roundPartitions: [(partition: Partition, offset: Int64, bytes: Int)] = []
    private var isRoundUnderWay = false
    private var toFlush: [Partition] = []
    private var removals: [FlushRound.Removal] = []
    /// Under `--flush interval`: the time for a round has come.
    private var isFlushDue = false
    private var isStopping = false
    private var sweepTimer: LoopTimer?
    private var flushTimer: LoopTimer?
    private var nextUpkeepMilliseconds: UInt64 = 0
    private var nextGroupTickMilliseconds: UInt64 = 0
    private var lastFullWarningMilliseconds: UInt64 = 0

    init(loop: EventLoop, options: BrokerOptions, folder: OpenFolder) {
        self.loop = loop
        self.options = options
        journal = Journal(file: folder.journal, state: folder.state)
        advertised = options.advertised ?? ("127.0.0.1", 0)
        nextProducerId = folder.state.producerIdsBelow
        producerIdsBelow = folder.state.producerIdsBelow
        let mailbox = Mailbox<FlushReport>(capacity: 8)
        flusher = Flusher(reports: mailbox)
        receiveBuffer.reserveCapacity(128 << 10)
        for topic in folder.topics { add(topic) }
        reports = MailboxReceiver(loop: loop, mailbox: mailbox) { [unowned self] in completeRound($0) }
        loop.atTurnEnd { [unowned self] in endTurn() }
        sweepTimer = LoopTimer(loop: loop) { [unowned self] in sweep() }
        sweepTimer?.arm(afterMilliseconds: 10)
        flushTimer = LoopTimer(loop: loop) { [unowned self] in
            isFlushDue = true
            armFlushTimer()
        }
        armFlushTimer()
    }

    private func armFlushTimer() {
        if case .interval(let milliseconds) = options.flush { flushTimer?.arm(afterMilliseconds: max(1, milliseconds)) }
    }

    var flushesAlways: Bool { options.flush == .always }
    var topicsFolder: String { options.dataFolder + "/topics" }
    var partitionCount: Int { topicsById.values.reduce(0) { $0 + $1.partitions.count } }

    // MARK: Topics

    func add(_ topic: Topic) {
        topics[topic.name] = topic
        topicsById[topic.id] = topic
    }

    /// Takes a deleted topic out; its files go with the next round.
    func remove(_ topic: Topic) {
        topics[topic.name] = nil
        topicsById[topic.id] = nil
        var removal = FlushRound.Removal()
        for partition in topic.partitions {
            partition.isGone = true
            partition.releaseAll()
            removal.descriptors += partition.log.takeDescriptors()
        }
        removal.directories = [topic.folder]
        removals.append(removal)
    }

    /// The first offset that consumers are not shown.
    func visibleLimit(_ log: PartitionLog) -> Int64 { flushesAlways ? log.durableOffset : log.endOffset }

    // MARK: Connections

    func accept(_ descriptor: CInt) {
        guard connections.count < Limits.connectionsMax, !isStopping else { return Descriptors.close(descriptor) }
        let connection = Connection(broker: self, descriptor: descriptor)
        connections[ObjectIdentifier(connection)] = connection
    }

    func closed(_ connection: Connection) { connections[ObjectIdentifier(connection)] = nil }

    func reserve(_ bytes: Int) -> Bool {
        guard reservedBytes + bytes <= Limits.receiveBytesMax else { return false }
        reservedBytes += bytes
        return true
    }

    func waitForReservation(_ connection: Connection) { reservationQueue.append(connection) }

    func release(reserved: Int, output: Int) {
        outputBytes -= output
        reservedBytes -= reserved
        guard reserved > 0, !reservationQueue.isEmpty else { return }
        let waiting = reservationQueue
        reservationQueue = []
        for connection in waiting { connection.reservationMayBeFree() }
    }

    func addOutput(_ bytes: Int) { outputBytes += bytes }
    func queueForSending(_ connection: Connection) { toSend.append(connection) }

    /// A connection is gone with this request unanswered.
    func abandoned(_ exchange: Exchange) {
        if let fetch = exchange.fetch { end(fetch) }
        if let waiting = groupExchanges.removeValue(forKey: exchange.number) {
            groups[waiting.group]?.forget(request: exchange.number, now: Clock.monotonicMilliseconds)
        }
    }

    /// Reads and serves one frame. What does not parse closes the connection.
    func handle(_ buffer: inout [UInt8], frame: Range<Int>, from connection: Connection) {
        do {
            var reader = RequestReader(buffer.span.extracting(frame))
            let header = try RequestHeader.parse(&reader)
            guard let key = ApiKey(rawValue: header.key), key.versions.contains(header.version) else {
                return refuseUnserved(header, from: connection)
            }
            let body = frame.lowerBound + reader.position..<frame.upperBound
            let request = try Request.parse(key, header: header, body: buffer.span.extracting(body))
            let exchange = Exchange(number: nextExchange, key: key, header: header, connection: connection)
            nextExchange += 1
            connection.begin(exchange)
            serve(request, exchange, &buffer, body: body)
        } catch {
            Log.warning("a connection is closed: a frame does not parse", .text("error", "\(error)"))
            connection.close()
        }
    }

    /// What ApiVersions does not offer. ApiVersions itself has an answer for it; for the rest the protocol's way is to close.
    private func refuseUnserved(_ header: RequestHeader, from connection: Connection) {
        guard header.key == ApiKey.apiVersions.rawValue else {
            Log.warning(
                "a connection is closed: it sent a request that is not served", .integer("api_key", header.key),
                .integer("version", header.version))
            return connection.close()
        }
        let plain = RequestHeader(key: header.key, version: 0, correlation: header.correlation, client: nil)
        let exchange = Exchange(number: nextExchange, key: .apiVersions, header: plain, connection: connection)
        nextExchange += 1
        connection.begin(exchange)
        answerApiVersions(exchange, error: .unsupportedVersion)
    }

    // MARK: Turns and rounds

    private func endTurn() {
        beginRound()
        // Sending may close a connection or let it handle more; what that answers goes into the next pass.
        while !toSend.isEmpty {
            let batch = toSend
            toSend = []
            for connection in batch { connection.send() }
        }
        beginRound()
        if isStopping, !isRoundUnderWay, toFlush.isEmpty, !journal.needsFlush { loop.stop() }
    }

    func queueForFlush(_ partition: Partition) {
        guard !partition.isQueuedForFlush else { return }
        partition.isQueuedForFlush = true
        toFlush.append(partition)
    }

    private func beginRound() {
        guard !isRoundUnderWay else { return }
        let takesPartitions = flushesAlways || isFlushDue || isStopping
        guard journal.needsFlush || !removals.isEmpty || (takesPartitions && !toFlush.isEmpty) else { return }
        roundNumber += 1
        var round = FlushRound(number: roundNumber)
        if takesPartitions {
            isFlushDue = false
            let now = Clock.monotonicMilliseconds
            for partition in toFlush where !partition.isGone {
                let bytes = Int(clamping: partition.log.unflushedByteCount)
                let offset = partition.log.takeFlushWork(into: &round, nowMilliseconds: now)
                roundPartitions.append((partition, offset, bytes))
            }
            for partition in toFlush { partition.isQueuedForFlush = false }
            toFlush.removeAll(keepingCapacity: true)
        }
        journal.takeFlushWork(into: &round)
        round.removals += removals
        removals = []
        isRoundUnderWay = true
        flusher.begin(round)
    }

    private func completeRound(_ report: FlushReport) {
        precondition(report.number == roundNumber && isRoundUnderWay)
        isRoundUnderWay = false
        let completed = roundPartitions
        roundPartitions.removeAll(keepingCapacity: true)
        for (partition, offset, bytes) in completed where !partition.isGone {
            partition.log.flushCompleted(upTo: offset)
            partition.releaseProduceWaits()
            if flushesAlways { partition.wakeFetches(newByteCount: bytes) }
            if partition.log.needsFlush { queueForFlush(partition) }
        }
        if let retired = journal.flushCompleted(report.journal) { removals.append(FlushRound.Removal(descriptors: [retired])) }
    }

    /// A produce or a journal entry found no room.
    func diskIsFull() {
        let now = Clock.monotonicMilliseconds
        guard now - lastFullWarningMilliseconds > 10_000 else { return }
        lastFullWarningMilliseconds = now
        Log.error("the disk is full: records are refused, and clients retry, until there is room", .text("folder", options.dataFolder))
    }

    // MARK: Time

    private func sweep() {
        let now = Clock.monotonicMilliseconds
        for wait in Array(fetchWaits.values) where wait.deadline <= now { expire(wait) }
        if now >= nextGroupTickMilliseconds {
            nextGroupTickMilliseconds = now + 25
            tickGroups(now: now)
        }
        if now >= nextUpkeepMilliseconds {
            nextUpkeepMilliseconds = now + 1_000
            for connection in Array(connections.values) { connection.sweep(nowMilliseconds: now) }
            applyRetention()
            forgetUnusedGroups(now: now)
        }
        sweepTimer?.arm(afterMilliseconds: 10)
    }

    private func applyRetention() {
        let now = Clock.wallMicroseconds / 1_000
        for topic in topics.values {
            for partition in topic.partitions {
                let count = partition.log.applyRetention(nowMilliseconds: now)
                if count > 0 {
                    Log.info(
                        "retention removed segments", .text("topic", topic.name), .integer("partition", partition.index),
                        .integer("segments", count), .integer("start_offset", partition.log.startOffset))
                }
                if partition.log.needsFlush { queueForFlush(partition) }
            }
        }
    }

    /// Flushes what there is, answers it, and ends the loop.
    func stop() {
        isStopping = true
        for connection in connections.values { connection.stopReading() }
        for partition in topics.values.flatMap(\.partitions) where partition.log.needsFlush { queueForFlush(partition) }
    }

    /// After the loop has ended.
    func shutDown() {
        flusher.stop()
        for connection in Array(connections.values) { connection.close() }
        for topic in topics.values { for partition in topic.partitions { partition.log.close() } }
        journal.close()
    }
}
