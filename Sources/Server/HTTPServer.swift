internal import Bytes
public import HTTP1
public import Loop
internal import Telemetry

/// Serves HTTP/1.1 on one loop: accepts, reads, hands requests to its handler, and writes the answers of a turn in one
/// system call for each connection.
///
/// Made and used on its loop's thread. A connection that waits for a request holds no buffer; the loop's own is lent
/// to whoever is read.
public final class HTTPServer<Handler: RequestHandler> {
    public let counters: ServerCounters
    /// Where it listens, with the ports the system chose.
    public var addresses: [SocketAddress] { listeners.map(\.address) }
    /// While it is false clients wait in the kernel's backlog: for a server that cannot answer anything yet.
    public var takesConnections = true {
        didSet { updateAccepting() }
    }
    private let loop: EventLoop
    let limits: Limits
    private unowned let handler: Handler
    private let quota: ConnectionQuota
    var listeners: [Listener] = []
    private var isAccepting = true
    private var buffered = BufferedBytes()
    var connections: [Connection] = []
    private var free: [UInt32] = []
    /// Closed in this turn: reused from the next one on, because an event of theirs may still be reported.
    private var closing: [UInt32] = []
    private var dirty: [UInt32] = []
    /// Those whose share of a turn was used up, and who wakes them.
    var putOffSlots = SlotQueue()
    var putOffTimer: LoopTimer?
    private var head = RequestHead()
    private var lent: [UInt8] = []
    private var spares: [[UInt8]] = []
    private var date = HTTPDate(unixSeconds: Clock.wallMicroseconds / 1_000_000)
    private var dateSeconds: Int64 = 0
    private var sweep: LoopTimer?
    var isDraining = false
    var onDrained: (() -> Void)?
    private let reference = Reference()

    /// What the loop, which outlives the server, holds of it. A weak reference would move its counts into a side table, and with them
    /// every retain on the hot path.
    private final class Reference {
        unowned var server: HTTPServer?
    }

    /// - Parameters:
    ///   - quota: shared with the servers of other loops; nil for one of its own, from the limits.
    ///   - handler: kept unowned; it owns the server.
    /// - Throws: an address that cannot be listened on.
    public init(
        loop: EventLoop, addresses: [SocketAddress], reusePort: Bool = false, limits: Limits, quota: ConnectionQuota? = nil,
        counters: ServerCounters, handler: Handler
    ) throws(SocketError) {
        self.loop = loop
        self.limits = limits
        self.quota = quota ?? ConnectionQuota(connectionsMax: limits.connectionsMax, perAddressMax: limits.connectionsPerAddressMax)
        self.handler = handler
        self.counters = counters
        lent.reserveCapacity(limits.readBytesMax + 1)
        for address in addresses {
            let listener = try Listener(
                loop: loop, address: address, reusePort: reusePort, unsentBytesMax: limits.connection.unsentBytesMax
            ) { [unowned self] descriptor in accept(descriptor) }
            listeners.append(listener)
        }
        reference.server = self
        loop.atTurnEnd { [reference] in reference.server?.endTurn() }
        putOffTimer = LoopTimer(loop: loop) { [unowned self] in resumePutOff() }
        let sweep = LoopTimer(loop: loop) { [unowned self] in sweepDeadlines() }
        sweep.arm(afterMilliseconds: limits.sweepMilliseconds)
        self.sweep = sweep
    }

    deinit {
        reference.server = nil
        closeAll()
    }

    /// Answers a request: `write` appends one whole answer to the output, as the rendering says.
    ///
    /// False when nobody waits for it any more: the connection is gone. A ticket answered twice is a bug.
    /// - Parameter closing: close the connection after this answer.
    @discardableResult
    public func respond(
        _ ticket: RequestTicket, closing: Bool = false,
        _ write: (_ rendering: ConnectionMachine.Rendering, _ output: inout [UInt8], _ date: Span<UInt8>) -> Void
    ) -> Bool {
        let connection = connections[Int(ticket.slot)]
        guard connection.generation == ticket.generation, connection.isOpen else { return false }
        switch connection.machine.answer(ticket.number, closing: closing) {
        case .drop: return false
        case .hold(let rendering):
            var bytes: [UInt8] = []
            write(rendering, &bytes, date.bytes)
            connection.heldBytes += bytes.count
            connection.held.append((ticket.number, bytes))
        case .write(let rendering):
            lendOutput(to: connection)
            write(rendering, &connection.output, date.bytes)
            while let number = connection.machine.nextHeld() { release(number, of: connection) }
        }
        markDirty(connection)
        return true
    }

    /// Whether the client of this request is still connected.
    public func isWaiting(_ ticket: RequestTicket) -> Bool {
        let connection = connections[Int(ticket.slot)]
        return connection.generation == ticket.generation && connection.isOpen
    }

    /// Whether the client of this request has closed its connection, or will send nothing more on it.
    public func hasLeft(_ ticket: RequestTicket) -> Bool {
        !isWaiting(ticket) || connections[Int(ticket.slot)].machine.hasInputEnded
    }

    /// Closes every connection at once.
    public func closeAll() {
        listeners.removeAll()
        for connection in connections where connection.isOpen { close(connection) }
    }

    // MARK: Connections

    private func accept(_ descriptor: CInt) {
        let peer = Descriptors.peer(of: descriptor)
        guard quota.enter(peer) else {
            counters.refusedAddresses.add()
            return Descriptors.close(descriptor)
        }
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
        } else {
            slot = UInt32(connections.count)
            connections.append(Connection(slot: slot, limits: limits.connection))
        }
        let connection = connections[Int(slot)]
        connection.descriptor = descriptor
        connection.peer = peer
        connection.machine = ConnectionMachine(limits: limits.connection, now: loop.turnMilliseconds)
        connection.watch = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self, unowned connection] readiness in
            if readiness == .read { read(connection) } else { markDirty(connection) }
        }
        connection.watch?.interest = .read
        counters.accepted.add()
        counters.open.add(1)
        if !quota.hasRoom { updateAccepting() }
    }

    private func close(_ connection: Connection) {
        connection.watch?.cancel()
        connection.watch = nil
        Descriptors.close(connection.descriptor)
        connection.descriptor = -1
        connection.generation &+= 1
        connection.machine.lost()
        quota.leave(connection.peer)
        forgetPutOff(connection)
        connection.held.removeAll()
        connection.heldBytes = 0
        takeBack(&connection.output)
        takeBack(&connection.kept)
        connection.sent = 0
        buffered.count(connection)
        closing.append(connection.slot)
        counters.closed.add()
        counters.open.add(-1)
    }

    /// Accepts, or leaves those who connect in the kernel's backlog. A listener that is short of descriptors goes on by itself.
    private func updateAccepting() {
        let wanted = takesConnections && !isDraining && quota.hasRoom
        guard wanted != isAccepting else { return }
        isAccepting = wanted
        if !wanted { counters.acceptPauses.add() }
        for listener in listeners { listener.isAccepting = wanted }
    }

    // MARK: Reading

    private func read(_ connection: Connection) {
        guard connection.isOpen else { return }
        var buffer: [UInt8] = []
        let usesLent = connection.kept.isEmpty
        if usesLent { swap(&buffer, &lent) } else { swap(&buffer, &connection.kept) }
        let room = max(limits.readBytesMax, min(connection.machine.expectedBytes - buffer.count, limits.readBytesMax * 4))
        switch Descriptors.receive(connection.descriptor, into: &buffer, limit: room) {
        case .transferred: consume(&buffer, on: connection)
        case .wouldBlock: keep(&buffer, 0..<buffer.count, on: connection)
        case .ended:
            keep(&buffer, 0..<buffer.count, on: connection)
            perform(connection.machine.endOfInput(), on: connection)
        case .failed:
            connection.machine.lost()
            close(connection)
        }
        if usesLent {
            buffer.removeAll(keepingCapacity: true)
            swap(&buffer, &lent)
        } else {
            takeBack(&buffer)
        }
        if connection.isOpen { settle(connection) }
    }

    /// Gives the bytes to the machine, request by request, and keeps what is unfinished or beyond the connection's share of a turn.
    func consume(_ buffer: inout [UInt8], on connection: Connection) {
        var start = 0
        var end = buffer.count
        var begun = 0
        let now = loop.turnMilliseconds
        while connection.isOpen {
            let receipt = receive(&buffer, start..<end, on: connection, begun: begun, now: now)
            switch receipt.outcome {
            case .request(let number, let bodyRange):
                counters.requests.add()
                begun += 1
                let ticket = RequestTicket(slot: connection.slot, generation: connection.generation, number: number)
                let bytes = buffer.span.extracting(start..<end)
                handler.handle(head, bytes: bytes, body: bytes[bodyRange], ticket: ticket)
            case .refuse(let number, let refusal): refuse(number, refusal, on: connection)
            case .sendContinue:
                lendOutput(to: connection)
                connection.output.append(Interim.continue)
                markDirty(connection)
                return keep(&buffer, (start + receipt.consumed)..<(start + receipt.consumed + receipt.kept), on: connection)
            case .needsMore, .pause:
                if receipt.outcome == .pause { markDirty(connection) }
                return keep(&buffer, (start + receipt.consumed)..<(start + receipt.consumed + receipt.kept), on: connection)
            case .close: return close(connection)
            }
            start += receipt.consumed
            end = start + receipt.kept
        }
    }

    private func receive(
        _ buffer: inout [UInt8], _ range: Range<Int>, on connection: Connection, begun: Int, now: UInt64
    ) -> ConnectionMachine.Receipt {
        var whole = buffer.mutableSpan
        var bytes = whole._mutatingExtracting(range)
        return connection.machine.receive(
            &bytes, head: &head, limits: limits.connection, now: now, gatheredBytes: connection.unwrittenBytes, begunRequests: begun)
    }

    /// Keeps the bytes of an unfinished request in memory of the connection's own.
    private func keep(_ buffer: inout [UInt8], _ range: Range<Int>, on connection: Connection) {
        guard connection.isOpen, !range.isEmpty else { return }
        if connection.kept.capacity == 0 { connection.kept = spares.popLast() ?? [] }
        connection.kept.removeAll(keepingCapacity: true)
        connection.kept.append(buffer.span.extracting(range))
    }

    private func refuse(_ number: ConnectionMachine.RequestNumber, _ refusal: Refusal, on connection: Connection) {
        counters.refused.add()
        let ticket = RequestTicket(slot: connection.slot, generation: connection.generation, number: number)
        var body: [UInt8] = []
        let contentType = handler.writeBody(of: refusal, into: &body)
        respond(ticket, closing: true) { rendering, output, date in
            ResponseWriter(refusal.status, rendering).write(&output, date: date, contentType: contentType, body: body.span)
        }
    }

    // MARK: Writing

    private func release(_ number: ConnectionMachine.RequestNumber, of connection: Connection) {
        guard let index = connection.held.firstIndex(where: { $0.number == number }) else {
            preconditionFailure("an answer that is held is not there")
        }
        let bytes = connection.held.remove(at: index).bytes
        connection.heldBytes -= bytes.count
        connection.output.append(contentsOf: bytes)
    }

    private func lendOutput(to connection: Connection) {
        if connection.output.capacity == 0, let spare = spares.popLast() { connection.output = spare }
    }

    /// Takes a connection's buffer back into the loop's store, unless it has grown beyond what is usual.
    func takeBack(_ buffer: inout [UInt8]) {
        guard buffer.capacity > 0 else { return }
        var taken: [UInt8] = []
        swap(&taken, &buffer)
        guard taken.capacity <= 64 * 1024, spares.count < 256 else { return }
        taken.removeAll(keepingCapacity: true)
        spares.append(taken)
    }

    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(connection.slot)
    }

    private func flush(_ connection: Connection) {
        guard connection.isOpen else { return }
        while connection.unwrittenBytes > 0 {
            let output = connection.output
            let result = Descriptors.send(connection.descriptor, output.span.extracting(connection.sent...))
            if case .transferred(let count) = result {
                connection.sent += count
            } else if case .failed = result {
                connection.machine.lost()
                return close(connection)
            } else {
                break
            }
        }
        if connection.unwrittenBytes == 0 {
            connection.sent = 0
            takeBack(&connection.output)
        }
        let action = connection.machine.wrote(
            unwrittenBytes: connection.unwrittenBytes, limits: limits.connection, now: loop.turnMilliseconds)
        perform(action, on: connection)
        if connection.isOpen { settle(connection) }
    }

    func perform(_ action: ConnectionMachine.Action, on connection: Connection) {
        switch action {
        case .none: break
        case .resume: putOff(connection)
        case .sendContinue:
            lendOutput(to: connection)
            connection.output.append(Interim.continue)
            markDirty(connection)
        case .refuse(let number, let refusal):
            takeBack(&connection.kept)
            refuse(number, refusal, on: connection)
        case .shutDownWriting: Descriptors.shutDownWriting(connection.descriptor)
        case .close: close(connection)
        }
    }

    private func settle(_ connection: Connection) {
        if !connection.machine.needsKeptBytes { takeBack(&connection.kept) }
        if connection.machine.isClosed { return close(connection) }
        buffered.count(connection)
        // What is to be flushed in this turn is settled again after it: until then the socket is not known to be full.
        if !connection.isDirty { connection.updateInterest() }
    }

    // MARK: Turns and time

    private func endTurn() {
        // What was written may make room for an interim answer: that is flushed too.
        while !dirty.isEmpty {
            var batch: [UInt32] = []
            swap(&batch, &dirty)
            for slot in batch {
                let connection = connections[Int(slot)]
                connection.isDirty = false
                flush(connection)
            }
            batch.removeAll(keepingCapacity: true)
            if dirty.isEmpty { swap(&batch, &dirty) }
        }
        if buffered.total > limits.bufferedBytesMax {
            for slot in buffered.overdue(among: connections, leaving: limits.bufferedBytesMax / 4 * 3) {
                counters.shed.add()
                close(connections[Int(slot)])
            }
        }
        guard !closing.isEmpty else { return }
        free.append(contentsOf: closing)
        closing.removeAll(keepingCapacity: true)
        updateAccepting()
        finishDrainIfDue()
    }

    private func sweepDeadlines() {
        let now = Clock.monotonicMilliseconds
        let seconds = Clock.wallMicroseconds / 1_000_000
        if seconds != dateSeconds {
            dateSeconds = seconds
            date.refresh(unixSeconds: seconds)
        }
        for connection in connections where connection.isOpen && connection.machine.deadline <= now {
            if connection.unwrittenBytes > 0 { counters.writeTimeouts.add() }
            let action = connection.machine.timePassed(now: now)
            if case .refuse = action { counters.requestTimeouts.add() }
            perform(action, on: connection)
            if connection.isOpen { settle(connection) }
        }
        counters.buffered.set(Int64(buffered.total))
        counters.exhaustions.add(listeners.reduce(0) { $0 + $1.takeExhaustions() })
        // Another loop may have made room.
        updateAccepting()
        sweep?.arm(afterMilliseconds: limits.sweepMilliseconds)
    }
}
