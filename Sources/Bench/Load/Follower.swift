internal import Histogram
internal import Loop
internal import Telemetry

/// Follows accepted payments to their final state as a client would: asks for each with `?wait=`, on a connection of its own.
///
/// Connections are made as they are needed and kept: were there only a few, the payments that take long would hold them, and
/// just those that come behind would not be seen.
final class Follower {
    private static let waitSeconds = 10
    /// Before a payment is asked for again that was not found, or whose connection was lost.
    private static let pauseNanoseconds: UInt64 = 50_000_000

    private final class Task {
        let connection: LoadConnection
        var payment: PaymentID?
        var acceptedAt: UInt64 = 0
        /// When it is asked again; 0 while a question is under way.
        var due: UInt64 = 0

        init(_ connection: LoadConnection) { self.connection = connection }
    }

    private let loop: EventLoop
    private let address: SocketAddress
    private let tls: TLSContext?
    private var tasks: [ObjectIdentifier: Task] = [:]
    private var idle: [Task] = []
    private var maker: RequestMaker?
    private(set) var settling = LoadCounts.histogram()
    private(set) var notFollowed = 0
    private(set) var neverFinal = 0

    init(loop: EventLoop, address: SocketAddress, tls: TLSContext?) {
        self.loop = loop
        self.address = address
        self.tls = tls
    }

    var isIdle: Bool { idle.count == tasks.count }

    /// - Parameter acceptedAt: monotonic nanoseconds.
    func follow(_ payment: PaymentID, acceptedAt: UInt64, _ maker: RequestMaker) {
        if self.maker == nil { self.maker = maker }
        guard let task = idle.popLast() ?? makeTask() else {
            notFollowed += 1
            return
        }
        task.payment = payment
        task.acceptedAt = acceptedAt
        ask(task, acceptedAt)
    }

    func sweep(_ now: UInt64) {
        for task in tasks.values where task.payment != nil {
            task.connection.sweep(now: now)
            if task.due != 0, now >= task.due { ask(task, now) }
        }
    }

    /// Ends all that is under way; what was followed counts as never final.
    func close() {
        neverFinal += tasks.count - idle.count
        for task in tasks.values {
            task.connection.finish()
            task.connection.close()
        }
        tasks.removeAll()
        idle.removeAll()
    }

    private func makeTask() -> Task? {
        guard tasks.count < BenchLimits.followedMax else { return nil }
        let connection = LoadConnection(loop: loop, address: address, tls: tls) { [unowned self] in note($1, of: $0) }
        let task = Task(connection)
        tasks[ObjectIdentifier(connection)] = task
        return task
    }

    private func ask(_ task: Task, _ now: UInt64) {
        guard Double(now - task.acceptedAt) < BenchLimits.followSeconds * 1e9 else {
            neverFinal += 1
            return rest(task)
        }
        task.due = 0
        let deadline = now + UInt64(Self.waitSeconds + 5) * 1_000_000_000
        let failure = task.connection.send(RequestPlan(kind: .status, payment: task.payment), now: now, deadline: deadline) { output in
            maker?.writeStatus(of: task.payment, waitSeconds: Self.waitSeconds, to: &output)
        }
        if failure != nil { again(task) }
    }

    private func note(_ event: LoadConnection.Event, of connection: LoadConnection) {
        guard let task = tasks[ObjectIdentifier(connection)], connection.request != nil else { return }
        switch event {
        case .answered(let answer) where answer.isFinal && answer.payment == task.payment:
            settling.record(min(Clock.monotonicNanoseconds - task.acceptedAt, LoadCounts.latencyNanosecondsMax))
            connection.finish()
            rest(task)
        case .answered, .failed: again(task)
        case .opened, .closedIdle: break
        }
    }

    private func again(_ task: Task) {
        task.connection.finish()
        task.due = Clock.monotonicNanoseconds + Self.pauseNanoseconds
    }

    private func rest(_ task: Task) {
        task.payment = nil
        task.due = 0
        idle.append(task)
    }
}
