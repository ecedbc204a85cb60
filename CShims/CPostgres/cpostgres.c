#include "cpostgres.h"

#include <libpq-fe.h>

const char *sluice_postgres_result_field(const struct pg_result *result, enum sluice_postgres_field field)
{
    static const int codes[] = {
        [SLUICE_POSTGRES_SEVERITY] = PG_DIAG_SEVERITY_NONLOCALIZED,
        [SLUICE_POSTGRES_SQLSTATE] = PG_DIAG_SQLSTATE,
        [SLUICE_POSTGRES_MESSAGE] = PG_DIAG_MESSAGE_PRIMARY,
        [SLUICE_POSTGRES_DETAIL] = PG_DIAG_MESSAGE_DETAIL,
    };
    return PQresultErrorField(result, codes[field]);
}
