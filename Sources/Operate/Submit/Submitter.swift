internal import Bytes
internal import Glibc
internal import Ledger
internal import Loop
internal import Telemetry

/// `sluice submit`: sends a file's accounts, then its payments, over many connections.
///
/// Runs on the caller's thread. Every request carries an idempotency key that is in the file or derived from it, so that
/// whatever is repeated, here or by submitting the file again, has one effect.
public final class Submitter {
    private static let tickMilliseconds = 10
    /// How long answers are awaited after a signal.
    private static let drainMilliseconds: UInt64 = 3_000

    private let options: SubmitOptions
    private let onProgress: (SubmitReport, Int) -> Void
    private let loop = EventLoop()
    private var machine: SubmitMachine
    private var file: SubmitFile
    /// Whether the file is read for its payments, after its accounts.
    private var readsPayments = false
    private var isFileAtEnd = false
    private var external: Set<AccountID> = []
    private var paymentsSeen = 0
    private var connections: [SubmitConnection] = []
    private var free: [SubmitConnection] = []
    private var request: [UInt8] = []
    private var tickTimer: LoopTimer?
    private var stopAt: UInt64?
    private var failure: OperateError?
    private let startMilliseconds = Clock.monotonicMilliseconds
    private var lastProgressReport: UInt64 = 0
    private var chance = SystemRandomNumberGenerator()

    /// Opens the file.
    ///
    /// - Parameter onProgress: called about once a second with what has come of it so far, and the lines under way.
    public init(_ options: SubmitOptions, onProgress: @escaping (SubmitReport, Int) -> Void = { _, _ in }) throws(OperateError) {
        precondition((1...10_000).contains(options.connections) && options.waitSeconds >= 1)
        self.options = options
        self.onProgress = onProgress
        file = try SubmitFile(options)
        machine = SubmitMachine(options, now: Clock.monotonicMilliseconds)
    }

    /// Sends everything and waits for the answers.
    ///
    /// - Parameter handlesSignals: whether SIGINT and SIGTERM end it with a report of what was done; only on the main
    ///   thread and before any other thread is started.
    public func run(handlesSignals: Bool) throws(OperateError) -> SubmitReport {
        let signals =
            handlesSignals
            ? SignalWatch(loop: loop, signals: [SIGINT, SIGTERM]) { [unowned self] _ in
                if stopAt != nil { exit(1) }
                stop("by a signal")
            } : nil
        let timer = LoopTimer(loop: loop) { [unowned self] in tick() }
        tickTimer = timer
        timer.arm(afterMilliseconds: 0)
        withExtendedLifetime((signals, timer)) { loop.run() }
        tickTimer = nil
        for connection in connections { connection.close() }
        if let failure { throw failure }
        return machine.end(seconds: Double(Clock.monotonicMilliseconds - startMilliseconds) / 1_000)
    }

    private func stop(_ reason: String) {
        guard stopAt == nil else { return }
        machine.stop(reason)
        stopAt = Clock.monotonicMilliseconds + Self.drainMilliseconds
    }

    private func tick() {
        let now = Clock.monotonicMilliseconds
        for connection in connections { connection.sweep(now: now) }
        machine.tick(now: now)
        if machine.unfinished > 0, stopAt == nil, now > machine.lastProgressMilliseconds + UInt64(options.waitSeconds) * 1_000 + 30_000 {
            stop("nothing was accepted for \(options.waitSeconds + 30) s")
        }
        pump()
        if now >= lastProgressReport + 1_000 {
            lastProgressReport = now
            onProgress(machine.report, machine.unfinished)
        }
        if isDone(now) { loop.stop() } else { tickTimer?.arm(afterMilliseconds: Self.tickMilliseconds) }
    }

    private func isDone(_ now: UInt64) -> Bool {
        if failure != nil { return true }
        if let stopAt { return now >= stopAt || free.count == connections.count }
        return machine.unfinished == 0 && isFileAtEnd && readsPayments
    }

    // MARK: The file

    /// Reads on, as far as the machine takes lines.
    private func refill() {
        do throws(OperateError) {
            while machine.wantsMore, !isFileAtEnd { try readLine() }
            // Payments begin when every account was answered: their commands stand before all payments in the log.
            if isFileAtEnd, !readsPayments, machine.unfinished == 0 {
                machine.setExternal(external)
                file = try SubmitFile(options)
                readsPayments = true
                isFileAtEnd = false
                while machine.wantsMore, !isFileAtEnd { try readLine() }
            }
        } catch {
            failure = error
        }
    }

    private func readLine() throws(OperateError) {
        guard let entry = try file.next() else {
            isFileAtEnd = true
            return
        }
        switch entry {
        case .malformed(let line, let problem):
            // Both readings meet it.
            if !readsPayments { machine.addMalformed(line: line, problem.reason) }
        case .command(let line, let key, let body, .openAccount(let open)):
            guard !readsPayments else { return }
            if open.kind == .external { external.insert(open.account) }
            machine.add(SubmitItem(line: line, key: key, body: body, payment: nil, waitsForOutcome: options.follows))
        case .command(let line, let key, let body, .pay(let payment)):
            guard readsPayments else { return }
            // Every second one is sent without a wait, so that both times are measured under one load.
            let waits = options.follows && paymentsSeen.isMultiple(of: 2)
            paymentsSeen += 1
            machine.add(SubmitItem(line: line, key: key, body: body, payment: payment, waitsForOutcome: waits))
        case .command(_, _, _, .changeAccount), .command(_, _, _, .changePayment):
            preconditionFailure("a line asks for a payment or an account")
        }
    }

    // MARK: Connections

    private func pump() {
        if stopAt == nil { refill() }
        let now = Clock.monotonicMilliseconds
        while stopAt == nil, !free.isEmpty || connections.count < options.connections, let item = machine.next(now: now) {
            let connection = free.popLast() ?? makeConnection()
            if item.startedNanoseconds == 0 { item.startedNanoseconds = Clock.monotonicNanoseconds }
            write(item)
            connection.send(item, request.span)
        }
    }

    private func makeConnection() -> SubmitConnection {
        let connection = SubmitConnection(
            loop: loop, address: options.target.address,
            onAnswer: { [unowned self] in answered($0, $1) }, onLost: { [unowned self] in lost($0, $1) })
        connections.append(connection)
        return connection
    }

    private func answered(_ connection: SubmitConnection, _ answer: SubmitAnswer) {
        guard let item = connection.item else { return }
        release(connection)
        let elapsed = Clock.monotonicNanoseconds - item.startedNanoseconds
        machine.answered(
            item, answer, elapsedNanoseconds: elapsed, now: Clock.monotonicMilliseconds, chance: Double.random(in: 0...1, using: &chance))
        pump()
    }

    private func lost(_ connection: SubmitConnection, _ reason: String) {
        guard let item = connection.item else { return }
        release(connection)
        machine.lost(item, reason, now: Clock.monotonicMilliseconds, chance: Double.random(in: 0...1, using: &chance))
        pump()
    }

    private func release(_ connection: SubmitConnection) {
        connection.item = nil
        free.append(connection)
    }

    // MARK: Requests

    private func write(_ item: SubmitItem) {
        let path = options.target.pathPrefix
        request.removeAll(keepingCapacity: true)
        switch item.step {
        case .submit: request.append(text: "POST \(path)/v1/\(item.payment == nil ? "accounts" : "payments")")
        case .follow: request.append(text: "GET \(path)/v1/payments/\(item.paymentID)?wait=10")
        }
        request.append(text: " HTTP/1.1\r\nHost: \(options.target.host)\r\nAuthorization: Bearer \(options.key)\r\n")
        request.append("User-Agent: sluice-submit\r\n")
        if item.step == .submit {
            if item.waitsForOutcome { request.append("Prefer: wait=10\r\n") }
            request.append(
                text: "Content-Type: application/json\r\nIdempotency-Key: \(item.key)\r\nContent-Length: \(item.body.count)\r\n\r\n")
            request.append(contentsOf: item.body)
        } else {
            request.append("\r\n")
        }
    }
}
