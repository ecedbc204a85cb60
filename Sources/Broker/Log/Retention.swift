/// Which segments have outlived their topic's settings. Pure.
enum Retention {
    /// How many of the oldest segments go: those whose newest record is too old, then those above the size. The last segment
    /// (the one that grows) is never counted.
    static func expired(_ segments: [SegmentIndex], settings: LogSettings, nowMilliseconds: Int64) -> Int {
        var count = 0
        if settings.retentionMilliseconds >= 0 {
            while count < segments.count - 1, segments[count].maxTimestamp < nowMilliseconds - settings.retentionMilliseconds { count += 1 }
        }
        if settings.retentionBytes >= 0 {
            var total = segments[count...].reduce(0) { $0 + $1.byteCount }
            while count < segments.count - 1, total - segments[count].byteCount >= settings.retentionBytes {
                total -= segments[count].byteCount
                count += 1
            }
        }
        return count
    }
}

extension PartitionLog {
    /// Applies the topic's retention; returns how many segments went. Their files go with the next flush round.
    ///
    /// When everything in the active segment is too old it is ended first, so that a quiet topic is emptied too. Only
    /// segments that are durable to their end go, so that the log's end never depends on what is not on the disk yet.
    func applyRetention(nowMilliseconds: Int64) -> Int {
        guard let active = segments.last else { return 0 }
        if settings.retentionMilliseconds >= 0, durableOffset == endOffset, active.byteCount > 0,
            active.index.maxTimestamp < nowMilliseconds - settings.retentionMilliseconds
        {
            // Without room for a new segment there is nothing to do until there is; older segments still go.
            try? roll(nowMilliseconds: nowMilliseconds)
        }
        let durable = segments.prefix { $0.nextOffset <= durableOffset }.count
        let count = min(durable, Retention.expired(segments.map(\.index), settings: settings, nowMilliseconds: nowMilliseconds))
        for segment in segments.prefix(count) {
            pendingRemoval.files += ["log", "index", "producers"].map { folder + "/" + Segment.fileName(segment.baseOffset, $0) }
            if segment.descriptor >= 0 { pendingRemoval.descriptors.append(segment.descriptor) }
        }
        segments.removeFirst(count)
        return count
    }
}
