internal import Pool

/// Executions whose askers may go away before the answer comes, and which of them a server was asked to stop. No I/O.
struct AskedExecutions {
    /// Whether anybody still wants the answer.
    typealias IsWanted = () -> Bool

    struct Execution {
        let member: PoolMachine.Member
        /// In its session.
        let number: UInt64
        let isWanted: IsWanted
        fileprivate var isCancelled = false
    }

    private var executions: [UInt64: Execution] = [:]
    private var nextKey: UInt64 = 0

    /// What `remove` is called with once it is answered.
    mutating func add(_ member: PoolMachine.Member, number: UInt64, isWanted: @escaping IsWanted) -> UInt64 {
        nextKey += 1
        executions[nextKey] = Execution(member: member, number: number, isWanted: isWanted)
        return nextKey
    }

    /// Whether a server was asked to stop it.
    mutating func remove(_ key: UInt64) -> Bool { executions.removeValue(forKey: key)?.isCancelled ?? false }

    /// Those that nobody wants any more and that no server was asked to stop.
    func unwanted() -> [(key: UInt64, execution: Execution)] {
        executions.filter { !$0.value.isCancelled && !$0.value.isWanted() }.map { ($0.key, $0.value) }
    }

    mutating func cancelled(_ key: UInt64) { executions[key]?.isCancelled = true }
}
