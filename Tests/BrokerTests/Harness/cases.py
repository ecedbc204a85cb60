"""Runs the cases of a script, each with a broker of its own, and says which failed."""
import os
import sys
import time
import traceback

from server import Server


def run(cases, title=""):
    """`SCRIPT SLUICE CASE...` (no case: all). A case takes the started server; its `interposed` attribute asks for the interposer."""
    sluice, names = sys.argv[1], sys.argv[2:]
    unknown = set(names) - {case.__name__ for case in cases}
    if unknown:
        sys.exit("no such case: %s" % ", ".join(unknown))
    failed = 0
    if title:
        print(title)
    for case in cases:
        if names and case.__name__ not in names:
            continue
        server = Server(sluice, interposed=getattr(case, "interposed", False)).start()
        start = time.time()
        try:
            case(server)
            print("ok      %s (%.1f s)" % (case.__name__, time.time() - start), flush=True)
        except Exception as error:
            failed += 1
            print("FAILED  %s: %r\n%s" % (case.__name__, error, server.last_log()), flush=True)
            if os.environ.get("TRACE"):
                traceback.print_exc()
        finally:
            server.close()
    sys.exit(1 if failed else 0)
