#include "credis.h"
