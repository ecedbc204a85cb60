/// Turns what follows a head into one contiguous body, whatever its framing.
///
/// A chunked body is decoded in place: chunk data moves down to close the gaps that the chunk lines leave, and
/// what is not decoded yet (at most one unfinished line) follows it. So an unfinished body of any number of chunks
/// keeps little more buffered than its own bytes.
public struct BodyDecoder: Sendable {
    /// What a call to `decode` came to.
    public enum Progress: Equatable, Sendable {
        /// The body is at `body`; the next message starts at offset `consumed`.
        case complete(body: ByteRange, consumed: Int)
        /// More bytes are needed. The first `kept` bytes of the buffer must be given again, with more behind them.
        case incomplete(kept: Int)
    }

    private enum Phase: Equatable {
        case length(UInt32)
        case chunkLine
        case chunkData(UInt32)
        case chunkEnd
        case trailers
    }

    private var phase: Phase
    private let bodyStart: UInt32
    private let bodyBytesMax: UInt32
    /// Where decoded data ends.
    private var bodyEnd: UInt32
    /// Where undecoded bytes start.
    private var position: UInt32
    /// Where to look on for the end of the line that starts at `position`.
    private var scanned: UInt32
    private var extensionBytesLeft: UInt32
    private var trailerBytesLeft: UInt32

    /// A decoder for a body that starts at offset `bodyStart`. A Content-Length above `bodyBytesMax` has been
    /// refused with the head.
    public init(framing: Framing, bodyStart: Int, bodyBytesMax: Int, limits: borrowing RequestLimits) {
        switch framing {
        case .none: phase = .length(0)
        case .length(let length): phase = .length(UInt32(length))
        case .chunked: phase = .chunkLine
        }
        self.bodyStart = UInt32(bodyStart)
        self.bodyBytesMax = UInt32(bodyBytesMax)
        bodyEnd = self.bodyStart
        position = self.bodyStart
        scanned = self.bodyStart
        extensionBytesLeft = UInt32(limits.chunkExtensionBytesMax)
        trailerBytesLeft = UInt32(limits.trailerBytesMax)
    }

    /// The offset at which the message will end, 0 when only its bytes will tell.
    public var expectedEnd: Int {
        if case .length(let length) = phase { return Int(bodyStart) + Int(length) }
        return 0
    }

    /// Decodes on. `bytes` is all there is of the message from its first byte on, less what earlier calls gave up.
    public mutating func decode(_ bytes: inout MutableSpan<UInt8>) throws(Refusal) -> Progress {
        if case .length(let length) = phase {
            let end = Int(bodyStart) + Int(length)
            guard bytes.count >= end else { return .incomplete(kept: bytes.count) }
            return .complete(body: ByteRange(Int(bodyStart), end), consumed: end)
        }
        while try step(&bytes) {
            if phase == .length(0) {
                return .complete(body: ByteRange(Int(bodyStart), Int(bodyEnd)), consumed: Int(position))
            }
        }
        return .incomplete(kept: compact(&bytes))
    }

    /// Decodes one line or one run of data. False when that needs more bytes; the end of the body is phase `length(0)`.
    private mutating func step(_ bytes: inout MutableSpan<UInt8>) throws(Refusal) -> Bool {
        switch phase {
        case .length: return false
        case .chunkLine: return try chunkLine(bytes.span)
        case .chunkData(let left): return chunkData(&bytes, left: left)
        case .chunkEnd: return try chunkEnd(bytes.span)
        case .trailers: return try trailer(bytes.span)
        }
    }

    private mutating func chunkLine(_ bytes: Span<UInt8>) throws(Refusal) -> Bool {
        let start = Int(position)
        let limit = start + ChunkLine.digitsMax + Int(extensionBytesLeft)
        switch try LineScan.scan(bytes, from: Int(scanned), limit: limit, tooLong: .chunkLineTooLong) {
        case .incomplete(let from):
            scanned = UInt32(from)
            return false
        case .line(let end):
            let line = try ChunkLine.parse(bytes, start, end)
            guard line.extensionBytes <= Int(extensionBytesLeft) else { throw .chunkLineTooLong }
            extensionBytesLeft -= UInt32(line.extensionBytes)
            advance(to: end + 2)
            if line.size == 0 {
                phase = .trailers
            } else {
                guard line.size <= UInt64(bodyBytesMax - (bodyEnd - bodyStart)) else { throw .bodyTooLarge }
                phase = .chunkData(UInt32(line.size))
            }
            return true
        }
    }

    private mutating func chunkData(_ bytes: inout MutableSpan<UInt8>, left: UInt32) -> Bool {
        let available = bytes.count - Int(position)
        guard available > 0 else { return false }
        let length = min(available, Int(left))
        bytes.moveDown(from: Int(position), to: Int(bodyEnd), length: length)
        bodyEnd += UInt32(length)
        advance(to: Int(position) + length)
        phase = length == Int(left) ? .chunkEnd : .chunkData(left - UInt32(length))
        return true
    }

    private mutating func chunkEnd(_ bytes: Span<UInt8>) throws(Refusal) -> Bool {
        let start = Int(position)
        guard start < bytes.count else { return false }
        guard bytes[start] == ASCII.carriageReturn else { throw .malformedChunkEnd }
        guard start + 1 < bytes.count else { return false }
        guard bytes[start + 1] == ASCII.lineFeed else { throw .malformedChunkEnd }
        advance(to: start + 2)
        phase = .chunkLine
        return true
    }

    /// Reads one trailer line. Trailers are checked like fields and dropped: nothing in this API reads one, and a
    /// framing field among them must never count (RFC 9110 section 6.5.1).
    private mutating func trailer(_ bytes: Span<UInt8>) throws(Refusal) -> Bool {
        let start = Int(position)
        let limit = start + max(Int(trailerBytesLeft) - 2, 0)
        switch try LineScan.scan(bytes, from: Int(scanned), limit: limit, tooLong: .trailersTooLarge) {
        case .incomplete(let from):
            scanned = UInt32(from)
            return false
        case .line(let end):
            advance(to: end + 2)
            if end == start {
                phase = .length(0)
            } else {
                do { _ = try FieldLine.parse(bytes, start, end) } catch { throw .malformedTrailer }
                trailerBytesLeft -= UInt32(end + 2 - start)
            }
            return true
        }
    }

    private mutating func advance(to offset: Int) {
        position = UInt32(offset)
        scanned = UInt32(offset)
    }

    /// Moves what is undecoded down to the decoded data and returns how many bytes remain.
    private mutating func compact(_ bytes: inout MutableSpan<UInt8>) -> Int {
        let gap = position - bodyEnd
        bytes.moveDown(from: Int(position), to: Int(bodyEnd), length: bytes.count - Int(position))
        position -= gap
        scanned -= gap
        return bytes.count - Int(gap)
    }
}
