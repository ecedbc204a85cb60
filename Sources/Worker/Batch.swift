internal import Ledger
internal import Store
internal import Telemetry
internal import Wire

/// Records that are decided and stored together.
struct Batch {
    /// In log order within each partition.
    var records: [LogRecord]
    /// Decided before, by this or an earlier owner, and perhaps not published: told again, decided no more.
    let isRepublished: Bool
    /// How far the batch moves each of its partitions.
    var reach: [Int32: Int64] {
        var reach: [Int32: Int64] = [:]
        for record in records { reach[record.position.partition] = record.position.offset + 1 }
        return reach
    }
}

/// What must be asked before a batch can be decided.
struct Questions {
    var ids: [OperationID] = []
    var accounts: [AccountKey] = []
    /// Payments that are to be changed, each once; with their accounts.
    var payments: [OperationID] = []
    /// Account numbers to reserve.
    var numbers = 0

    var isEmpty: Bool { ids.isEmpty && accounts.isEmpty && payments.isEmpty && numbers == 0 }

    /// Whether the ids of payments are among them. Where they are not, the ledger's unique ids stand for the answer.
    let asksForPayments: Bool

    init(_ batch: Batch, knownTo book: Book, asksForPayments: Bool = true) {
        self.asksForPayments = asksForPayments
        var asked: Set<AccountKey> = []
        var changed: Set<OperationID> = []
        for record in batch.records {
            guard case .command(let command) = record.content else { continue }
            let id = command.envelope.id
            var isAskedFor = true
            switch command.envelope.command {
            case .openAccount: numbers += 1
            case .changePayment(let change): if changed.insert(change.payment).inserted { payments.append(change.payment) }
            case .pay: isAskedFor = asksForPayments
            case .changeAccount: break
            }
            if isAskedFor, !book.remembers(id), !SafetyCatch.ids.isOff { ids.append(id) }
            command.envelope.forEachAccount { if !book.knows($0), asked.insert($0).inserted { accounts.append($0) } }
        }
    }
}

extension Questions {
    /// The accounts that commands name and the book does not know, each once.
    static func accounts(of records: some Sequence<LogRecord>, unknownTo book: Book) -> [AccountKey] {
        var asked: Set<AccountKey> = []
        for record in records {
            guard case .command(let command) = record.content else { continue }
            command.envelope.forEachAccount { if !book.knows($0) { asked.insert($0) } }
        }
        return Array(asked)
    }
}

/// What was answered.
struct Answers {
    var priorDecisions: [(id: OperationID, decision: PriorDecision)] = []
    /// Those of the accounts asked for that exist.
    var accounts: [Account] = []
    /// Those of the payments asked for that exist.
    var payments: [Payment] = []
    var numbers: [Int64] = []
}

/// An outcome somebody is to be told.
struct Telling {
    let id: OperationID
    let outcome: Outcome
    /// Of the request that came to it.
    let fingerprint: Fingerprint
    let replyTo: String?
}

/// A batch that was decided: what to store, and what to tell once it is stored.
struct Decision {
    var stored: StoredBatch
    /// Where somebody waits.
    var tellings: [Telling] = []
    /// Ids whose outcome stands from before: it is read again and told.
    var retellings: [(id: OperationID, replyTo: String?)] = []
    var deadLetters: [(id: OperationID, replyTo: String)] = []
    /// In log order: one for each command that was decided now, and none for one that was decided before.
    var events: [LedgerEvent] = []
    var settledCount = 0
    var declinedCount = 0
    /// Captures, voids, expiries and refunds that were made.
    var changedCount = 0

    init(logIncarnation: String) { stored = StoredBatch(logIncarnation: logIncarnation) }

    /// Decides a batch in log order.
    ///
    /// - Parameters:
    ///   - clock: the owner's wall clock.
    ///   - lastDecidedAt: of each partition; no decision is given an earlier time, whatever the clock says.
    static func decide(
        _ batch: Batch, with book: inout Book, answers: Answers, questions: Questions, clock: Timestamp,
        lastDecidedAt: (Int32) -> Timestamp, logIncarnation: String
    ) -> Decision {
        teach(&book, answers, questions)
        var decision = Decision(logIncarnation: logIncarnation)
        var numbers = answers.numbers.makeIterator()
        decision.events.reserveCapacity(batch.records.count)
        decision.stored.paymentPositions.reserveCapacity(batch.records.count)
        for record in batch.records {
            let now = max(clock, lastDecidedAt(record.position.partition))
            switch record.content {
            case .command(let command):
                var number: Int64 = 0
                if case .openAccount = command.envelope.command {
                    guard let reserved = numbers.next() else { preconditionFailure("fewer account numbers than accounts to open") }
                    number = reserved
                }
                let outcome = book.decide(command.envelope, at: now, newAccountNumber: number)
                decision.note(outcome, of: command, at: record.position, decidedAt: now)
                if let content = content(outcome, of: command.envelope.command, &book) {
                    decision.events.append(
                        LedgerEvent(
                            id: command.envelope.id, tenant: command.envelope.tenant, partition: record.position.partition,
                            offset: record.position.offset, decidedAt: now, content: content))
                }
            case .unreadable(let unreadable):
                decision.note(unreadable, at: record.position, seenAt: now)
            case .unknownVersion:
                preconditionFailure("a partition stops before a record of an unknown version")
            }
        }
        decision.stored.effects = book.effects
        decision.stored.isNewKnown = questions.asksForPayments || SafetyCatch.ids.isOff
        return decision
    }

    private static func content(_ outcome: Outcome, of command: Command, _ book: inout Book) -> LedgerEvent.Content? {
        switch outcome {
        case .payment(let payment): .payment(payment)
        case .opened(let account), .accountChanged(let account): .account(command, revision: account.revision, declineReason: nil)
        case .accountDeclined(_, let reason): .account(command, revision: nil, declineReason: reason)
        case .paymentChanged(let change):
            .change(change, of: change.debitResult == nil ? nil : book.payment(change.request.payment)?.request)
        case .repeated, .keyReused: nil
        }
    }

    private static func teach(_ book: inout Book, _ answers: Answers, _ questions: Questions) {
        for prior in answers.priorDecisions { book.learn(prior.decision, of: prior.id) }
        var found: Set<AccountKey> = []
        for account in answers.accounts {
            book.learn(account)
            found.insert(account.key)
        }
        for key in questions.accounts where !found.contains(key) { book.learnAbsent(key) }
        for payment in answers.payments { book.learn(payment) }
    }

    private mutating func note(_ outcome: Outcome, of command: CommandRecord, at position: LogPosition, decidedAt: Timestamp) {
        let envelope = command.envelope
        switch outcome {
        case .payment(let payment):
            stored.paymentPositions.append(position)
            if payment.status == .declined { declinedCount += 1 } else { settledCount += 1 }
        case .opened(let account), .accountChanged(let account):
            stored.operations.append(
                .init(
                    envelope: envelope, account: account.key.account, accountRevision: account.revision,
                    declineReason: nil, decidedAt: decidedAt, position: position))
        case .paymentChanged(let change):
            stored.operations.append(.init(envelope: envelope, change: change, position: position))
            changedCount += change.declineReason == nil ? 1 : 0
        case .accountDeclined(let key, let reason):
            stored.operations.append(
                .init(envelope: envelope, account: key.account, declineReason: reason, decidedAt: decidedAt, position: position))
        case .repeated:
            retellings.append((envelope.id, command.replyTo))
            return
        case .keyReused:
            stored.conflicts.append(.init(envelope: envelope, decidedAt: decidedAt, position: position))
        }
        guard command.replyTo != nil else { return }
        tellings.append(Telling(id: envelope.id, outcome: outcome, fingerprint: envelope.fingerprint, replyTo: command.replyTo))
    }

    private mutating func note(_ record: LogRecord.Unreadable, at position: LogPosition, seenAt: Timestamp) {
        stored.deadLetters.append(
            .init(
                position: position, tenant: record.tenant, operation: record.operation, reason: record.reason, key: record.key,
                value: record.value, headers: record.headers, seenAt: seenAt))
        if let id = record.operation, let replyTo = record.replyTo { deadLetters.append((id, replyTo)) }
    }
}
