/// The rules of payments: what is decided at once, what is held, and what may become of it.
extension Book {
    mutating func decide(_ pay: Pay, _ envelope: Envelope, at now: Timestamp) -> DecidedPayment {
        precondition(pay.debit != pay.credit, "the door lets no such payment in")
        precondition(pay.amount >= 1 && pay.amount <= Money.minorUnitsMax, "the door lets no such amount in")
        let debit = find(AccountKey(tenant: envelope.tenant, account: pay.debit))
        let credit = find(AccountKey(tenant: envelope.tenant, account: pay.credit))
        func decided(_ payment: Payment, on account: Int64? = nil) -> DecidedPayment {
            DecidedPayment(payment: payment, fingerprint: envelope.fingerprint, debitAccount: account)
        }
        func declined(_ reason: DeclineReason) -> DecidedPayment {
            decided(
                Payment(
                    id: envelope.id, tenant: envelope.tenant, request: pay, acceptedAt: envelope.acceptedAt, status: .declined,
                    declineReason: reason, decidedAt: now, revision: 1, traceparent: envelope.traceparent))
        }
        if let expiresAt = pay.expiresAt, now > expiresAt { return declined(.deadlineExceeded) }
        if let end = pay.captureBefore, now > end { return declined(.deadlineExceeded) }
        guard let debit, let credit else { return declined(.accountNotFound) }
        let (payer, payee) = (table.slots[debit].account, table.slots[credit].account)
        if payer.flags.contains(.closed) || payee.flags.contains(.closed) { return declined(.accountClosed) }
        if payer.currency != pay.currency || payee.currency != pay.currency { return declined(.currencyMismatch) }
        if let reason = Self.refusal(of: pay.amount, from: payer, to: payee) { return declined(reason) }

        guard pay.capture == .automatic else {
            // Two holds of an account with a high balance and a high limit may add up to more than the range.
            if payer.held + pay.amount > Money.minorUnitsMax { return declined(.balanceOutOfRange) }
            _ = change(debit, at: now) { $0.held += pay.amount }
            let end = pay.captureBefore ?? Timestamp(microseconds: now.microseconds + Payment.holdMicroseconds)
            return decided(
                Payment(
                    id: envelope.id, tenant: envelope.tenant, request: pay, acceptedAt: envelope.acceptedAt, status: .authorized,
                    decidedAt: now, revision: 1, holdUntil: end, traceparent: envelope.traceparent), on: payer.number)
        }
        let movement = move(pay.amount, from: debit, to: credit, for: envelope.id, at: now)
        return decided(
            Payment(
                id: envelope.id, tenant: envelope.tenant, request: pay, acceptedAt: envelope.acceptedAt, status: .settled, decidedAt: now,
                revision: 1, debitResult: movement.debit, creditResult: movement.credit, traceparent: envelope.traceparent),
            on: payer.number)
    }

    /// Why money that is not held yet may not move; nil when it may. The order of the checks is part of the API: the first that
    /// fails is told.
    private static func refusal(of amount: Int64, from payer: Account, to payee: Account) -> DeclineReason? {
        if payer.flags.contains(.debitFrozen) || payee.flags.contains(.creditFrozen) { return .accountFrozen }
        // Amounts and balances are below 2^53: sums of a few of them cannot overflow 64 bits.
        if payer.kind == .normal, payer.available < amount { return .insufficientFunds }
        // What is held will move: it must never find the end of the range.
        if payer.posted - payer.held - amount < -Money.minorUnitsMax { return .balanceOutOfRange }
        if payee.posted + amount > Money.minorUnitsMax { return .balanceOutOfRange }
        return nil
    }

    // MARK: Changes

    mutating func decide(_ order: ChangePayment, _ envelope: Envelope, at now: Timestamp) -> PaymentChange {
        func declined(_ reason: DeclineReason) -> PaymentChange {
            PaymentChange(id: envelope.id, tenant: envelope.tenant, request: order, decidedAt: now, declineReason: reason)
        }
        // Another tenant's payment is none.
        guard let place = payments.find(order.payment), payments[place].tenant == envelope.tenant else {
            return declined(.paymentNotFound)
        }
        let payment = payments[place]
        let step: Step
        switch Self.step(of: order.change, on: payment) {
        case .failure(let reason): return declined(reason)
        case .success(let found): step = found
        }
        guard let payer = find(AccountKey(tenant: payment.tenant, account: payment.request.debit)),
            let payee = find(AccountKey(tenant: payment.tenant, account: payment.request.credit))
        else { preconditionFailure("money was held or moved between accounts of which one does not exist") }
        var movement: Movement?
        switch step.move {
        case .none: _ = change(payer, at: now) { $0.held -= step.released }
        case .capture:
            if let reason = Self.refusal(ofCapturing: step.moved, from: table.slots[payer].account, to: table.slots[payee].account) {
                return declined(reason)
            }
            movement = move(step.moved, from: payer, to: payee, unheld: step.moved + step.released, for: payment.id, at: now)
        case .back:
            let (from, to) = (table.slots[payee].account, table.slots[payer].account)
            if from.flags.contains(.closed) || to.flags.contains(.closed) { return declined(.accountClosed) }
            if let reason = Self.refusal(of: step.moved, from: from, to: to) { return declined(reason) }
            movement = move(step.moved, from: payee, to: payer, for: payment.id, at: now)
        }
        payments[place] = Self.payment(payment, after: step, envelope, order.kind, at: now)
        return PaymentChange(
            id: envelope.id, tenant: envelope.tenant, request: order, decidedAt: now, moved: step.moved, released: step.released,
            paymentRevision: payment.revision + 1, debitAccount: movement?.debitAccount, debitResult: movement?.debit,
            creditResult: movement?.credit)
    }

    /// What a change does, as far as the payment alone decides it.
    private struct Step {
        enum Move { case none, capture, back }

        let move: Move
        var moved: Int64 = 0
        var released: Int64 = 0
        let status: PaymentStatus
    }

    private enum StepResult {
        case success(Step)
        case failure(DeclineReason)
    }

    /// The table of status by command: tests have it as data.
    private static func step(of change: ChangePayment.Change, on payment: Payment) -> StepResult {
        let held = payment.held
        switch change {
        case .capture(let requested, let isFinal):
            guard payment.status == .authorized else { return .failure(.paymentNotAuthorized) }
            let amount = requested ?? held
            if amount > held { return .failure(.captureExceedsHold) }
            let isLast = isFinal || amount == held
            if !isLast, payment.history.count >= Payment.changesMax { return .failure(.tooManyChanges) }
            return .success(
                Step(
                    move: .capture, moved: amount, released: isLast ? held - amount : 0, status: isLast ? .settled : .authorized))
        case .void, .expire:
            guard payment.status == .authorized else { return .failure(.paymentNotAuthorized) }
            let empty: PaymentStatus = change == .void ? .voided : .expired
            return .success(Step(move: .none, released: held, status: payment.captured > 0 ? .settled : empty))
        case .refund(let requested):
            let amount = requested ?? payment.refundable
            if amount < 1 || amount > payment.refundable { return .failure(.refundExceedsCaptured) }
            if payment.history.count >= Payment.changesMax { return .failure(.tooManyChanges) }
            return .success(Step(move: .back, moved: amount, status: payment.status))
        }
    }

    /// The payer's money is held already: it is there, and within the range.
    private static func refusal(ofCapturing amount: Int64, from payer: Account, to payee: Account) -> DeclineReason? {
        if payee.flags.contains(.closed) { return .accountClosed }
        if payer.flags.contains(.debitFrozen) || payee.flags.contains(.creditFrozen) { return .accountFrozen }
        return payee.posted + amount > Money.minorUnitsMax ? .balanceOutOfRange : nil
    }

    private static func payment(
        _ before: Payment, after step: Step, _ envelope: Envelope, _ kind: PaymentChange.Kind, at now: Timestamp
    ) -> Payment {
        var payment = before
        payment.status = step.status
        payment.revision += 1
        switch step.move {
        case .none: break
        case .capture: payment.captured += step.moved
        case .back: payment.refunded += step.moved
        }
        payment.history.append(PaymentEvent(id: envelope.id, kind: kind, moved: step.moved, released: step.released, at: now))
        return payment
    }
}
