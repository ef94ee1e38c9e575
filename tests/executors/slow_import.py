"""Importing this takes long, as torch and friends do."""

import time

time.sleep(30)
