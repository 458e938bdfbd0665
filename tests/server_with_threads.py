"""``streamlit run`` with jobs in threads of the server: worker processes import torch again, for seconds of each core."""

import sys

from shared import compile_after_others
from streamlit.web import cli
from worker_threads import WorkerThread

from subemb.jobs import manager

if __name__ == "__main__":
    manager.WorkerProcess = WorkerThread
    compile_after_others(setattr)
    sys.exit(cli.main())
