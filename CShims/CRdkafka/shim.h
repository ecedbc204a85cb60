#include <librdkafka/rdkafka.h>
// For tests: brokers in the process that answer with the errors a real one cannot be made to give.
#include <librdkafka/rdkafka_mock.h>
