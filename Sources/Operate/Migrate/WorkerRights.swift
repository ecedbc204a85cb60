internal import Postgres

/// What the worker's role may do: decide payments, and nothing that rewrites them.
///
/// Tables that a migration adds have to be named here: a role has no right that nobody gave it.
struct WorkerRights {
    let role: String

    /// - Returns: false when there is no such role, or it is the one that migrates: an owner needs no rights, and keeps all of them.
    func grant(on connection: PostgresConnection) throws(PostgresError) -> Bool {
        var parameters = Parameters()
        parameters.append(text: role)
        let found = try connection.query(
            "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = $1 AND rolname <> current_user AND NOT rolsuper", parameters)
        guard !found.isEmpty else { return false }
        let name = found.text(0, 0)
        // In one transaction: a worker at work never meets the moment between.
        try connection.transaction { () throws(PostgresError) in
            try connection.run(
                """
                REVOKE ALL ON ALL TABLES IN SCHEMA sluice FROM \(name);
                REVOKE ALL ON ALL SEQUENCES IN SCHEMA sluice FROM \(name);
                GRANT USAGE ON SCHEMA sluice TO \(name);
                GRANT SELECT ON ALL TABLES IN SCHEMA sluice TO \(name);
                REVOKE ALL ON sluice.api_key FROM \(name);
                GRANT INSERT ON sluice.account, sluice.payment, sluice.movement, sluice.operation, sluice.key_conflict, sluice.dead_letter,
                    sluice.ledger_line TO \(name);
                GRANT UPDATE ON sluice.account, sluice.payment, sluice.kafka_offset TO \(name);
                GRANT USAGE ON SEQUENCE sluice.account_number TO \(name);
                """)
        }
        return true
    }
}
