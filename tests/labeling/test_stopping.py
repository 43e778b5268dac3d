import os
import signal
import threading

import pytest

from labeling.stopping import StopRequest


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_waits_until_it_is_obeyed(number, error):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        stop.obey()
        os.kill(os.getpid(), number)
        with pytest.raises(error) as caught:
            stop.obey()
    assert number != signal.SIGTERM or caught.value.code == 143
    assert signal.getsignal(number) is before


def test_a_second_signal_acts_at_once():
    with pytest.raises(KeyboardInterrupt), StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second signal was kept back")


def test_another_thread_leaves_signals_alone():
    before = signal.getsignal(signal.SIGTERM)
    inside = []

    def enter():
        with StopRequest() as stop:
            stop.obey()
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [before]
