internal import Bytes
internal import Ledger
internal import Redis
internal import Store
internal import Telemetry
internal import Wire

/// The words to gateways whose clients wait.
extension Publisher {
    /// - Parameters:
    ///   - bodies: of payments as they were decided.
    ///   - place: where among them to look from.
    func tell(_ telling: Telling, _ bodies: PaymentBodies, _ place: inout Int, batch: Int) {
        guard let channel = telling.replyTo else { return }
        body.removeAll(keepingCapacity: true)
        let kind: ReplyMessage.Kind
        switch telling.outcome {
        case .payment(let payment):
            if let index = bodies.find(payment.id, from: &place) { body.append(bodies.body(index)) } else { body.append(payment) }
            kind = payment.declineReason.map(ReplyMessage.Kind.declined) ?? .settled
        case .opened(let account):
            body.append(account)
            kind = .account
        case .accountChanged(let account):
            beginBody(telling.fingerprint)
            body.append(account)
            kind = .changed
        case .paymentChanged(let change):
            beginBody(telling.fingerprint)
            body.append(change)
            kind = change.declineReason.map(ReplyMessage.Kind.changeDeclined) ?? .changed
        case .accountDeclined(_, .accountExists): kind = .accountDeclined(.accountExists)
        case .accountDeclined(_, let reason):
            beginBody(telling.fingerprint)
            kind = .changeDeclined(reason)
        case .keyReused: kind = .keyReused
        case .repeated: preconditionFailure("a repeated command's outcome is read before it is told")
        }
        reply(telling.id, kind, to: channel, batch: batch)
    }

    /// One channel may hear of two requests under one key: what they ask for does not tell them apart as a payment's body does.
    private func beginBody(_ fingerprint: Fingerprint) {
        body.append(fingerprint)
        body.append(UInt8(ascii: "\n"))
    }

    func reply(_ id: OperationID, _ kind: ReplyMessage.Kind, to channel: String, batch: Int) {
        if case .quarantined = kind { body.removeAll(keepingCapacity: true) }
        key.removeAll(keepingCapacity: true)
        ReplyMessage.append(id: id, kind: kind, body: body.span, to: &key)
        command.begin(argumentCount: 3)
        command.append("PUBLISH")
        command.append(text: channel)
        command.append(key.span)
        if send(.other(batch: batch), batch: batch) { repliesTold.add() }
    }
}
