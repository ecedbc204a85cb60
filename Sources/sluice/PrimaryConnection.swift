import Foundation
import Operate
import Postgres

extension DatabaseOptions {
    /// Runs a body with a connection to the primary. A wrong setting ends the process with 2, what cannot be done with 1.
    func connected<Result>(as applicationName: String, _ body: (PostgresConnection) throws(OperateError) -> Result) throws -> Result {
        let configuration = try withSettings { () throws(SettingError) in
            try self.configuration(applicationName: applicationName)
        }
        return try reporting { () throws(OperateError) in
            let connection: PostgresConnection
            do throws(PostgresError) {
                connection = try PostgresConnection(configuration.connectionString, applicationName: configuration.applicationName)
            } catch {
                throw .postgres(error)
            }
            return try body(connection)
        }
    }
}

/// `2026-11-27T08:00:00Z`, for people.
func time(_ microseconds: Int64) -> String {
    Date(timeIntervalSince1970: Double(microseconds) / 1e6).formatted(.iso8601)
}
