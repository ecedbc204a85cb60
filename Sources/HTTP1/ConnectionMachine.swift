/// Decides everything about one server connection of HTTP/1.1 and performs nothing: no socket, no clock, no buffer.
///
/// The driver reads into a buffer, calls `receive` until it asks for no more, answers requests in any order by
/// `answer`, writes what is due, reports that by `wrote`, and does what the returned values say. `wantsInput` and
/// `deadline` are levels to be looked at after each event. All times are milliseconds of one monotonic clock.
///
/// A connection without an unfinished request needs no buffer at all: `Receipt.kept` is 0. A driver's turn:
///
///     var start = 0                                    // the loop's lent buffer: kept bytes, then what was read
///     repeat {
///         receipt = machine.receive(&bytes from start, head: &loop.head, limits: limits, now: loop.now)
///         switch receipt.outcome { case .request(let number, let body): route(number, loop.head, body) ... }
///         start += receipt.consumed
///     } while receipt.outcome is .request or .refuse
///     keep receipt.kept bytes from start in a buffer of the connection, or none when it is 0
///     act on machine.wrote(unwrittenBytes: write(output), ...)   // .resume starts over with the kept bytes, in a later turn
///     watch the socket as machine.wantsInput says, note machine.deadline
///
/// `route` answers at once or later, each time by `answer`, then `nextHeld` until nil, then the same `wrote`.
public struct ConnectionMachine: ~Copyable {
    /// The number of a request on its connection, from 0.
    public typealias RequestNumber = UInt32

    /// The most requests that can be in flight, by the width of a word.
    public static let pipelineCapacity = 64

    enum Phase: Equatable {
        /// Requests are read and answered.
        case open
        /// No more requests are handed out; the connection closes when the answer to `last` is written.
        case finishing
        /// All is written and our side is shut; what the client still sends is thrown away.
        case lingering
        case closed
    }

    enum Stage {
        case head
        case body(BodyDecoder)
    }

    var phase = Phase.open
    var parser = RequestParser()
    var stage = Stage.head
    /// Whether bytes of an unfinished request are kept.
    var isPartial = false
    /// Whether whole requests may be among the kept bytes, left there because the pipeline was full or the share of the turn used up.
    var hasBacklog = false
    /// Whether an interim 100 is due once the earlier answers are written.
    var owesContinue = false
    var inputEnded = false
    var isDraining = false
    /// Whether the close comes from this side while the client may still be sending.
    var mustLinger = false

    /// Requests handed out, answers put into the output in order, answers written. Never in another order.
    var delivered: RequestNumber = 0
    var answered: RequestNumber = 0
    var flushed: RequestNumber = 0
    /// The request whose answer is the last, while `finishing` or once `answer` was told to close.
    var last: RequestNumber = .max
    /// By request number modulo 64: answered out of turn; answered without body; HTTP/1.0 with keep-alive.
    var held: UInt64 = 0
    var omitsBody: UInt64 = 0
    var namesKeepAlive: UInt64 = 0

    let pipelinedRequestsMax: RequestNumber
    var unwrittenBytes = 0
    var lingeredBytes = 0
    /// When the present wait for input ends: idle, request or lingering.
    var readDeadline: UInt64
    /// When the present write must be done; `max` while nothing is unwritten.
    var writeDeadline = UInt64.max

    /// A connection accepted at `now`.
    public init(limits: borrowing ConnectionLimits, now: UInt64) {
        pipelinedRequestsMax = RequestNumber(limits.pipelinedRequestsMax)
        readDeadline = now + limits.idleMilliseconds
    }

    /// Whether the socket should be watched for input. While this is false bytes wait in the kernel, which is the
    /// back-pressure on a client that pipelines too much or does not read its answers.
    public var wantsInput: Bool {
        switch phase {
        case .open: !inputEnded && !hasBacklog && hasRoom
        case .lingering: true
        case .finishing, .closed: false
        }
    }

    /// Whether the client has ended its side of the connection.
    public var hasInputEnded: Bool { inputEnded }

    /// The earliest time at which `timePassed` has something to say; `UInt64.max` for never.
    public var deadline: UInt64 { min(readDeadline, writeDeadline) }

    /// Requests handed out and not yet answered.
    public var requestsInFlight: Int { phase == .closed ? 0 : Int(delivered - answered) }

    /// Whether the connection waits for a first byte and has nothing to write.
    public var isIdle: Bool { phase == .open && !isPartial && !hasBacklog && flushed == delivered && unwrittenBytes == 0 }

    /// Whether the bytes that were kept are still needed. When this turns false the driver takes its buffer back.
    public var needsKeptBytes: Bool { isPartial || hasBacklog }

    /// Whether the connection is over; the driver closes the socket.
    public var isClosed: Bool { phase == .closed }

    /// How long the unfinished request will be with its head, when its Content-Length says so, else 0: lets the
    /// driver size its buffer once.
    public var expectedBytes: Int {
        if case .body(let decoder) = stage { decoder.expectedEnd } else { 0 }
    }

    /// Whether another request may be begun: the pipeline has room and the client reads its answers.
    var hasRoom: Bool { unwrittenBytes == 0 && delivered - flushed < pipelinedRequestsMax }

    static func bit(_ number: RequestNumber) -> UInt64 { 1 &<< UInt64(number & 63) }
}

extension ConnectionMachine {
    /// What an event other than received bytes asks of the driver.
    public enum Action: Equatable, Sendable {
        case none
        /// Give the kept bytes to `receive` again, in a later turn: there is room in the pipeline.
        case resume
        /// Write `Interim.continue` now.
        case sendContinue
        /// Drop the kept bytes and answer this request by `answer`; the refusal says with what.
        case refuse(RequestNumber, Refusal)
        /// Shut the writing side; go on reading as `wantsInput` says and give the bytes to `receive`.
        case shutDownWriting
        /// Close the socket; drop what is unwritten.
        case close
    }

    /// What became of received bytes.
    public struct Receipt: Equatable, Sendable {
        public enum Outcome: Equatable, Sendable {
            /// A whole request: the head is in the lent `RequestHead`, the body at `body`. Both are valid until the
            /// next call or change of the buffer. Call `receive` again with what follows.
            case request(RequestNumber, body: ByteRange)
            /// Answer this request with the refusal by `answer`; the connection closes after it.
            case refuse(RequestNumber, Refusal)
            /// Nothing whole is left. Keep the kept bytes and put the next ones behind them.
            case needsMore
            /// As `needsMore`, and write `Interim.continue` now.
            case sendContinue
            /// The pipeline is full, the client does not read, or its share of this turn is used up: keep the kept bytes until `resume`.
            case pause
            /// Close the socket.
            case close
        }

        public var outcome: Outcome
        /// How many bytes from the front are done with.
        public var consumed: Int
        /// How many bytes after those to keep. Bytes beyond `consumed + kept` are junk: a chunked body shrinks.
        /// After `request` this counts what was not looked at yet.
        public var kept: Int
    }

    /// How an answer has to be written.
    public struct Rendering: Equatable, Sendable {
        /// A HEAD request: the fields of the answer without its body.
        public var omitsBody: Bool
        public var persistence: Persistence

        public init(omitsBody: Bool, persistence: Persistence) {
            self.omitsBody = omitsBody
            self.persistence = persistence
        }
    }

    /// What the Connection field of an answer says.
    public enum Persistence: Equatable, Sendable {
        /// No field: HTTP/1.1 keeps the connection.
        case implied
        /// `keep-alive`, for an HTTP/1.0 client that asked for it.
        case keepAlive
        case close
    }

    /// What to do with an answer.
    public enum Answer: Equatable, Sendable {
        /// Put it into the connection's output; then ask `nextHeld` for those that now follow.
        case write(Rendering)
        /// Render it and hold it: an earlier request is not answered yet.
        case hold(Rendering)
        /// Nobody waits for it any more.
        case drop
    }
}
