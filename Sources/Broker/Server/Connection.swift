internal import Loop
internal import Telemetry

/// One client: frames in, answers out, both bounded. Lives on the broker's loop.
final class Connection {
    let descriptor: CInt
    private unowned let broker: BrokerLoop
    private var watch: DescriptorWatch?
    /// The start of a frame whose rest has not come yet; empty on an idle connection.
    private var input: [UInt8] = []
    /// Bytes of `Limits.receiveBytesMax` that this connection holds for a large frame.
    private var reserved = 0
    private var waitsForReservation = false
    private(set) var exchanges: [Exchange] = []
    private var output: [[UInt8]] = []
    /// Bytes of `output[0]` that are sent.
    private var sent = 0
    private(set) var outputByteCount = 0
    private(set) var isOpen = true
    private var isQueuedForSending = false
    private var isReadingStopped = false
    private var isPumping = false
    private var lastProgressMilliseconds: UInt64

    init(broker: BrokerLoop, descriptor: CInt) {
        self.broker = broker
        self.descriptor = descriptor
        lastProgressMilliseconds = Clock.monotonicMilliseconds
        watch = DescriptorWatch(loop: broker.loop, descriptor: descriptor) { [unowned self] readiness in
            if readiness == .write { send() } else { receive() }
        }
        watch?.interest = .read
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        watch?.cancel()
        Descriptors.close(descriptor)
        broker.release(reserved: reserved, output: outputByteCount)
        for exchange in exchanges {
            exchange.disconnect()
            broker.abandoned(exchange)
        }
        exchanges = []
        broker.closed(self)
    }

    // MARK: Receiving

    private func receive() {
        var isBorrowed = input.isEmpty
        var buffer: [UInt8] = []
        if isBorrowed { swap(&buffer, &broker.receiveBuffer) } else { swap(&buffer, &input) }
        let missing = max(0, reserved - buffer.count)
        let result = Descriptors.receive(descriptor, into: &buffer, limit: min(max(64 << 10, missing), 1 << 20))
        switch result {
        case .transferred:
            lastProgressMilliseconds = Clock.monotonicMilliseconds
            let used = process(&buffer)
            if isOpen, used < buffer.count {
                if isBorrowed {
                    input = Array(buffer[used...])
                } else {
                    buffer.removeSubrange(..<used)
                    swap(&buffer, &input)
                    isBorrowed = false
                }
                reserve()
            }
        case .wouldBlock: if !isBorrowed { swap(&buffer, &input) }
        case .ended, .failed: close()
        }
        if isBorrowed {
            buffer.removeAll(keepingCapacity: true)
            swap(&buffer, &broker.receiveBuffer)
        }
        updateInterest()
    }

    /// Handles the whole frames in `buffer`; returns how many bytes they took.
    private func process(_ buffer: inout [UInt8]) -> Int {
        var start = 0
        while isOpen, buffer.count - start >= 4 {
            let length = Self.frameLength(buffer, at: start)
            guard length >= 8, length <= Limits.frameBytesMax else {
                Log.warning("a connection is closed: its frame has an impossible length", .integer("bytes", length))
                close()
                break
            }
            guard buffer.count - start >= 4 + length else { break }
            broker.handle(&buffer, frame: start + 4..<start + 4 + length, from: self)
            start += 4 + length
            if exchanges.count >= Limits.requestsInFlightMax { break }
        }
        return start
    }

    private static func frameLength(_ buffer: [UInt8], at start: Int) -> Int {
        Int(
            Int32(
                bitPattern: UInt32(buffer[start]) << 24 | UInt32(buffer[start + 1]) << 16 | UInt32(buffer[start + 2]) << 8
                    | UInt32(buffer[start + 3])))
    }

    /// Takes a share of the memory for large frames, or stops reading until there is one.
    private func reserve() {
        broker.release(reserved: reserved, output: 0)
        reserved = 0
        guard input.count >= 4 else { return }
        let needed = 4 + Self.frameLength(input, at: 0)
        guard needed > Limits.frameBytesUnreserved, needed > input.count else { return }
        if broker.reserve(needed) {
            reserved = needed
            input.reserveCapacity(needed)
        } else {
            waitsForReservation = true
            broker.waitForReservation(self)
        }
    }

    /// Memory has become free.
    func reservationMayBeFree() {
        guard isOpen else { return }
        waitsForReservation = false
        reserve()
        updateInterest()
    }

    /// The broker stops: what has arrived is still answered.
    func stopReading() {
        isReadingStopped = true
        updateInterest()
    }

    private func updateInterest() {
        guard isOpen, let watch else { return }
        var interest: Readiness = []
        let hasRoom = exchanges.count < Limits.requestsInFlightMax && outputByteCount < Limits.fetchResponseBytesMax
        if hasRoom, !waitsForReservation, !isReadingStopped { interest.insert(.read) }
        if outputByteCount > 0 { interest.insert(.write) }
        watch.interest = interest
    }

    // MARK: Answering

    func begin(_ exchange: Exchange) { exchanges.append(exchange) }

    /// Moves finished answers from the front of the queue to the output, and lets a fetch that is now in front begin.
    func pump() {
        guard isOpen, !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while let first = exchanges.first {
            if let answer = first.answer {
                exchanges.removeFirst()
                // Also without bytes to send: there is room for a request that waits in `input`.
                queueForSending()
                if !answer.isEmpty { append(answer) }
            } else if let fetch = first.fetch, !fetch.hasBegun {
                broker.begin(fetch)
                if first.answer == nil { break }
            } else {
                break
            }
            guard isOpen else { return }
        }
    }

    func isFirst(_ exchange: Exchange) -> Bool { exchanges.first === exchange }

    private func append(_ answer: [UInt8]) {
        outputByteCount += answer.count
        broker.addOutput(answer.count)
        output.append(answer)
    }

    private func queueForSending() {
        guard !isQueuedForSending else { return }
        isQueuedForSending = true
        broker.queueForSending(self)
    }

    /// At the end of each turn in which something was answered, and when the socket takes bytes again.
    func send() {
        isQueuedForSending = false
        guard isOpen else { return }
        var chunk = 0
        sending: while chunk < output.count {
            let answer = output[chunk]
            switch Descriptors.send(descriptor, answer.span.extracting(sent..<answer.count)) {
            case .transferred(let count):
                lastProgressMilliseconds = Clock.monotonicMilliseconds
                outputByteCount -= count
                broker.addOutput(-count)
                sent += count
                if sent == answer.count {
                    chunk += 1
                    sent = 0
                }
            case .wouldBlock: break sending
            case .ended, .failed: return close()
            }
        }
        output.removeFirst(chunk)
        // Frames may wait in `input` that the bound on requests kept from being handled.
        if !isReadingStopped, !input.isEmpty, exchanges.count < Limits.requestsInFlightMax, reserved == 0 { processInput() }
        updateInterest()
    }

    private func processInput() {
        var buffer: [UInt8] = []
        swap(&buffer, &input)
        let used = process(&buffer)
        guard isOpen else { return }
        buffer.removeSubrange(..<used)
        input = buffer
        reserve()
    }

    /// Closes a connection that is stuck in the middle of something, or has been silent for very long.
    func sweep(nowMilliseconds: UInt64) {
        let quiet = nowMilliseconds - min(nowMilliseconds, lastProgressMilliseconds)
        let isStuck = outputByteCount > 0 || (!input.isEmpty && !waitsForReservation && exchanges.count < Limits.requestsInFlightMax)
        if isStuck, quiet > Limits.stalledMillisecondsMax { return close() }
        if exchanges.isEmpty, quiet > Limits.idleMillisecondsMax { close() }
    }
}
