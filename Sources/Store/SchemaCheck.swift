/// Whether a database has the tables that this build was made for.
///
/// A newer schema than this build's is taken: a migration leaves what is there usable for the builds before it (CONTRIBUTING.md).
public enum SchemaCheck {
    /// The last migration of this build.
    public static let needed = Migration.all.map(\.number).max() ?? 0

    /// For the set-up of a connection: it fails, and with it the connection, until the database has this build's last migration. So a
    /// replica serves nothing before it has caught up, and the same connection is tried again until then.
    public static let setUp = """
        DO $$
        DECLARE
            found integer;
        BEGIN
            IF to_regclass('sluice.schema_migration') IS NOT NULL THEN
                SELECT max(number) INTO found FROM sluice.schema_migration;
            END IF;
            IF found IS NULL OR found < \(needed) THEN
                RAISE EXCEPTION 'the database has migration %, and this build needs %: run `sluice migrate`; a replica follows by itself',
                    coalesce(found, 0), \(needed) USING ERRCODE = 'SL003';
            END IF;
        END $$
        """
}
