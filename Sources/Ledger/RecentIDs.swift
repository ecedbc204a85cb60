/// The ids that were decided last, with their fingerprints: as many as fit a bound, and none of them for ever.
///
/// Two generations, so that forgetting costs nothing: when the young one is full it becomes the old one, whose ids are forgotten.
struct RecentIDs {
    private let generationMax: Int
    private var young: [OperationID: Fingerprint] = [:]
    private var old: [OperationID: Fingerprint] = [:]

    /// - Parameter limit: ids remembered at most; at least half of it are, of those that were there.
    init(limit: Int) { generationMax = limit / 2 }

    var count: Int { young.count + old.count }

    subscript(id: OperationID) -> Fingerprint? { young[id] ?? old[id] }

    mutating func remove(_ id: OperationID) {
        young[id] = nil
        old[id] = nil
    }

    mutating func insert(_ id: OperationID, _ fingerprint: Fingerprint) {
        guard generationMax > 0 else { return }
        if young.count >= generationMax {
            swap(&young, &old)
            young.removeAll(keepingCapacity: true)
        }
        young[id] = fingerprint
    }
}
