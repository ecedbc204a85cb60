internal import Postgres
internal import Wire

extension Keys {
    /// What `bootstrap` came to.
    public enum Bootstrapped: Equatable, Sendable {
        /// The file has a valid key of the tenant already.
        case kept
        /// A new key was made and written.
        case created
    }

    /// Sees to it that a tenant exists and that the file holds a valid key of it. Safe to repeat, and in several processes.
    ///
    /// - Parameter path: made with mode 0600; a key in it that is revoked or unknown is replaced, one of another tenant is not.
    public func bootstrap(tenant name: String, path: String) throws(OperateError) -> Bootstrapped {
        try withPostgres { () throws(PostgresError) in _ = try connection.query("SELECT pg_advisory_lock(1936487785, 1801812339)") }
        defer { _ = try? connection.query("SELECT pg_advisory_unlock(1936487785, 1801812339)") }
        let file = KeyFile(path: path)
        if let text = try file.read(), case .valid(let owner) = try standing(of: text) {
            guard owner == name else {
                throw .refused("\(path) holds a valid key of the tenant `\(owner)`: move it away first")
            }
            try file.close()
            return .kept
        }
        let tenants = Tenants(connection)
        let tenant: Tenants.Tenant
        if let known = try tenants.named(name) { tenant = known } else { tenant = try tenants.create(name) }
        // The file comes first: should this end in between, the file holds a key that is unknown, which the next run
        // replaces, and not the database a valid key that nobody has.
        let key = Self.make()
        try file.write(key.text)
        try withPostgres { () throws(PostgresError) in try insert(key, of: tenant.number, label: "bootstrap") }
        return .created
    }
}
