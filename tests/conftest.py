"""Set before torch is loaded: the settings that the command line runs with."""

import os

# threads that wait must not spin for long: the suite shares its cores with the processes that it starts
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("TQDM_DISABLE", "1")
# the suite runs in two processes; models of its size gain nothing from a second thread
os.environ.setdefault("OMP_NUM_THREADS", "1")
