internal import Glibc
internal import Loop
internal import Telemetry

/// What nobody waits for: durable marks, the seals of full segments, removals, and room prepared ahead, in the order of rounds. What
/// may wait for the disk is done by a thread of its own, so that no acknowledgement waits for it.
final class Upkeep: Sendable {
    private enum Message: Sendable {
        case round(FlushRound)
        case stop
    }
    private let messages = Mailbox<Message>(capacity: Limits.upkeepRoundsMax)
    private let thread: LoopThread

    init() {
        let messages = messages
        thread = LoopThread(name: "upkeep") { loop in
            let receiver = MailboxReceiver(loop: loop, mailbox: messages) { message in
                switch message {
                case .stop: loop.stop()
                case .round(let round): Self.keepHouse(round)
                }
            }
            withExtendedLifetime(receiver) { loop.run() }
        }
    }

    /// Takes over a round that has reported. Called on the flusher's thread, which waits here when upkeep is far behind.
    func begin(_ round: FlushRound) {
        // Into the page cache: cheaper than waking a thread for it.
        Self.writeMarks(round)
        if round.needsUpkeep { send(.round(round)) }
    }

    /// Waits until everything begun is done.
    func stop() {
        send(.stop)
        thread.join()
    }

    private func send(_ message: Message) { while !messages.send(message) { usleep(1_000) } }

    /// Nothing here is promised to anybody, so a full disk is no failure: what is missing is made again at the next start.
    static func writeMarks(_ round: FlushRound) {
        for mark in round.marks {
            orWarn { () throws(DiskError) in
                try Files.write(mark.file.descriptor, mark.bytes.span, at: mark.offset, mark.file.path)
            }
        }
    }

    /// The rest of a round, after its marks.
    static func keepHouse(_ round: FlushRound) {
        for mark in round.marks where mark.syncs {
            orWarn { () throws(DiskError) in try Files.sync(mark.file.descriptor, mark.file.path) }
        }
        for seal in round.seals {
            orWarn { () throws(DiskError) in
                // In this order: an index vouches for the producers file of the segment after it.
                try Files.truncate(seal.file.descriptor, to: seal.byteCount, seal.file.path)
                FlushWorker.orEnd { () throws(DiskError) in try Files.sync(seal.file.descriptor, seal.file.path) }
                try Files.replace(seal.producersPath, with: seal.producers.span)
                try Files.replace(seal.indexPath, with: seal.index.span)
                try Files.syncDirectory(seal.directory)
            }
        }
        for removal in round.removals {
            for path in removal.files { orWarn { () throws(DiskError) in try Files.remove(path) } }
            for descriptor in removal.descriptors { Files.close(descriptor) }
            for path in removal.directories { orWarn { () throws(DiskError) in try Files.removeDirectory(path) } }
        }
        for preparation in round.preparations { FlushWorker.orEnd { () throws(DiskError) in try preparation.run() } }
    }

    private static func orWarn(_ work: () throws(DiskError) -> Void) {
        do { try work() } catch { Log.warning("upkeep of the log failed; it is made good at the next start", .text("error", "\(error)")) }
    }
}
