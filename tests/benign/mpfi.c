/* Intervals of MPFI, over MPFR: SECONDS. */
#include "bound.h"

#include <mpfi.h>

int main(int count, char **arguments) {
	double end = end_of(count, arguments);
	mpfi_t x, y;
	mpfi_init2(x, 120);
	mpfi_init2(y, 120);
	mpfi_set_d(y, 0);
	for (unsigned i = 1; i % 64 != 0 || now() < end; i++) {
		mpfi_set_ui(x, i);
		mpfi_sqrt(x, x);
		mpfi_sin(x, x);
		mpfi_add(y, y, x);
	}
	printf("%g\n", mpfi_get_d(y));
}
