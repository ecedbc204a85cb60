internal import Bytes

/// Draws and writes the requests of one thread.
struct RequestMaker {
    private let mix: LoadOptions.Mix
    private let duplicateShare: Double
    private let waitShare: Double
    private let accounts: AccountSet
    private let picker: AccountPicker
    private let accountsPath: [UInt8]
    private let paymentsPath: [UInt8]
    private let currency: String
    /// Host, credentials and the agent's name, with their line ends.
    private let fields: [UInt8]
    private let keyPrefix: [UInt8]
    private var keysUsed: UInt64 = 0
    private var recent = RecentPayments()
    private var body: [UInt8] = []

    /// - Parameter keyPrefix: no other run's and no other thread's.
    init(_ options: LoadOptions, keyPrefix: String) {
        mix = options.mix
        duplicateShare = options.duplicateShare
        waitShare = options.waitShare
        accounts = options.accounts
        picker = AccountPicker(count: options.accounts.count, options.popularity)
        accountsPath = Array("\(options.target.pathPrefix)/v1/accounts/".utf8)
        paymentsPath = Array("\(options.target.pathPrefix)/v1/payments".utf8)
        currency = options.currency
        self.keyPrefix = Array(keyPrefix.utf8)
        var fields: [UInt8] = []
        fields.append(text: "Host: \(options.target.host)\r\n")
        if let key = options.key { fields.append(text: "Authorization: Bearer \(key)\r\n") }
        fields.append("User-Agent: sluice-bench\r\n")
        self.fields = fields
    }

    /// A payment that was accepted: statuses and duplicates are drawn from the latest of them.
    mutating func note(accepted plan: RequestPlan, as id: PaymentID) {
        var plan = plan
        plan.payment = id
        recent.add(plan)
    }

    /// The next request by the mix; a payment gets a key that was never used.
    mutating func draw(_ chance: inout Chance) -> RequestPlan {
        let isRead = Int.random(in: 0..<mix.reads + mix.writes, using: &chance) < mix.reads
        return isRead ? drawRead(&chance) : drawPayment(&chance)
    }

    private func drawRead(_ chance: inout Chance) -> RequestPlan {
        let place = Int.random(in: 0..<mix.balances + mix.statuses + mix.transactions, using: &chance)
        if place < mix.statuses, let payment = recent.any(&chance) {
            return RequestPlan(kind: .status, payment: payment.payment)
        }
        let isPage = place >= mix.statuses + mix.balances
        return RequestPlan(kind: isPage ? .transactions : .balance, account: picker.pick(&chance))
    }

    private mutating func drawPayment(_ chance: inout Chance) -> RequestPlan {
        let share = duplicateShare + waitShare > 0 ? Double.random(in: 0..<1, using: &chance) : 1
        if share < duplicateShare, var again = recent.any(&chance) {
            again.kind = .duplicate
            again.attempt = 0
            return again
        }
        let waits = share >= duplicateShare && share < duplicateShare + waitShare
        let (debit, credit) = picker.pickPair(&chance)
        let amount = Int.random(in: 1...100, using: &chance)
        defer { keysUsed += 1 }
        return RequestPlan(kind: waits ? .waitingPayment : .payment, account: debit, credit: credit, amount: amount, key: keysUsed)
    }

    /// Appends the request. The same plan gives the same bytes.
    mutating func write(_ plan: RequestPlan, to output: inout [UInt8]) {
        switch plan.kind {
        case .balance, .transactions:
            output.append("GET ")
            output.append(accountsPath.span)
            accounts.append(name: plan.account, to: &output)
            output.append(plan.kind == .balance ? "/balance HTTP/1.1\r\n" : "/transactions?limit=20 HTTP/1.1\r\n")
            output.append(fields.span)
            output.append("\r\n")
        case .status: writeStatus(of: plan.payment, waitSeconds: 0, to: &output)
        case .payment, .waitingPayment, .duplicate: writePayment(plan, to: &output)
        }
    }

    /// Appends a read of a payment; above 0 seconds the server is asked to answer when it is decided.
    func writeStatus(of payment: PaymentID?, waitSeconds: Int, to output: inout [UInt8]) {
        output.append("GET ")
        output.append(paymentsPath.span)
        output.append("/")
        output.append(hex: payment?.high ?? 0)
        output.append(hex: payment?.low ?? 0)
        if waitSeconds > 0 {
            output.append("?wait=")
            output.append(decimal: Int64(waitSeconds))
        }
        output.append(" HTTP/1.1\r\n")
        output.append(fields.span)
        output.append("\r\n")
    }

    private mutating func writePayment(_ plan: RequestPlan, to output: inout [UInt8]) {
        body.removeAll(keepingCapacity: true)
        body.append("{\"debit\":\"")
        accounts.append(name: plan.account, to: &body)
        body.append("\",\"credit\":\"")
        accounts.append(name: plan.credit, to: &body)
        body.append("\",\"amount\":")
        body.append(decimal: Int64(plan.amount))
        body.append(",\"currency\":\"")
        body.append(text: currency)
        body.append("\"}")
        output.append("POST ")
        output.append(paymentsPath.span)
        output.append(" HTTP/1.1\r\n")
        output.append(fields.span)
        if plan.kind == .waitingPayment { output.append("Prefer: wait=10\r\n") }
        output.append("Content-Type: application/json\r\nIdempotency-Key: ")
        output.append(keyPrefix.span)
        output.append(decimal: plan.key)
        output.append("\r\nContent-Length: ")
        output.append(decimal: UInt64(body.count))
        output.append("\r\n\r\n")
        output.append(body.span)
    }
}

/// The latest payments that were accepted.
private struct RecentPayments {
    private var plans: [RequestPlan] = []
    private var next = 0

    mutating func add(_ plan: RequestPlan) {
        if plans.count < BenchLimits.recentPaymentsMax {
            plans.append(plan)
        } else {
            plans[next] = plan
            next = (next + 1) % plans.count
        }
    }

    func any(_ chance: inout Chance) -> RequestPlan? {
        plans.isEmpty ? nil : plans[Int.random(in: 0..<plans.count, using: &chance)]
    }
}
