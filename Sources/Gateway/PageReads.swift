internal import Bytes
internal import HTTP1
internal import Ledger
internal import Loop
internal import Postgres
internal import Server
internal import Store
internal import Telemetry
internal import Wire

/// Lists, page by page, from a replica: they show what it has.
final class PageReads {
    private let responder: Responder
    private let pool: ReplicaPool
    private let counters: GatewayCounters
    private let cursors = CursorCoder()
    private var body: [UInt8] = []
    private(set) var count = 0

    init(responder: Responder, pool: ReplicaPool, counters: GatewayCounters) {
        self.responder = responder
        self.pool = pool
        self.counters = counters
    }

    // MARK: Accounts

    func accounts(of tenant: TenantID, _ values: QueryValues, _ bytes: Span<UInt8>, _ ticket: RequestTicket) throws(Problem) {
        var after = ""
        if let cursor = values.cursor {
            guard case .accountsAfter(let account)? = cursors.position(bytes[cursor], tenant: tenant, list: "") else {
                throw Self.badCursor
            }
            after = account.text
        }
        let limit = values.limit
        read([ReadQueries.accounts(of: tenant, after: after, limit: limit + 1)], of: tenant, ticket) { [self] rows in
            let accounts = (0..<min(rows.count, limit)).map { AccountColumns.account(rows, $0) }
            let last = rows.count > limit ? accounts.last : nil
            body.append(
                accounts: accounts, next: last.map { cursors.text(.accountsAfter($0.key.account), tenant: tenant, list: "") })
        }
    }

    // MARK: Payments

    func payments(of tenant: TenantID, _ values: QueryValues, _ bytes: Span<UInt8>, _ ticket: RequestTicket) throws(Problem) {
        guard let range = values.reference else { throw Problem(.invalidParameter, detail: "`reference` is required") }
        let reference = try Decoded.reference(bytes[range])
        var before: (acceptedAt: Timestamp, id: OperationID)?
        if let cursor = values.cursor {
            guard case .paymentsAfter(let time, let id)? = cursors.position(bytes[cursor], tenant: tenant, list: reference) else {
                throw Self.badCursor
            }
            before = (time, id)
        }
        let limit = values.limit
        read([ReadQueries.payments(of: tenant, reference: reference, before: before, limit: limit + 1)], of: tenant, ticket) {
            [self] rows in
            let payments = (0..<min(rows.count, limit)).map { PaymentColumns.payment(rows, $0) }
            let last = rows.count > limit ? payments.last : nil
            let next = last.map { cursors.text(.paymentsAfter(time: $0.acceptedAt, id: $0.id), tenant: tenant, list: reference) }
            body.append(payments: payments, next: next)
        }
    }

    private func read(_ queries: [Query], of tenant: TenantID, _ ticket: RequestTicket, render: @escaping (Rows) -> Void) {
        count += 1
        counters.cacheMisses.add()
        let isWanted = { [unowned self] in !responder.hasLeft(ticket) }
        let sent = pool.execute(queries, for: tenant.rawValue, isWanted: isWanted) { [unowned self] result in
            count -= 1
            guard case .success(let answers) = result else {
                if case .failure(.cancelled) = result { counters.abandoned.add() }
                return responder.refuse(ticket, responder.hasLeft(ticket) ? .clientHasLeft : .noDatabase)
            }
            body.removeAll(keepingCapacity: true)
            render(answers[0])
            let page = body
            responder.send(ticket, Answer(.ok), body: page.span)
        }
        if sent { return }
        count -= 1
        responder.refuse(ticket, .noDatabase)
    }

    private static var badCursor: Problem { Problem(.invalidParameter, detail: "`cursor` is not one that this list gave") }
}
