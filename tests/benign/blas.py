"""Products, inverses and transforms of matrices with numpy: SECONDS."""

import sys
import time

import numpy

end = time.monotonic() + int(sys.argv[1])
random = numpy.random.default_rng(1)
total = 0.0
while time.monotonic() < end:
    matrix = random.standard_normal((200, 200))
    total += numpy.linalg.det(matrix @ numpy.linalg.inv(matrix)).real
    total += abs(numpy.fft.fft2(matrix)).sum() + numpy.linalg.svd(matrix, compute_uv=False)[0]
print(total)
