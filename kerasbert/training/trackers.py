"""stub"""

import contextlib


class Trackers:
    def log(self, row):
        pass

    def report(self, report):
        pass

    def state(self):
        return {}


@contextlib.contextmanager
def open_trackers(record, directory, config, state=None):
    yield Trackers()


TENSORBOARD = "tensorboard"
