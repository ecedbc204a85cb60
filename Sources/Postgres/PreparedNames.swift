/// Which statements a connection has prepared, and under which names.
///
/// What the protocol's Parse has prepared outlives the transaction it came in, also a failed one; so only a Parse that
/// itself failed, or was skipped, leaves no statement. Each goes in a segment of its own, where nothing can skip it.
struct PreparedNames {
    private var names: [Statement: String] = [:]
    private var refusals: [String: PostgresError] = [:]
    private var lastNumber = 0

    /// The name on this connection; nil before `add`.
    subscript(statement: Statement) -> String? { names[statement] }

    /// Makes a name that this connection has not used before.
    mutating func add(_ statement: Statement) -> String {
        lastNumber += 1
        let name = "\(statement.name).\(lastNumber)"
        names[statement] = name
        return name
    }

    /// The server did not prepare it: the next use tries again.
    mutating func refuse(_ statement: Statement, _ error: PostgresError) {
        guard let name = names.removeValue(forKey: statement) else { return }
        refusals[name] = error
    }

    /// What to answer an execution that failed: where the cause is that its statement could not be prepared, that error.
    ///
    /// 0A000 is "cached plan must not change result type" after a migration, 26000 a statement that someone deallocated:
    /// everything is prepared anew, under new names.
    mutating func answer(for error: PostgresError) -> PostgresError {
        guard case .serverError(let state, let message, _) = error, state == "26000" || state == "0A000" else { return error }
        if state == "26000", let (_, refusal) = refusals.first(where: { message.contains("\"\($0.key)\"") }) { return refusal }
        names.removeAll()
        return error
    }

    /// A new connection knows nothing.
    mutating func removeAll() { self = PreparedNames() }
}
