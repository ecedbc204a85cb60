import Ledger
import Store
import Telemetry
import Testing
import Wire

@testable import Worker

@Suite struct DecisionTests {
    let tenant = TenantID(1)
    let clock = Timestamp(microseconds: 5_000)
    let euro = Currency("EUR")!

    func command(_ number: UInt64, _ command: Command, fingerprint: UInt64? = nil, replyTo: String? = nil, offset: Int64) -> LogRecord {
        let envelope = Envelope(
            id: OperationID(high: 0, low: number), tenant: tenant, fingerprint: Fingerprint(high: 0, low: fingerprint ?? number),
            acceptedAt: Timestamp(microseconds: 1), command: command)
        return LogRecord(
            position: LogPosition(partition: 0, offset: offset), content: .command(CommandRecord(envelope: envelope, replyTo: replyTo)))
    }

    func open(_ id: String, _ kind: AccountKind = .normal) -> Command {
        .openAccount(OpenAccount(account: AccountID(id)!, currency: euro, kind: kind, overdraftLimit: 0))
    }

    func pay(_ amount: Int64) -> Command {
        .pay(Pay(debit: AccountID("world")!, credit: AccountID("a")!, amount: amount, currency: euro))
    }

    func decide(_ records: [LogRecord], _ book: inout Book, priors: [(OperationID, UInt64)] = [], last: Int64 = 0) -> Decision {
        let batch = Batch(records: records, isRepublished: false)
        let questions = Questions(batch, knownTo: book)
        var answers = Answers()
        answers.priorDecisions = priors.map { ($0.0, PriorDecision(fingerprint: Fingerprint(high: 0, low: $0.1))) }
        answers.numbers = (0..<questions.numbers).map { Int64(100 + $0) }
        return Decision.decide(
            batch, with: &book, answers: answers, questions: questions, clock: clock,
            lastDecidedAt: { _ in Timestamp(microseconds: last) }, logIncarnation: "log")
    }

    @Test func `a line of the log has a record's place, id and trace, and why it cannot be read`() {
        func text(_ record: LogRecord) -> [String] {
            record.logFields.compactMap { field in
                switch field.value {
                case .text(let value): "\(field.name)=\(value)"
                case .integer(let value): "\(field.name)=\(value)"
                case .flag, .absent: nil
                }
            }
        }
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let envelope = Envelope(
            id: OperationID(high: 0, low: 5), tenant: tenant, fingerprint: Fingerprint(high: 0, low: 5),
            acceptedAt: Timestamp(microseconds: 1), command: pay(5), traceparent: trace)
        let position = LogPosition(partition: 3, offset: 42)
        let known = CommandRecord(envelope: envelope)
        let words = ["partition=3", "offset=42", "id=00000000000000000000000000000005", "trace_id=0af7651916cd43dd8448eb211c80319c"]
        #expect(text(LogRecord(position: position, content: .command(known))) == words)
        let refused = LogRecord.Unreadable(command: known, reason: "22003")
        #expect(text(LogRecord(position: position, content: .unreadable(refused))) == words + ["reason=22003"])
        #expect(text(LogRecord(position: position, content: .unreadable(refused.bare))).dropLast() == words[...])
        #expect(text(command(1, pay(5), offset: 0)) == ["partition=0", "offset=0", "id=00000000000000000000000000000001"])
        // A capture or a refund has an id of its own; the payment's is what other logs know.
        let capture = command(6, .changePayment(ChangePayment(payment: envelope.id, change: .void)), offset: 1)
        let names = ["partition=0", "offset=1", "id=00000000000000000000000000000006", "payment=00000000000000000000000000000005"]
        #expect(text(capture) == names)
        guard case .command(let change) = capture.content else { preconditionFailure("a command") }
        let dead = LogRecord.Unreadable(command: change, reason: "22003")
        #expect(text(LogRecord(position: capture.position, content: .unreadable(dead.bare))).dropLast() == names[...])
    }

    @Test func `only what is not known is asked, and each account once`() {
        var book = Book()
        let records = [
            command(1, open("world", .external), offset: 0), command(2, open("a"), offset: 1), command(3, pay(5), offset: 2),
            command(4, pay(6), offset: 3),
        ]
        let questions = Questions(Batch(records: records, isRepublished: false), knownTo: book)
        #expect(questions.ids.count == 4)
        #expect(questions.accounts.count == 2)
        #expect(questions.numbers == 2)
        let decision = decide(records, &book)
        book.commit()
        #expect(decision.stored.effects.opened.count == 2)
        #expect(Questions(Batch(records: [command(5, pay(7), offset: 4)], isRepublished: false), knownTo: book).accounts.isEmpty)
    }

    @Test func `payments' ids need not be asked for, those of other commands are, and what is remembered is asked for by nobody`() {
        var book = Book(recentIDsMax: 100)
        book.learn(
            Account(
                key: AccountKey(tenant: tenant, account: AccountID("world")!), number: 1, currency: euro, kind: .external,
                overdraftLimit: 0, openedAt: clock, changedAt: clock))
        let records = [command(1, open("a"), offset: 0), command(2, pay(5), offset: 1), command(3, open("b"), offset: 2)]
        let batch = Batch(records: records, isRepublished: false)
        #expect(Questions(batch, knownTo: book, asksForPayments: false).ids.map(\.low) == [1, 3])
        #expect(Questions(batch, knownTo: book, asksForPayments: true).ids.map(\.low) == [1, 2, 3])
        _ = decide(Array(records.prefix(2)), &book)
        book.commit()
        #expect(Questions(batch, knownTo: book, asksForPayments: true).ids.map(\.low) == [3])
        #expect(decide([records[1]], &book).retellings.map(\.id.low) == [2])
    }

    @Test func `every record of a batch has exactly one outcome that is stored`() {
        var book = Book()
        let unreadable = LogRecord(
            position: LogPosition(partition: 0, offset: 6),
            content: .unreadable(
                .init(
                    reason: "test", tenant: tenant, operation: OperationID(high: 0, low: 9), replyTo: "w:g:0", traceparent: nil, key: [],
                    value: [1], headers: "{}")))
        let records = [
            command(1, open("world", .external), offset: 0), command(2, open("a"), offset: 1), command(3, open("a"), offset: 2),
            command(4, pay(5), replyTo: "w:g:1", offset: 3), command(4, pay(5), replyTo: "w:g:2", offset: 4),
            command(4, pay(6), fingerprint: 77, offset: 5), unreadable,
        ]
        let decision = decide(records, &book)
        #expect(decision.stored.operations.map(\.declineReason) == [nil, nil, .accountExists])
        #expect(decision.stored.effects.payments.count == 1)
        #expect(decision.stored.paymentPositions == [LogPosition(partition: 0, offset: 3)])
        #expect(decision.retellings.map(\.replyTo) == ["w:g:2"])
        #expect(decision.stored.conflicts.map(\.position.offset) == [5])
        #expect(decision.stored.deadLetters.map(\.position.offset) == [6])
        #expect(decision.deadLetters.map(\.replyTo) == ["w:g:0"])
        #expect(decision.tellings.map(\.id.low) == [4])
        #expect(decision.settledCount == 1 && decision.declinedCount == 0)
    }

    @Test func `a decision is never earlier than the last of its partition`() {
        var book = Book()
        let decision = decide([command(1, open("a"), offset: 0)], &book, last: 9_000)
        #expect(decision.stored.operations.first?.decidedAt == Timestamp(microseconds: 9_000))
        #expect(decision.stored.effects.opened.first?.openedAt == Timestamp(microseconds: 9_000))
    }

    @Test func `an id that was decided in an earlier batch moves nothing again`() {
        var book = Book()
        let id = OperationID(high: 0, low: 3)
        book.learn(account("world", .external))
        book.learn(account("a", .normal))
        let repeated = decide([command(3, pay(5), replyTo: "w:g:0", offset: 8)], &book, priors: [(id, 3)])
        #expect(repeated.stored.effects.payments.isEmpty && repeated.stored.effects.movements.isEmpty)
        #expect(repeated.retellings.map(\.id) == [id])
        book.commit()
        let other = decide([command(3, pay(6), fingerprint: 4, replyTo: "w:g:0", offset: 9)], &book, priors: [(id, 3)])
        #expect(other.stored.effects.payments.isEmpty)
        #expect(other.stored.conflicts.count == 1)
        #expect(other.tellings.map(\.outcome) == [.keyReused])
    }

    private func account(_ id: String, _ kind: AccountKind) -> Account {
        Account(
            key: AccountKey(tenant: tenant, account: AccountID(id)!), number: Int64(id.count), currency: euro, kind: kind,
            overdraftLimit: 0,
            openedAt: clock, changedAt: clock)
    }
}
