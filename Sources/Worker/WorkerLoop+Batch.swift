internal import Ledger
internal import Loop
internal import Postgres
internal import Store
internal import Telemetry
internal import Wire

/// A batch: what it depends on is learned, it is decided and stored, and then told.
extension WorkerLoop {
    func process() {
        guard let batch = machine.batch else { return }
        batchStart = loop.nowNanoseconds
        let questions = Questions(batch, knownTo: book, asksForPayments: batchesToLookUp > 0)
        var queries: [Query] = []
        if !questions.ids.isEmpty { queries.append(LearnQueries.priorDecisions(of: questions.ids)) }
        if !questions.accounts.isEmpty { queries.append(LearnQueries.accounts(questions.accounts)) }
        if questions.numbers > 0 { queries.append(LearnQueries.accountNumbers(questions.numbers)) }
        if !questions.payments.isEmpty {
            queries.append(LearnQueries.payments(questions.payments))
            queries.append(LearnQueries.accounts(ofPayments: questions.payments))
        }
        guard !queries.isEmpty else { return decide(batch, questions, Answers()) }
        ask(queries) { [unowned self] rows in
            var answers = Answers()
            var rows = rows.makeIterator()
            if !questions.ids.isEmpty, let found = rows.next() { answers.priorDecisions = LearnQueries.priorDecisions(found) }
            if !questions.accounts.isEmpty, let found = rows.next() {
                answers.accounts = (0..<found.count).map { AccountColumns.account(found, $0) }
            }
            if questions.numbers > 0, let found = rows.next() { answers.numbers = (0..<found.count).map { found.int64($0, 0) } }
            if !questions.payments.isEmpty, let payments = rows.next(), let accounts = rows.next() {
                answers.payments = (0..<payments.count).map { PaymentColumns.payment(payments, $0) }
                answers.accounts += (0..<accounts.count).map { AccountColumns.account(accounts, $0) }
            }
            FailPoint.learned.hit()
            // The partitions may have been revoked meanwhile: what is not decided is not lost, its next owner reads it.
            guard machine.phase == .processing, !isRevoking else { return machine.abandoned() }
            decide(batch, questions, answers)
        }
    }

    /// Sends another batch behind the one that PostgreSQL works on, where everything it depends on is known here: PostgreSQL then goes
    /// from one to the next without a pause.
    func follow() {
        guard let batch = machine.following else { return }
        let questions = Questions(batch, knownTo: book, asksForPayments: batchesToLookUp > 0)
        guard !isStopping, questions.isEmpty else { return machine.withdrawFollowing() }
        // In front of it: the answer then comes while it is stored, and what comes after it is decided meanwhile. It changes none of these
        // accounts, as it knows its own.
        learnAhead()
        decide(batch, questions, Answers())
    }

    private func decide(_ batch: Batch, _ questions: Questions, _ answers: Answers) {
        if questions.asksForPayments {
            batchesToLookUp = answers.priorDecisions.isEmpty ? batchesToLookUp - 1 : options.limits.lookedUpBatches
        }
        let clock = Timestamp(microseconds: Clock.wallMicroseconds)
        var decision = Decision.decide(
            batch, with: &book, answers: answers, questions: questions, clock: clock,
            lastDecidedAt: { [machine] in machine.lastDecidedAt($0) ?? clock }, logIncarnation: machine.logIncarnation)
        decision.stored.advances = machine.advances(decidedAt: clock)
        // The next batch starts from what this one comes to. Should it fail, what both touched is forgotten.
        book.commit()
        FailPoint.decided.hit()
        if let timer = FailPoint.sent.afterTurn(loop) { failTimer = timer }
        store(batch, decision)
        // What is forgotten now is asked for behind this batch.
        book.shrink(to: options.limits.accountsKnownMax)
        learnAhead()
    }

    private func store(_ batch: Batch, _ decision: Decision) {
        let isFollowing = machine.following != nil
        let isSent = execute(decision.stored.queries) { [unowned self] result in ended(batch, decision, result) }
        if isSent {
            if isFollowing { status.batchesFollowing.add() }
            return machine.sent(decision.stored.advances)
        }
        abandon(batch, decision)
        // The connection is lost, which the batch before it will be told.
        if isFollowing { machine.withdrawFollowing() } else { failed(.notReady) }
    }

    /// PostgreSQL has answered a batch. What follows from a failure waits until the batch behind it is answered as well, which PostgreSQL
    /// refuses then: a partition of it is not where it expects it.
    private func ended(_ batch: Batch, _ decision: Decision, _ result: Result<[Rows], PostgresError>) {
        if let first = failedFirst {
            failedFirst = nil
            abandon(batch, decision)
            machine.withdrawFollowing()
            return failed(first.batch, first.decision, first.error)
        }
        switch result {
        case .success: stored(batch, decision)
        case .failure(let error) where machine.following != nil: failedFirst = FailedBatch(batch: batch, decision: decision, error: error)
        case .failure(let error): failed(batch, decision, error)
        }
    }

    private func failed(_ batch: Batch, _ decision: Decision, _ error: PostgresError) {
        abandon(batch, decision)
        guard !decision.stored.isNewKnown, StoredBatch.isRefusalOfOldIDs(error) else { return failed(error) }
        // Ids of the batch were decided before, and nobody had asked: it is decided again, and now it is asked.
        status.batchesDecidedAgain.add()
        batchesToLookUp = options.limits.lookedUpBatches
        machine.abandoned()
    }

    private func abandon(_ batch: Batch, _ decision: Decision) {
        book.abandon(decision.stored.effects, ids: batch.records.lazy.compactMap(\.id))
    }

    /// Asks for accounts of the next two batches while one is stored: they then need no round trip of their own, in which PostgreSQL would
    /// have nothing to do.
    private func learnAhead() {
        guard !isLearningAhead, let database else { return }
        let keys = Questions.accounts(of: machine.lookAhead(), unknownTo: book)
        guard !keys.isEmpty else { return }
        let number = bookNumber
        isLearningAhead = database.execute([LearnQueries.accounts(keys)]) { [unowned self] result in
            isLearningAhead = false
            machine.learned()
            if case .success(let rows) = result, number == bookNumber {
                for account in (0..<rows[0].count).map({ AccountColumns.account(rows[0], $0) }) where !book.knows(account.key) {
                    book.learn(account)
                }
            }
            pump()
        }
    }

    private func stored(_ batch: Batch, _ decision: Decision) {
        FailPoint.committed.hit()
        machine.stored(decision.stored.advances)
        count(decision)
        // Of the batch behind it: PostgreSQL has begun it just now.
        batchStart = loop.nowNanoseconds
        // The next batch is sent before this one is told of: PostgreSQL stores it meanwhile. Where its accounts are still on their way,
        // PostgreSQL is busy, and nobody is left waiting for it.
        pump()
        tell(batch, decision)
    }

    /// Tells of a batch that is stored.
    private func tell(_ batch: Batch, _ decision: Decision) {
        let effects = decision.stored.effects
        let bodies = PaymentBodies(effects.payments.lazy.map(\.payment))
        publisher.publish(
            accounts: effects.opened + effects.changed.map(\.account), tellings: decision.tellings, bodies: bodies,
            changed: effects.payments.lazy.map(\.payment).filter { $0.revision > 1 } + effects.changedPayments.map(\.payment),
            deadLetters: decision.deadLetters, reach: batch.reach)
        FailPoint.published.hit()
        relay(decision.events, bodies, reach: batch.reach)
        if let timer = FailPoint.relayed.afterTurn(loop) { relayFailTimer = timer }
        retell(decision.retellings)
        log(batch, decision)
    }

    /// Lines that speak of one command each: what became a dead letter, and for whoever looks for a fault every command.
    private func log(_ batch: Batch, _ decision: Decision) {
        let isDebugging = Log.isDebugging
        guard isDebugging || !decision.stored.deadLetters.isEmpty else { return }
        for record in batch.records {
            if record.isUnreadable {
                Log.error("a record became a dead letter", fields: record.logFields)
            } else if isDebugging {
                Log.debug("a command is decided", fields: record.logFields)
            }
        }
    }

    /// Tells the outcomes of commands that had been decided before. Best effort: who is not told reads at its deadline.
    private func retell(_ retellings: [(id: OperationID, replyTo: String?)]) {
        let waiting = retellings.filter { $0.replyTo != nil }
        guard !waiting.isEmpty else { return }
        // One command may have come several times, each time from another gateway's thread: each is told.
        let ids = Set(waiting.map(\.id))
        recall(Array(ids)) { [unowned self] recalled in
            guard let recalled else { return }
            let outcomes = Dictionary(recalled.outcomes.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
            let tellings = waiting.compactMap { waiter in outcomes[waiter.id].map { $0.telling(to: waiter.replyTo) } }
            publisher.publish(accounts: [], tellings: tellings, deadLetters: [], reach: [:])
        }
    }

    private func count(_ decision: Decision) {
        status.batches.add()
        status.batchDuration.record(microseconds: (loop.nowNanoseconds - batchStart) / 1_000)
        status.settled.add(UInt64(decision.settledCount))
        status.declined.add(UInt64(decision.declinedCount))
        status.accountsOpened.add(UInt64(decision.stored.effects.opened.count))
        status.repeated.add(UInt64(decision.retellings.count))
        status.conflicts.add(UInt64(decision.stored.conflicts.count))
        status.deadLetters.add(UInt64(decision.stored.deadLetters.count))
        let now = Clock.wallMicroseconds
        status.changes.add(UInt64(decision.changedCount))
        let payments = decision.stored.effects.payments
        for index in payments.indices {
            status.settleDuration.record(microseconds: UInt64(max(0, now - payments[index].payment.acceptedAt.microseconds)))
        }
    }
}
