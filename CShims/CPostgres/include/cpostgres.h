#ifndef SLUICE_CPOSTGRES_H
#define SLUICE_CPOSTGRES_H

// What Swift's importer cannot see of libpq.

struct pg_result;

/// The fields of a server's report: the PG_DIAG_* codes are character macros, which Swift does not import.
enum sluice_postgres_field {
    SLUICE_POSTGRES_SEVERITY = 0,
    SLUICE_POSTGRES_SQLSTATE = 1,
    SLUICE_POSTGRES_MESSAGE = 2,
    SLUICE_POSTGRES_DETAIL = 3,
};

/// One field of an error or notice; lives as long as the result. Null when the report has no such field.
const char *_Nullable sluice_postgres_result_field(const struct pg_result *_Nonnull result, enum sluice_postgres_field field);

#endif
