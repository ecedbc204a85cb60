internal import Bytes
internal import HTTP1
internal import Kafka
internal import Ledger
internal import Loop
internal import Redis
internal import Server
internal import Store
internal import Telemetry
internal import Wire

/// Where commands come in: reads and checks a request, and runs what `CommandFlow` decides for it.
final class CommandDoor {
    private let loop: EventLoop
    let limits: GatewayLimits
    private let channel: String
    private let responder: Responder
    private let cache: Cache
    private let lookUps: OutcomeLookUps
    private let counters: GatewayCounters
    private var producer: Producer?
    private let identity: Identity
    let reader = RequestReader()
    private var commands: [OperationID: PendingCommand] = [:]
    private var produced: [UInt64: PendingCommand] = [:]
    private var nextToken: UInt64 = 0
    private var waits: WaitQueues
    private var parked = 0
    /// Whether the last report was a failure: then one command at a time finds out whether the log is back.
    private var isSuspect = false
    /// How far the ledger is behind the log; the owner tells what is applied.
    var settlement = SettlementLag()
    private var isDraining = false
    private var canonical: [UInt8] = []
    private var scratch: [UInt8] = []
    private var recordKey: [UInt8] = []
    private var headers = HeaderList()

    /// - Parameter channel: where workers leave word for this loop.
    /// - Throws: a Kafka setting that cannot be used.
    init(
        loop: EventLoop, limits: GatewayLimits, kafka: KafkaConfiguration, channel: String, responder: Responder, cache: Cache,
        lookUps: OutcomeLookUps, identity: Identity, counters: GatewayCounters
    ) throws(KafkaError) {
        self.loop = loop
        self.limits = limits
        self.channel = channel
        self.responder = responder
        self.cache = cache
        self.lookUps = lookUps
        self.identity = identity
        self.counters = counters
        waits = WaitQueues(lookMilliseconds: limits.paymentPollMilliseconds, sparedMax: limits.parkedMax)
        let configuration = ProducerConfiguration(
            base: kafka, deliveryTimeoutMilliseconds: limits.deliveryTimeoutMilliseconds, queueMessagesMax: limits.produceQueueMax)
        producer = try Producer(
            loop: loop, configuration: configuration, onReport: { [unowned self] token, report in reported(token, report) })
    }

    var producerCounts: Producer.Counts? { producer?.counts }
    var commandCount: Int { commands.count }
    var parkedCount: Int { parked }
    var unacknowledgedCount: Int { producer?.inFlight ?? 0 }
    var oldestUnacknowledgedMilliseconds: Int { Int((producer?.oldestUnacknowledgedNanoseconds ?? 0) / 1_000_000) }

    /// Counts further commands of a tenant, beyond the first of a request; false when they are beyond its quota.
    var takeTurns: (TenantID, Int) -> Bool = { _, _ in true }

    /// Whether workers' words are heard; told by the owner of the subscription. A word that was said while they were not is never said
    /// again, so whoever waits for one is looked up, until every worker can have found its way back to Redis as well.
    var hearsWords = false {
        didSet {
            guard hearsWords != oldValue else { return }
            wordsFromMilliseconds = loop.nowNanoseconds / 1_000_000 + Self.wordsDistrustMilliseconds
            for pending in commands.values where pending.flow.isAcknowledged {
                pending.looks = 0
                lookLater(pending)
            }
        }
    }
    private var wordsFromMilliseconds: UInt64 = 0
    /// Longer than a session to Redis waits between two attempts to connect.
    private static let wordsDistrustMilliseconds: UInt64 = 2_000
    /// Of a command whose word is likely to come: so long after it was accepted, 800 ms as the limits come, hardly any is undecided.
    private static let looksPassedOver = 3

    /// Whether the log keeps up: else new commands are refused.
    var isOpen: Bool {
        let bound = isSuspect ? 1 : limits.produceQueueMax
        return oldestUnacknowledgedMilliseconds <= limits.unacknowledgedMillisecondsMax && unacknowledgedCount < bound
    }

    /// Whether the ledger is so far behind a partition's log that no more is to wait there, or will never come to it.
    private func isBehind(_ partition: Int32) -> Bool {
        let age = settlement.ageMilliseconds(ofPartition: partition, nowMilliseconds: loop.nowNanoseconds / 1_000_000)
        return age > UInt64(limits.unsettledMillisecondsMax) || settlement.hasGoneBack(partition)
    }

    // MARK: Requests

    /// A `POST`; answered now or later.
    func post(
        _ resource: Resource, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, body: Span<UInt8>, from caller: CredentialTable.Caller,
        _ ticket: RequestTicket
    ) throws(Problem) {
        if resource == .batches { return try batch(head, bytes, body: body, from: caller, ticket) }
        let key = try CommandHead.idempotencyKey(head, bytes)
        if body.count > 0 || resource.needsBody { try CommandHead.checkContentType(head, bytes) }
        let command = try reader.command(resource, bytes, body: body)
        try begin(
            command, key: bytes[key], from: caller, trace: CommandHead.trace(head, bytes),
            waitSeconds: CommandHead.waitSeconds(head, bytes), .request(ticket))
    }

    func begin(
        _ command: Command, key: Span<UInt8>, from caller: CredentialTable.Caller, trace: RequestTrace, waitSeconds: Int?,
        _ destination: PendingCommand.Destination
    ) throws(Problem) {
        canonical.removeAll(keepingCapacity: true)
        canonical.append(canonical: command)
        let id = identity.operation(tenant: caller.tenant, key: key)
        let fingerprint = identity.fingerprint(method: "POST", path: command.path, canonical: canonical.span)
        let wait = parked < limits.parkedMax ? waitSeconds : nil
        if let pending = commands[id] {
            guard pending.fingerprint == fingerprint else {
                // Which of the two the key belongs to is not known before one of them holds it.
                throw Problem(pending.flow.holdsKey ? .idempotencyKeyReused : .conflict)
            }
            return join(pending, wait, destination)
        }
        guard commands.count < limits.commandsMax else {
            counters.refusedAtDoor.add()
            throw Problem(.notAccepted, detail: "too many commands are under way")
        }
        let mayProduce = isOpen && !isBehind(caller.partition)
        let pending = PendingCommand(
            id: id, caller: caller, fingerprint: fingerprint, acceptedAt: Timestamp(microseconds: Clock.wallMicroseconds), command: command,
            canonical: canonical, trace: trace, mayProduce: mayProduce)
        commands[id] = pending
        add(destination, wait, to: pending, hasJoined: false)
        if !cache.mark(pending, sets: mayProduce) { run(pending, .marked(.unavailable)) }
    }

    private func join(_ pending: PendingCommand, _ wait: Int?, _ destination: PendingCommand.Destination) {
        counters.joined.add()
        add(destination, wait, to: pending, hasJoined: true)
        if pending.outcome != nil {
            answer(pending, .outcome) { _ in true }
        } else if pending.flow.isAcknowledged {
            answer(pending, .accepted) { $0.waitSeconds == nil }
        }
        if wait != nil, pending.flow.isAcknowledged { lookLater(pending) }
    }

    private func add(_ destination: PendingCommand.Destination, _ wait: Int?, to pending: PendingCommand, hasJoined: Bool) {
        let now = loop.nowNanoseconds
        let deadline = isDraining ? 0 : now / 1_000_000 + UInt64(wait ?? 0) * 1_000
        pending.waiters.append(
            PendingCommand.Waiter(
                destination: destination, waitSeconds: wait, deadline: deadline, hasJoined: hasJoined, arrivedNanoseconds: now))
        guard let wait else { return }
        parked += 1
        if !isDraining { waits.append(pending.id, seconds: wait, deadline: deadline) }
    }

    // MARK: Events

    /// Redis's answer about the marker.
    func marked(_ pending: PendingCommand, _ marking: CommandFlow.Marking) {
        if marking == .sameRequest { counters.repeated.add() }
        run(pending, .marked(marking))
    }

    /// Redis's answer about the outcome.
    func answeredOutcome(_ pending: PendingCommand, _ result: RedisResult) { lookUps.answered(pending, result) }

    /// A worker's word.
    func told(_ payload: Span<UInt8>) {
        guard let message = ReplyMessage(payload) else { return Log.warning("a word on the reply channel cannot be read") }
        guard let pending = commands[message.id] else { return counters.lateWords.add() }
        if message.kind == .keyReused { return run(pending, .toldReused) }
        guard let outcome = CommandOutcome(message, for: pending) else { return counters.lateWords.add() }
        pending.outcome = pending.outcome ?? outcome
        run(pending, .decided)
    }

    private func reported(_ token: UInt64, _ report: DeliveryReport) {
        guard let pending = produced.removeValue(forKey: token) else { preconditionFailure("a report for a command that was not produced") }
        let event: CommandFlow.Report
        isSuspect = true
        switch report {
        case .delivered(let partition, let offset) where !isInAppliedLog(pending, partition, offset):
            event = .possiblyPersisted
            counters.outcomeUnknown.add()
            Log.error(
                "the log went back behind what the ledger has applied: it is not the log that was applied, and commands in it are not decided",
                fields: pending.logFields("offset \(offset) of partition \(partition)"))
        case .delivered:
            event = .persisted
            isSuspect = false
            counters.accepted.add()
            if let first = pending.waiters.first { record(since: first.arrivedNanoseconds, counters.acceptDuration) }
        case .notPersisted(let error):
            event = .notPersisted
            counters.notPersisted.add()
            Log.warning("a command was not persisted", fields: pending.logFields(error.name))
        case .possiblyPersisted(let error):
            event = .possiblyPersisted
            counters.outcomeUnknown.add()
            Log.warning("a command may be persisted", fields: pending.logFields(error.name))
        }
        run(pending, .reported(event, patient: pending.hasPatientWaiters(now: loop.nowNanoseconds / 1_000_000)))
        lookLater(pending)
    }

    private func isInAppliedLog(_ pending: PendingCommand, _ partition: Int32, _ offset: Int64) -> Bool {
        settlement.acknowledged(
            partition: partition, offset: offset, producedMilliseconds: pending.producedMilliseconds,
            nowMilliseconds: loop.nowNanoseconds / 1_000_000)
    }

    /// Ends the waits whose time is up; called many times a second.
    func sweep(nowMilliseconds now: UInt64) {
        waits.sweep { commands[$0] == nil }
        while let id = waits.popEnded(now: now) { if let pending = commands[id] { run(pending, .waitEnded) } }
        while let id = waits.popLook(now: now) {
            // Not one that is looked up later, or a command that came since under the same key.
            guard let pending = commands[id], pending.lookMilliseconds != 0, pending.lookMilliseconds <= now else { continue }
            pending.lookMilliseconds = 0
            run(pending, .waitEnded)
            lookLater(pending)
        }
    }

    /// A word may be lost on its way, and a decided command would wait until its time runs out: it is looked up, ever less often. Soon where no
    /// word may come at all: workers are not heard, theirs has lost Redis, or nobody waited when the record was written.
    private func lookLater(_ pending: PendingCommand) {
        guard !pending.flow.isFinished else { return }
        let now = loop.nowNanoseconds / 1_000_000
        let isHeard =
            hearsWords && now >= wordsFromMilliseconds && pending.asksForWord && cache.isFresh(pending.partition, nowMilliseconds: now)
        let looks = isHeard ? max(pending.looks, Self.looksPassedOver) : pending.looks
        let due = waits.nextLook(looks: looks, now: now)
        guard pending.lookMilliseconds == 0 || due < pending.lookMilliseconds else { return }
        pending.lookMilliseconds = due
        pending.looks = looks + 1
        waits.appendLook(pending.id, looks: looks, now: now)
    }

    private func found(_ pending: PendingCommand, _ finding: OutcomeLookUps.Finding) {
        switch finding {
        case .outcome(let outcome):
            pending.outcome = pending.outcome ?? outcome
            run(pending, .found(.outcome))
        case .conflict: run(pending, .found(.conflict))
        case .nothing: run(pending, .found(.nothing))
        }
    }

    // MARK: Reactions

    private func run(_ pending: PendingCommand, _ event: CommandFlow.Event) {
        let reaction = pending.flow.handle(event)
        switch reaction.marker {
        case .none: break
        case .keep: cache.keepMarker(of: pending, isOwn: pending.flow.ownsMarker)
        case .drop: cache.dropMarker(of: pending)
        }
        switch reaction.answers {
        case .none: break
        case .everybody(let verdict): answer(pending, verdict) { _ in true }
        case .impatient:
            let now = loop.nowNanoseconds / 1_000_000
            answer(pending, .accepted) { $0.waitSeconds == nil || $0.deadline <= now }
            if pending.waiters.isEmpty { pending.flow.nobodyWaits() }
        }
        switch reaction.request {
        case .none: break
        case .lookUp: lookUps.find(pending, asksPrimary: isLastLookUp(pending)) { [unowned self] in found(pending, $0) }
        case .produce: produce(pending)
        }
        guard pending.flow.isFinished, commands[pending.id] === pending else { return }
        precondition(pending.waiters.isEmpty, "a command ended with a client unanswered")
        commands[pending.id] = nil
    }

    /// The primary's budget is for questions that are not asked again.
    private func isLastLookUp(_ pending: PendingCommand) -> Bool {
        switch pending.flow.phase {
        case .verifying: return true
        case .reading:
            let now = loop.nowNanoseconds / 1_000_000
            return pending.waiters.contains { $0.deadline <= now }
        default: return false
        }
    }

    private func answer(
        _ pending: PendingCommand, _ verdict: CommandFlow.Verdict, _ isMeant: (PendingCommand.Waiter) -> Bool
    ) {
        if verdict == .notAccepted { counters.refusedAtDoor.add() }
        pending.waiters.removeAll { waiter in
            guard isMeant(waiter) else { return false }
            let rendered = CommandAnswer(verdict, waitSeconds: waiter.waitSeconds, hasJoined: waiter.hasJoined, of: pending)
            deliver(rendered.answer, rendered.body, to: waiter.destination)
            if waiter.waitSeconds != nil {
                parked -= 1
                if verdict == .outcome {
                    counters.waitsDecided.add()
                    record(since: waiter.arrivedNanoseconds, counters.outcomeDuration)
                } else if verdict == .accepted {
                    counters.waitsExpired.add()
                }
            }
            return true
        }
    }

    func deliver(_ answer: Answer, _ body: [UInt8], to destination: PendingCommand.Destination) {
        switch destination {
        case .request(let ticket): responder.send(ticket, answer, body: body.span)
        case .item(let batch, let index):
            guard batch.answer(index, answer, body: body) else { return }
            var results: [UInt8] = []
            batch.append(to: &results)
            responder.send(batch.ticket, Answer(.ok), body: results.span)
        }
    }

    private func produce(_ pending: PendingCommand) {
        let asksForWord = pending.waiters.contains { $0.waitSeconds != nil }
        pending.asksForWord = asksForWord
        let record = CommandRecord(envelope: pending.envelope, replyTo: asksForWord ? channel : nil)
        headers.removeAll()
        record.forEachHeader(scratch: &scratch) { name, value in headers.append(name, value) }
        recordKey.removeAll(keepingCapacity: true)
        recordKey.append(decimal: pending.tenant.rawValue)
        let token = nextToken
        nextToken += 1
        let value = pending.canonical
        let result = producer?.produce(
            topic: Topic.commands, partition: pending.partition, key: recordKey.span, value: value.span, headers: headers,
            timestampMilliseconds: pending.acceptedAt.microseconds / 1_000, token: token)
        if result == .queued {
            produced[token] = pending
            pending.producedMilliseconds = loop.nowNanoseconds / 1_000_000
            counters.produced.add()
        } else {
            if case .refused(let error)? = result {
                Log.warning("the log's client refused a command", fields: pending.logFields(error.name))
            }
            run(pending, .notProduced)
        }
    }

    private func record(since nanoseconds: UInt64, _ histogram: DurationHistogram) {
        histogram.record(microseconds: (loop.nowNanoseconds - nanoseconds) / 1_000)
    }

    // MARK: The end

    /// Nobody waits for an outcome any longer: who is parked is told that the command was accepted.
    func drain() {
        isDraining = true
        for pending in Array(commands.values) {
            for index in pending.waiters.indices { pending.waiters[index].deadline = 0 }
            run(pending, .draining)
        }
    }

    /// Waits for what is produced, then ends the producer; `completion` once its threads have ended.
    func close(flushMilliseconds: Int, completion: @escaping () -> Void) {
        guard let producer else { return completion() }
        producer.flush(deadlineMilliseconds: flushMilliseconds) { unanswered in
            if unanswered > 0 { Log.warning("commands are given up unacknowledged", .integer("count", unanswered)) }
            producer.close { [weak self] in
                // What else ends now may fall back on producing.
                self?.producer = nil
                completion()
            }
        }
    }
}
