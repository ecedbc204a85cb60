internal import Bytes
internal import HTTP1
internal import Ledger
internal import Server
internal import Store
internal import Wire

extension CommandDoor {
    /// Each item is a command of its own, as if it had come alone: what is wrong with one is told in its place.
    func batch(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, body: Span<UInt8>, from caller: CredentialTable.Caller,
        _ ticket: RequestTicket
    ) throws(Problem) {
        try CommandHead.checkContentType(head, bytes)
        let items = try BatchBody.items(body).get()
        // One was counted with the request. A batch larger than a second's quota takes all of it.
        let further = min(items.count, limits.tenantWritesPerSecond) - 1
        guard further < 1 || takeTurns(caller.tenant, further) else { throw Problem(.tooManyRequests) }
        let trace = CommandHead.trace(head, bytes)
        let wait = CommandHead.waitSeconds(head, bytes)
        let batch = BatchRequest(ticket: ticket, count: items.count)
        for (index, range) in items.enumerated() {
            do throws(Problem) {
                let item = try reader.batchItem(body.extracting(range)).get()
                // A batch is for payments; accounts in it need what they need alone.
                if case .openAccount = item.command, !caller.scopes.contains(.admin) {
                    throw Problem(.forbidden, detail: "the API key lacks the scope `\(KeyScopes.admin)`")
                }
                let key: [UInt8] = Array(item.key.utf8)
                try begin(
                    item.command, key: key.span, from: caller, trace: trace, waitSeconds: wait, .item(batch, index))
            } catch {
                let refusal = CommandAnswer.problem(error)
                deliver(refusal.answer, refusal.body, to: .item(batch, index))
            }
        }
    }
}
