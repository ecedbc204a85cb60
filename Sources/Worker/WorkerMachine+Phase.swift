extension WorkerMachine {
    enum Action: Equatable {
        /// Take these partitions over: raise their epochs and read their offsets.
        case acquire([Int32])
        /// Ask what the next batch depends on, decide it and store it.
        case process
        /// Decide the batch that follows the one under way and send it behind that one, where nothing must be asked for it; else it is
        /// withdrawn.
        case follow
        /// Read the next batch's outcomes and publish them again.
        case republish
        /// A batch failed or its outcome is unknown, or the connection is a new one: forget what was known, and ask where the partitions
        /// stand.
        case check([Int32])
        /// Try again after this long.
        case wait(milliseconds: Int)
    }

    enum Phase: Equatable {
        case idle
        case acquiring([Int32])
        case processing
        case republishing
        case checking([Int32])
        /// The wait after a failed batch is over: asking where its partitions stand is next.
        case checkDue([Int32])
        /// What to do once the wait is over.
        case waiting(resume: Resume)
    }

    enum Resume: Equatable {
        case acquire([Int32])
        case check([Int32])
        case next

        /// The same for the partitions that are left.
        func without(_ gone: Set<Int32>) -> Resume {
            switch self {
            case .acquire(let partitions): .acquire(partitions.filter { !gone.contains($0) })
            case .check(let partitions): .check(partitions.filter { !gone.contains($0) })
            case .next: .next
            }
        }
    }
}
