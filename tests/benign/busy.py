"""A loop with numbers of both kinds: SECONDS."""

import sys
import time

end = time.monotonic() + int(sys.argv[1])
total = 0.0
while time.monotonic() < end:
    for number in range(10_000):
        total += (number * 7 % 13) / 3.0
print(total)
