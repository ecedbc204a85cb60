import Bytes
import Glibc
import HTTP1
import Loop
import Server
import Telemetry

func run(_ loop: EventLoop, milliseconds: Int) {
    let end = LoopTimer(loop: loop) { loop.stop() }
    end.arm(afterMilliseconds: milliseconds)
    loop.run()
}

/// Runs until something is so, two seconds at most.
func run(_ loop: EventLoop, until isSo: () -> Bool) {
    for _ in 0..<200 where !isSo() { run(loop, milliseconds: 10) }
}

/// Answers every request with its path, those that begin with `/later` when the loop comes round to it, newest first.
final class Echo: RequestHandler {
    var server: HTTPServer<Echo>?
    var late: [(RequestTicket, [UInt8])] = []
    var lateMilliseconds = 5
    var timer: LoopTimer?
    /// The paths of the requests in the order in which they were begun.
    private(set) var begun: [String] = []
    var onBegin: (String) -> Void = { _ in }

    init(
        _ loop: EventLoop, limits: HTTPServer<Echo>.Limits, address: SocketAddress = .tcp(address: "127.0.0.1", port: 0)
    ) throws {
        server = try HTTPServer(loop: loop, addresses: [address], limits: limits, counters: ServerCounters(), handler: self)
        timer = LoopTimer(loop: loop) { [unowned self] in
            while let (ticket, path) = late.popLast() { answer(ticket, path) }
        }
    }

    func handle(_ head: borrowing RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, ticket: RequestTicket) {
        var path: [UInt8] = []
        path.append(bytes[head.path])
        begun.append(String(decoding: path, as: UTF8.self))
        onBegin(begun[begun.count - 1])
        path.append(body)
        if path.starts(with: Array("/later".utf8)) {
            late.append((ticket, path))
            timer?.arm(afterMilliseconds: lateMilliseconds)
        } else {
            answer(ticket, path)
        }
    }

    func answer(_ ticket: RequestTicket, _ path: [UInt8]) {
        server?.respond(ticket) { rendering, output, date in
            ResponseWriter(.ok, rendering).write(&output, date: date, contentType: "text/plain", body: path.span)
        }
    }

    func writeBody(of refusal: Refusal, into body: inout [UInt8]) -> StaticString {
        body.append(refusal.reason)
        return "text/plain"
    }
}

/// A client on the same loop that sends pieces, one a turn, and gathers what comes.
final class Client {
    let descriptor: CInt
    var received: [UInt8] = []
    var isEnded = false
    var isReading = true { didSet { updateInterest() } }
    private var pieces: [[UInt8]]
    private var watch: DescriptorWatch?

    /// - Parameter receiveBytes: what the kernel may hold for it; nil for as much as it likes.
    init(_ loop: EventLoop, _ address: SocketAddress, _ pieces: [String], receiveBytes: CInt? = nil) throws {
        self.pieces = pieces.reversed().map { Array($0.utf8) }
        descriptor = try Descriptors.connect(to: address)
        if var receiveBytes {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes, socklen_t(MemoryLayout<CInt>.size))
        }
        watch = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self] readiness in
            if readiness == .write {
                guard let piece = self.pieces.popLast() else { return updateInterest() }
                if case .transferred(let count) = Descriptors.send(descriptor, piece.span), count < piece.count {
                    self.pieces.append(Array(piece[count...]))
                }
                return updateInterest()
            }
            switch Descriptors.receive(descriptor, into: &received, limit: 65_536) {
            case .ended, .failed:
                isEnded = true
                self.pieces = []
                updateInterest()
            default: break
            }
        }
        updateInterest()
    }

    /// Sends more.
    func send(_ text: String) {
        pieces.insert(Array(text.utf8), at: 0)
        updateInterest()
    }

    private func updateInterest() {
        var interest: Readiness = isReading && !isEnded ? .read : []
        if !pieces.isEmpty { interest.insert(.write) }
        watch?.interest = interest
    }

    deinit {
        watch?.cancel()
        Descriptors.close(descriptor)
    }

    /// Segments with data that the kernel has received: of answers below a segment's length as many as they were sent in.
    ///
    /// `tcpi_data_segs_in` of `struct tcp_info`, which glibc's own copy of it ends before.
    var segmentsReceived: UInt32 {
        var info = [UInt8](repeating: 0, count: 256)
        var length = socklen_t(info.count)
        let code = unsafe getsockopt(descriptor, CInt(IPPROTO_TCP), TCP_INFO, &info, &length)
        precondition(code == 0 && length >= 156, "a kernel without tcpi_data_segs_in")
        return info[152..<156].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    var bodies: [String] {
        String(decoding: received, as: UTF8.self).split(separator: "\r\n\r\n", omittingEmptySubsequences: true).map { part in
            String(part.split(separator: "HTTP/1.1", omittingEmptySubsequences: false).first ?? "")
        }.filter { $0.hasPrefix("/") }
    }
}
