#include <features.h>
#include <hiredis/hiredis.h>
#include <hiredis/async.h>
